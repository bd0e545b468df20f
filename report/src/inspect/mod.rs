//! The report of `inspect`: its model, and how people see the artifacts.
//! Start at [`InspectReport`].

mod model;
mod view;

pub use model::{
    CompactExtent, Extent, InspectReport, InspectSetReport, InspectView, InspectedArtifact, SharedWith,
    TotalExtent,
};
