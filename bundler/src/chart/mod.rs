//! From the charts of a `bundle.yaml` to the images that they ask for.

mod deliver;
mod entry;
mod error;
mod fetch;
mod index;
mod request;
mod survey;

pub(crate) use entry::ChartEntry;
pub use error::{ChartCause, ChartError, ChartErrors};
pub use request::{ChartRequest, ChartSource, Empty, Exclusion, ParseChartSourceError};
pub use survey::{ChartImage, ChartOptions, Confirm, Confirmation, SurveyedChart, survey};
