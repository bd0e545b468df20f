//! `bundle scan`: the images of a bundle before a scanner, and what becomes of what it says.
//! Takes small bundles of real images and the scanner of this directory; looks at verdicts, files and exit codes.

mod hostile;
mod report;
mod sboms;
mod scene;
mod trivy;
mod verdicts;
