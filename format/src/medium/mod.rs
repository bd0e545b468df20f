//! The media of an archive: layers that wrap each other, each of which gives bytes at any place and says
//! which it has. A file is one layer, volumes are another, a third decompresses.

pub(crate) mod compressed;
pub(crate) mod compressed_pipe;
pub(crate) mod compressed_writer;
pub(crate) mod cursor;
pub(crate) mod directory;
pub(crate) mod error;
pub(crate) mod layer;
pub(crate) mod packed;
pub(crate) mod patched;
pub(crate) mod settled;
pub(crate) mod stack;
pub(crate) mod volume_index;
pub(crate) mod volume_names;
pub(crate) mod volume_size;
pub(crate) mod volumes;
