//! Commands that take several files: one that fails hides none of the others, and the gravest code is the
//! program's. Takes the failure of each file, gives their entries in the report and the failure of all.

use std::path::{Path, PathBuf};

use bundle_report::FileError;

use crate::exit::Failure;
use crate::output::name;

/// The files that failed so far.
#[derive(Debug, Default)]
pub(crate) struct Failed(Vec<(PathBuf, Failure)>);

impl Failed {
    /// Runs `of` for each file. Gives the results of those that did not fail.
    pub(crate) fn each<T>(
        files: &[PathBuf],
        mut of: impl FnMut(&Path) -> Result<T, Failure>,
    ) -> (Vec<T>, Self) {
        let (mut results, mut failed) = (Vec::new(), Self::default());
        for file in files {
            match of(file) {
                Ok(result) => results.push(result),
                Err(failure) => failed.add(file, failure),
            }
        }
        (results, failed)
    }

    /// Adds a file that failed.
    pub(crate) fn add(&mut self, file: &Path, failure: Failure) {
        self.0.push((file.to_owned(), failure));
    }

    /// Whether none failed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The files for the report, in the order in which they failed.
    pub(crate) fn entries(&self) -> Vec<FileError> {
        let entry = |(file, failure): &(PathBuf, Failure)| FileError {
            file: name(file),
            id: failure.id().as_str().to_owned(),
            code: failure.code().number(),
            message: failure.first_line().to_owned(),
        };
        self.0.iter().map(entry).collect()
    }

    /// All failures with the gravest code.
    ///
    /// # Errors
    /// A file failed.
    pub(crate) fn end(self) -> Result<(), Failure> {
        let failures = self.0.into_iter().map(|(file, failure)| failure.naming(&file));
        failures.reduce(Failure::and_gravest).map_or(Ok(()), Err)
    }
}
