//! What this program is: its version, the commit it was built from, and the versions of the formats that it reads
//! and writes. The build script gives the commit; the other numbers are those that the libraries check. Gives what
//! metrics name and `--version` prints.

use std::sync::LazyLock;

use bundle_format::{
    FORMAT_VERSION, PARITY_VERSION, Program, RECEIPT_VERSION, ROTATION_VERSION, VOLUMES_VERSION,
};
use bundle_report::REPORT_VERSION;

/// This program. The commit is absent from a build that was not told; build.rs says when.
pub(crate) const PROGRAM: Program =
    Program { version: env!("CARGO_PKG_VERSION"), commit: option_env!("BUNDLE_BUILD_COMMIT") };

/// The day of the commit in UTC, as in 2026-11-28.
const DATE: Option<&str> = option_env!("BUNDLE_BUILD_DATE");

/// The platform that it was built for, as Rust names it.
const TARGET: &str = env!("BUNDLE_BUILD_TARGET");

/// What `--version` prints behind the program's name; `-V` prints only the version.
pub(crate) fn long_version() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        let commit = PROGRAM.commit.unwrap_or("unknown");
        let date = DATE.map(|date| format!(" ({date})")).unwrap_or_default();
        format!(
            "{}\n\
             commit  {commit}{date}\n\
             target  {TARGET}\n\
             formats bundle {FORMAT_VERSION}, volumes {VOLUMES_VERSION}, parity {PARITY_VERSION}, \
             receipt {RECEIPT_VERSION}, rotation {ROTATION_VERSION}, reports {REPORT_VERSION}",
            PROGRAM.version
        )
    });
    &LONG
}
