//! Helm charts from the connected side to the other one.
//!
//! How their images are found and cross, and the values with which they are installed.

mod carried;
mod sources;
mod values;
