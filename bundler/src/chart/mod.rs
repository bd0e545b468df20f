//! From the charts of a `bundle.yaml` to the images that they ask for.
//! Start at [`discover_charts`].

mod add;
mod confirm;
mod discovery;
mod entry;
mod error;
mod fetch;
mod index;
mod manifest;
mod repositories;
mod request;

pub(crate) use discovery::discover_charts;
pub use discovery::{ChartImage, ChartOptions, Confirm, Confirmation, DiscoveredChart, Subject};
pub(crate) use entry::{Around, ChartEntry, manifests};
pub use error::{ChartCause, ChartError, ChartErrors};
pub use repositories::{RepositoryNameError, helm_repository};
pub use request::{Carry, ChartRequest, ChartSource, Empty, ParseCarryError, ParseChartSourceError};
