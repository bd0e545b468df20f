//! Handouts of a bundle without a registry: layouts and archives of some of its artifacts, the files with
//! which nodes find its images at a mirror, and values with which charts use them there.
//!
//! Start at [`Choice`], some of a bundle's artifacts, and [`extract_layout`]; at [`node`] for nodes'
//! configuration; at [`chart_values`] for charts.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod choice;
mod extract;
mod files;
mod limits;
pub mod node;
mod values;

pub use choice::{Choice, ChoiceError, Referrers};
pub use extract::{ExtractError, NamesFor, extract_archive, extract_charts, extract_layout};
pub use files::{CarriedFile, PROGRAM, carried_files, choose_file, extract_file};
pub use values::{
    Carried, CarriedChart, ChartValues, PullSecretName, Unmapped, Unreached, ValuesError, ValuesNote,
    ValuesRequest, chart_values,
};
