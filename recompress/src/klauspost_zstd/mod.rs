//! The encoder of `github.com/klauspost/compress/zstd`, with which podman, buildah, skopeo, containerd and BuildKit
//! write layers as Zstandard frames, and zstd:chunked many of them in one layer.
//! Takes plain bytes and settings, gives the bytes of one frame. Read in versions 1.15.0 to 1.20.4; what differs
//! between them is told apart by [`ZstdVersion`]. How many goroutines it has, and the assembly of a processor, make no
//! difference to its bytes; its options for dictionaries, padding and blocks at the same time are not modelled.

mod best;
mod better;
mod bits;
mod block;
mod double;
mod fast;
mod frame;
mod fse;
mod history;
mod huffman;
mod sequences;
mod settings;
mod version;
mod weights;

pub use frame::FrameEncoder;
pub(crate) use settings::Header;
pub use settings::{Form, FrameLevel, FrameSettings};
pub use version::ZstdVersion;
