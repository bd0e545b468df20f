//! Scans the images of a bundle for vulnerabilities with a scanner of the user's, and judges what it finds.
//!
//! Start at [`images`], which lists what there is to scan, and at [`scan_all`], which runs a [`Scanner`] over a
//! registry that serves the bundle, in parallel, with what a [`Cache`] knows already. [`judge`] is pure: findings, a
//! [`Policy`] and [`Exceptions`] in, a [`Verdict`] for each image out. [`ScanRecord`] is the result that is kept and
//! signed, [`sarif`] the same for other tools; [`SeenScan`] is what an approver reads of it.
//!
//! The scanner's output is untrusted: [`Limits`] has the bounds.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cache;
mod exceptions;
mod finding;
mod grype;
mod image;
mod limits;
mod record;
mod sarif;
mod sbom;
mod scanner;
mod seen;
mod sweep;
mod trivy;
mod verdict;

pub use cache::Cache;
pub use exceptions::{Exception, Exceptions, ExceptionsError};
pub use finding::{Counts, Finding, Findings, ParseError, Severity, UnknownSeverity};
pub use image::{Part, ScanImage, images};
pub use limits::Limits;
pub use record::{RecordError, ScanRecord, WrittenScan, write_record};
pub use sarif::sarif;
pub use sbom::{
    CarriedSboms, ImageSboms, MadeSboms, MakeSbomsError, Sbom, SbomError, SbomForm, UnknownForm, make_sboms,
    read_sbom,
};
pub use scanner::{Identity, Login, ScanError, Scanner, ScannerError, ScannerKind};
pub use seen::{SeenScan, Used};
pub use sweep::{Scanned, scan_all};
pub use verdict::{Judged, JudgedFinding, JudgedPart, Judgement, Policy, Verdict, judge};
