//! Compression of a group's streams: takes raw bytes, gives zstd frames that are flushed at each group's end, so that
//! later groups know the earlier ones. Windows and tables have bounded sizes, whatever zstd's level asks for.

use std::io;

use zstd::stream::raw::{CParameter, Encoder as Zstd, InBuffer, Operation, OutBuffer};

/// How one stream is compressed. Logs are powers of two: bytes for the window, entries of four bytes for the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// zstd's level, for all that the others do not say.
    pub(crate) level: i32,
    /// The window.
    pub(crate) window: u8,
    /// The hash table.
    pub(crate) hash: u8,
    /// The chain table.
    pub(crate) chain: u8,
}

/// One stream's compressor.
pub(crate) struct Compressor(Zstd<'static>);

impl Compressor {
    pub(crate) fn new(setting: Setting) -> io::Result<Compressor> {
        let mut zstd = Zstd::new(setting.level)?;
        for parameter in [
            CParameter::WindowLog(u32::from(setting.window)),
            CParameter::HashLog(u32::from(setting.hash)),
            CParameter::ChainLog(u32::from(setting.chain)),
            CParameter::ContentSizeFlag(false),
        ] {
            zstd.set_parameter(parameter)?;
        }
        Ok(Compressor(zstd))
    }

    /// Appends the compressed bytes of a group to `out`, all that the decoder needs to give them.
    pub(crate) fn compress(&mut self, raw: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if raw.is_empty() {
            return Ok(());
        }
        let mut input = InBuffer::around(raw);
        while input.pos() < raw.len() {
            out.reserve(64 << 10);
            let at = out.len();
            self.0.run(&mut input, &mut OutBuffer::around_pos(out, at))?;
        }
        loop {
            out.reserve(64 << 10);
            let at = out.len();
            if self.0.flush(&mut OutBuffer::around_pos(out, at))? == 0 {
                return Ok(());
            }
        }
    }
}
