//! A whole frame (RFC 8878 section 3.1.1) as `zstd.Encoder` writes it: header, blocks, checksum.
//! Takes settings and plain bytes in pieces of any size, gives the bytes of the frame.

use std::hash::Hasher;

use twox_hash::XxHash64;

use super::best::{self, Best};
use super::better::Better;
use super::block::{Blocks, raw};
use super::double::Double;
use super::fast::Fast;
use super::history::{Finder, Found, History};
use super::settings::{Form, FrameLevel, FrameSettings};
use crate::encoder::Encoder;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Frames of so many bytes, or fewer, are no single segment by themselves; and no header has a smaller window.
const MIN_WINDOW: u64 = 1 << 10;

/// `zstd.Encoder` of `github.com/klauspost/compress`. How the program cuts its writes does not matter. Needs less than
/// 16 MiB, and at the level "best" 24 MiB.
pub struct FrameEncoder {
    settings: FrameSettings,
    /// What a header says that was written before the end was known.
    size: u64,
    finder: Option<Box<dyn Finder>>,
    history: History,
    blocks: Blocks,
    found: Found,
    /// Its lowest four bytes end the frame.
    checksum: XxHash64,
    /// What is not in a block yet: a whole one at most.
    held: Vec<u8>,
    taken: u64,
    begun: bool,
    /// The real encoder gives an error, or the level is not modelled for frames of this size: nothing more is written,
    /// and what was is found to be wrong.
    failed: bool,
}

impl FrameEncoder {
    /// An encoder of a frame that has `size` plain bytes; any number if the size is not known and the form is
    /// [`Form::Stream`].
    pub fn new(settings: FrameSettings, size: u64) -> Self {
        Self {
            settings,
            size,
            finder: None,
            history: History::new(settings.window()),
            blocks: Blocks::new(settings.version, settings.literals()),
            found: Found::default(),
            checksum: XxHash64::with_seed(0),
            held: Vec::new(),
            taken: 0,
            begun: false,
            failed: false,
        }
    }

    fn header(&self, size: u64, single: bool, out: &mut Vec<u8>) {
        let window = self.settings.window() as u64;
        let size_code = match size {
            ..256 => 0,
            256..65_792 => 1,
            65_792..0xffff_ffff => 2,
            _ => 3,
        };
        let checksum = u8::from(self.settings.has_checksum());
        out.extend(MAGIC);
        out.push(checksum << 2 | u8::from(single) << 5 | size_code << 6);
        if !single {
            // As small as the size allows: a power of two above it.
            let needed = if size > 0 && size < window { (size + 1).next_power_of_two() } else { window };
            out.push((needed.max(MIN_WINDOW).ilog2() as u8 - 10) << 3);
        }
        match size_code {
            0 if single => out.push(size as u8),
            0 => {}
            1 => out.extend_from_slice(&(size as u16).wrapping_sub(256).to_le_bytes()),
            2 => out.extend_from_slice(&(size as u32).to_le_bytes()),
            _ => out.extend_from_slice(&size.to_le_bytes()),
        }
    }

    /// The header of a frame of which the end has not come.
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.begun = true;
        let so_far = self.held.len() as u64;
        match self.settings.form {
            // More has come than there should be, or more must come.
            Form::Sized if self.size < so_far => self.failed = true,
            Form::Whole | Form::Single | Form::Windowed if self.size <= so_far => self.failed = true,
            Form::Stream => self.header(0, false, out),
            Form::Sized => self.header(self.size, false, out),
            Form::Whole | Form::Single | Form::Windowed => self.header_of_whole(self.size, out),
        }
    }

    fn header_of_whole(&self, size: u64, out: &mut Vec<u8>) {
        let single = match self.settings.form {
            Form::Single => true,
            Form::Windowed => false,
            _ => size <= self.settings.window() as u64 && size > MIN_WINDOW,
        };
        self.header(size, single, out);
    }

    /// Writes what is held as a block.
    fn block(&mut self, last: bool, alone: bool, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        if self.settings.level == FrameLevel::Best && self.taken > best::MOST {
            self.failed = true;
            return;
        }
        let version = self.settings.version;
        let finder = self.finder.get_or_insert_with(|| match self.settings.level {
            FrameLevel::Fastest => Box::new(Fast::new()),
            FrameLevel::Default => Box::new(Double::new()),
            FrameLevel::Better => Box::new(Better::new(version)),
            FrameLevel::Best => Box::new(Best::new()),
        });
        let start = self.history.add(&self.held, &mut **finder);
        self.found.clear();
        finder.find(&self.history, start, alone, &mut self.found);
        if self.settings.has_checksum() {
            self.checksum.write(&self.held);
        }
        let full = self.held.len() == self.settings.block();
        self.failed = self.blocks.write(&self.held, &self.found, full, last, out).is_err();
        self.held.clear();
    }
}

