//! Scanning a bundle's images.
//! Takes the errors of `scan`, gives identifiers and hints.

use bundle_input::InputError;
use bundle_scan::{ExceptionsError, MakeSbomsError, RecordError, ScanError, ScannerError};

use super::{Failure, Id};

impl From<ExceptionsError> for Failure {
    fn from(error: ExceptionsError) -> Self {
        match error {
            ExceptionsError::Input(InputError::Text(_)) => Self::new(Id::FileUnreadable, &error),
            ExceptionsError::Input(InputError::Yaml(_)) => Self::new(Id::FileInvalid, &error),
            ExceptionsError::Version { .. } => Self::new(Id::NewerVersion, &error),
            ExceptionsError::Exception { .. } => Self::new(Id::FileInvalid, &error),
            ExceptionsError::TooMany { .. } => Self::new(Id::LimitReached, &error),
        }
    }
}

impl From<ScannerError> for Failure {
    fn from(error: ScannerError) -> Self {
        match &error {
            ScannerError::File { .. } => Self::new(Id::FileUnreadable, &error),
            ScannerError::Version { source: ScanError::Start { .. }, .. } => Self::new(Id::Usage, &error)
                .hint("install it in a directory of PATH, or name another program with --scanner"),
            ScannerError::Version { .. } | ScannerError::Form { .. } => Self::new(Id::CommandFailed, &error),
            ScannerError::NoSboms { .. } => {
                Self::new(Id::Usage, &error).hint("name another scanner for --sbom, such as trivy")
            }
            ScannerError::NoDatabase { name, .. } => {
                let how = match name.as_str() {
                    "grype" => "name the directory of `grype db` with --db; `grype db update` fills it",
                    _ => {
                        "name Trivy's cache directory with --db; `trivy image --download-db-only --cache-dir DIR` fills it"
                    }
                };
                Self::new(Id::Usage, &error).hint(how)
            }
        }
    }
}

impl From<MakeSbomsError> for Failure {
    fn from(error: MakeSbomsError) -> Self {
        match error {
            MakeSbomsError::File(error) => error.into(),
            MakeSbomsError::Directory { .. } => Self::new(Id::FileSystem, &error),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::File(error) => error.into(),
            RecordError::Sign(error) => error.into(),
            RecordError::Signature(error) => error.into(),
            RecordError::Read { .. } => Self::new(Id::FileUnreadable, &error),
            RecordError::Json { .. } => Self::new(Id::FileInvalid, &error),
            RecordError::Version { .. } => Self::new(Id::NewerVersion, &error),
            RecordError::NotSigned(_) => Self::new(Id::UnknownSigner, &error).hint(
                "sign it with `bundle scan --key`, and bring its .sig along; --scan-trust names another key",
            ),
            RecordError::OtherBundle { .. } => {
                Self::new(Id::FileInvalid, &error).hint("scan this bundle with `bundle scan`")
            }
        }
    }
}
