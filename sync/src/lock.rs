//! The lock that keeps two runs of one job apart.
//! Takes the state directory and the job's name, gives a guard.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use bundle_os::Access;

/// Held by a job for as long as it runs. The system takes it back however the job ends.
#[derive(Debug)]
pub struct JobLock {
    _file: File,
}

/// Why a job cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run of the same job is at work: there is nothing to do for this one.
    #[error("another run is in progress")]
    Busy,
    /// The system refused.
    #[error("{} cannot be locked", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl JobLock {
    /// Takes the lock of the job that keeps its state in `directory`, which is made if it is not
    /// there.
    ///
    /// # Errors
    /// Any [`LockError`].
    pub fn take(directory: &Path, job: &str) -> Result<Self, LockError> {
        let path = directory.join(format!("{job}.lock"));
        let failed = |source| LockError::Io { path: path.clone(), source };
        bundle_os::create_directory(directory, Access::Owner).map_err(failed)?;
        let file = bundle_os::open_or_create(&path, Access::Owner).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Busy),
            // Two runs at once on a file system without locks are kept apart by nothing.
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let first = JobLock::take(&state, "export").unwrap();
        assert!(matches!(JobLock::take(&state, "export"), Err(LockError::Busy)));
        JobLock::take(&state, "import").unwrap();
        drop(first);
        JobLock::take(&state, "export").unwrap();
    }
}
