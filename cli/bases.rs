//! Where the bases of compact bundles lie, as arguments give it.
//! Takes `--base-dir`, gives what the formats' readers are lent.

use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::{AllBases, BasesError, BundleBases, Lent, Limits, ScratchSpace};

use crate::exit::{Failure, Id};

#[derive(clap::Args)]
pub(crate) struct BaseDirArguments {
    /// Directory with earlier bundles, for compact bundles: layers that are sent as differences need the layers of
    /// before; repeatable
    #[arg(long = "base-dir", value_name = "DIR")]
    directories: Vec<PathBuf>,
}

impl BaseDirArguments {
    /// The bundles in the directories.
    pub(crate) fn at_hand(&self) -> Result<Arc<AllBases>, Failure> {
        let all = Arc::new(AllBases::default());
        if !self.directories.is_empty() {
            let mut bundles = BundleBases::default();
            for directory in &self.directories {
                bundles.add_directory(directory, &Limits::V1)?;
            }
            all.add(Arc::new(bundles));
        }
        Ok(all)
    }

    /// The same, with room for what is made of them.
    pub(crate) fn lent(&self) -> Result<Lent, Failure> {
        Ok(Lent { bases: self.at_hand()?, scratch: ScratchSpace::default() })
    }
}

impl From<BasesError> for Failure {
    fn from(error: BasesError) -> Self {
        match error {
            BasesError::Medium(error) => error.into(),
            BasesError::Directory { .. } => Self::new(Id::FileSystem, &error),
            BasesError::NoBundle { .. } => Self::new(Id::Damaged, &error),
        }
    }
}
