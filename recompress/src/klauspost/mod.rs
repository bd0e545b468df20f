//! The encoder of `github.com/klauspost/compress/flate`, which podman, buildah, kaniko and newer BuildKit
//! write with, and `github.com/klauspost/pgzip`, which compresses with it in blocks. Read in versions 1.14.4
//! to 1.20.4; what differs between them is told apart by [`Version`].

mod block;
mod encoder;
mod fast;
mod lazy;
mod level1;
mod level2;
mod level3;
mod level4;
mod level5;
mod level6;
mod pgzip;
mod tokens;
mod version;

pub use encoder::KlauspostEncoder;
pub use pgzip::PgzipEncoder;
pub use version::Version;
