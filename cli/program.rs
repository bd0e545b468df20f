//! The version of this binary and the commit that it was built from, in one place. Takes both from the build, gives
//! what metrics name.

use bundle_format::Program;

/// This program.
pub(crate) const PROGRAM: Program =
    Program { version: env!("CARGO_PKG_VERSION"), commit: option_env!("BUNDLE_BUILD_COMMIT") };
