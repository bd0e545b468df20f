//! The configuration with which a node's container runtime pulls images from a mirror. Takes what a bundle
//! mirrors and the mirror's host, gives files for each runtime.

mod compare;
mod containerd;
mod crio;
mod file;
mod login;
mod mirror;
mod rancher;

pub use compare::{Deviation, compare_tree};
pub use file::{NodeFile, Secrecy, WriteError, write_tree};
pub use login::{Login, LoginError};
pub use mirror::{Mirror, Mirrored, NoMirror, NodeConfig, Renamed, Scheme};

/// The container runtime of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// K3s with its own containerd.
    K3s,
    /// RKE2 with its own containerd.
    Rke2,
    /// containerd by itself.
    Containerd,
    /// CRI-O; Podman and Skopeo read the same files.
    Crio,
}

impl Runtime {
    /// The files that a node of this runtime needs.
    pub fn files(self, node: &NodeConfig) -> Vec<NodeFile> {
        match self {
            Self::K3s => rancher::files("k3s", node),
            Self::Rke2 => rancher::files("rke2", node),
            Self::Containerd => containerd::files(node),
            Self::Crio => crio::files(node),
        }
    }
}
