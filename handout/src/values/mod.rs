//! Values with which a chart of a bundle asks the site's registry for the bundle's images.
//! Takes a chart's bytes, values and the bundle's targets; gives a values file.

mod carried;
mod error;
mod harbor_chart;
mod overlay;
mod text;

pub use carried::{Carried, CarriedChart};
pub use error::{Unreached, ValuesError};
pub use overlay::{ChartValues, PullSecretName, Unmapped, ValuesNote, ValuesRequest, chart_values};
