//! Why a chart gets no values, with the image and the place in the chart that stand in the way.
//! Takes nothing from outside; the command maps each to an exit code.

use bundle_chart::{IngressError, LoadError, OverlayError};
use bundle_oci::{Printable, Reference};

use crate::ExtractError;

/// Why there are no values for a chart.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// No chart of that name.
    #[error("there is no chart '{}' here; there is {}", Printable(.wanted), list(.charts))]
    NoChart {
        /// The chart asked for.
        wanted: String,
        /// The charts that there are.
        charts: Vec<String>,
    },
    /// Several charts of one name.
    #[error("there are several: {}", list(.0))]
    SeveralCharts(Vec<String>),
    /// The chart cannot be taken out of its bundle.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// The chart cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The chart does not render, or is not understood.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// The host cannot be given to it.
    #[error(transparent)]
    Ingress(#[from] IngressError),
    /// The chart makes a secret of the pull secret's name.
    #[error("the chart makes a secret {} of its own: {}", Printable(.name), Printable(.place))]
    SecretTaken {
        /// The name.
        name: String,
        /// The place in what it renders.
        place: String,
    },
    /// Images that the chart asks for and no bundle has.
    #[error("{} asks for {}", Printable(.chart), unreached(.images, "not in the bundle"))]
    Absent {
        /// The chart.
        chart: String,
        /// The images.
        images: Vec<Unreached>,
    },
    /// Images that the bundle has and that no value of the chart names, so nothing can point it
    /// elsewhere.
    #[error("{} asks for {}{}", Printable(.chart), unreached(.images, "named by none of its values"), refused(.refusal))]
    Unmapped {
        /// The chart.
        chart: String,
        /// The images.
        images: Vec<Unreached>,
        /// The chart's error for other values, if it refused some.
        refusal: Option<String>,
    },
}

/// An image that a chart renders and that the values do not lead to a target of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// The image as the chart asks for it.
    pub image: Reference,
    /// The places in what it renders.
    pub places: Vec<String>,
}

fn refused(refusal: &Option<String>) -> String {
    let words = |words: &String| format!("\nthe chart refuses other values: {}", Printable(words));
    refusal.as_ref().map(words).unwrap_or_default()
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| Printable(name).to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn unreached(images: &[Unreached], what: &str) -> String {
    let number = match images.len() {
        1 => "an image that is".to_owned(),
        many => format!("{many} images that are"),
    };
    let lines = images.iter().flat_map(|one| {
        let places = one.places.iter().map(move |place| format!("\n  {}: {place}", one.image));
        places.collect::<Vec<_>>()
    });
    format!("{number} {what}{}", lines.collect::<String>())
}