impl Encoder for FrameEncoder {
    fn write(&mut self, mut plain: &[u8], out: &mut Vec<u8>) {
        while !plain.is_empty() && !self.failed {
            let size = match self.settings.first() {
                Some(first) if !self.begun => first,
                _ => self.settings.block(),
            };
            if self.held.len() >= size {
                if !self.begun {
                    self.begin(out);
                }
                self.block(false, false, out);
                continue;
            }
            let (now, later) = plain.split_at(plain.len().min(size - self.held.len()));
            self.held.extend_from_slice(now);
            self.taken += now.len() as u64;
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let is_stream = self.settings.form.is_stream();
        let full = self.held.len() == self.settings.block();
        self.failed |= self.begun && self.settings.form != Form::Stream && self.taken != self.size;
        if self.failed {
            return;
        }
        if self.begun || self.held.is_empty() && is_stream || full && is_stream {
            if !self.begun {
                self.begin(out);
            }
            if full && is_stream {
                self.block(false, false, out);
            }
            if self.held.is_empty() && !self.failed {
                raw(&[], true, out);
            } else {
                self.block(true, false, out);
            }
        } else if self.held.is_empty() {
            // The empty frame has no checksum.
            out.extend(MAGIC);
            out.extend([0x20, 0]);
            raw(&[], true, out);
            return;
        } else {
            // One block: also streams write it in one call.
            self.header_of_whole(self.taken, out);
            self.block(true, true, out);
        }
        if self.settings.has_checksum() && !self.failed {
            out.extend_from_slice(&(self.checksum.finish() as u32).to_le_bytes());
        }
    }

    fn gave_up(&self) -> bool {
        self.failed
    }

    fn restart(&mut self, size: u64) -> bool {
        self.history.reset(self.finder.as_deref_mut().map(|finder| finder as &mut dyn Finder));
        self.blocks.reset();
        self.checksum = XxHash64::with_seed(0);
        self.held.clear();
        (self.size, self.taken, self.begun, self.failed) = (size, 0, false, false);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::klauspost_zstd::ZstdVersion;

    fn encoded(encoder: &mut FrameEncoder, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encoder.write(plain, &mut out);
        encoder.finish(&mut out);
        out
    }

    #[test]
    fn moving_places_down_and_beginning_again_change_nothing() {
        let mut state = 9u64;
        let mut plain: Vec<u8> = Vec::new();
        while plain.len() < 2_600_000 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let len = (state >> 40) as usize % 300;
            match plain.len().checked_sub(1 + (state >> 33) as usize % 90_000) {
                Some(from) if state >> 62 > 0 => {
                    plain.extend_from_within(from..(from + len).min(plain.len()));
                }
                _ => plain.extend((0..len).map(|n| (state >> (n % 50)) as u8)),
            }
        }
        for level in FrameLevel::ALL {
            // With the smaller window, places are moved in the midst of a frame.
            let plain = if level == FrameLevel::Best { &plain[..500_000] } else { &plain };
            for window_log in [16, 23] {
                let settings = FrameSettings::new(ZstdVersion::V1_17_8, level, Form::Stream)
                    .and_then(|settings| settings.with_window(window_log))
                    .expect("a level and a window");
                let frame = encoded(&mut FrameEncoder::new(settings, 0), plain);
                let mut old = FrameEncoder::new(settings, 0);
                old.history.age();
                assert!(encoded(&mut old, plain) == frame, "{level:?}");
                for _ in 0..3 {
                    assert!(old.restart(0));
                    assert!(encoded(&mut old, plain) == frame, "{level:?} again");
                }
            }
        }
    }
}
