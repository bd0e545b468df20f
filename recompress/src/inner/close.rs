//! Closes opened bytes: where streams were, they are made again. Takes the opened bytes as they come, writes the closed
//! ones. The recipe may be an attacker's: what it costs is bounded by the bytes on both sides.

use std::io::{self, Write};

use super::recipe::{InnerRecipe, Parts, most_streams};
use crate::encoder::Encoder;
use crate::model::Model;

/// Takes opened bytes, and writes what they are closed. Needs 2 MiB at most.
pub struct Closer<'a, W> {
    parts: Parts<'a>,
    state: State,
    encoder: Option<(Model, Box<dyn Encoder>)>,
    encoded: Vec<u8>,
    out: W,
    /// How many closed bytes may still come.
    left: u64,
}

enum State {
    /// So many bytes as they are; then a stream of so many bytes.
    Verbatim(u64, Model, u64),
    Stream(u64),
    /// The next part is to be read.
    Between,
    /// Behind the last part.
    Rest,
}

impl<'a, W: Write> Closer<'a, W> {
    /// A closer of what has exactly `closed` bytes.
    ///
    /// # Errors
    /// So many bytes cannot have so many streams.
    pub fn new(recipe: &'a InnerRecipe, closed: u64, out: W) -> io::Result<Self> {
        if recipe.streams() > most_streams(closed) {
            return Err(damaged());
        }
        let parts = recipe.parts();
        Ok(Self { parts, state: State::Between, encoder: None, encoded: Vec::new(), out, left: closed })
    }

    /// Ends the bytes, and gives the writer.
    ///
    /// # Errors
    /// They end too early, are fewer than was said, or cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.settle()?;
        match self.state {
            State::Rest if self.left == 0 => Ok(self.out),
            _ => Err(damaged()),
        }
    }

    /// Goes on to where more opened bytes are needed.
    fn settle(&mut self) -> io::Result<()> {
        loop {
            match self.state {
                State::Between => {
                    self.state = match self.parts.next() {
                        Some(part) => State::Verbatim(part.verbatim, part.model, part.plain),
                        None => State::Rest,
                    }
                }
                State::Verbatim(0, model, plain) => {
                    self.begin(model);
                    self.state = State::Stream(plain);
                }
                State::Stream(0) => {
                    if let Some((_, encoder)) = &mut self.encoder {
                        encoder.finish(&mut self.encoded);
                    }
                    self.flush_encoded()?;
                    self.state = State::Between;
                }
                State::Verbatim(..) | State::Stream(_) | State::Rest => return Ok(()),
            }
        }
    }

    fn begin(&mut self, model: Model) {
        let known = self.encoder.as_mut().filter(|(known, _)| *known == model);
        if !known.is_some_and(|(_, encoder)| encoder.reset()) {
            self.encoder = Some((model, model.encoder()));
        }
    }

    fn flush_encoded(&mut self) -> io::Result<()> {
        let length = self.encoded.len() as u64;
        self.left = self.left.checked_sub(length).ok_or_else(damaged)?;
        self.out.write_all(&self.encoded)?;
        self.encoded.clear();
        Ok(())
    }
}

impl<W: Write> Write for Closer<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.settle()?;
        let at_most = |left: u64| usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let taken = match &mut self.state {
            State::Stream(left) => {
                let now = at_most(*left);
                *left -= now as u64;
                if let Some((_, encoder)) = &mut self.encoder {
                    encoder.write(&bytes[..now], &mut self.encoded);
                }
                self.flush_encoded()?;
                now
            }
            State::Verbatim(left, ..) => {
                let now = self.out.write(&bytes[..at_most(*left).min(at_most(self.left))])?;
                *left -= now as u64;
                self.left -= now as u64;
                now
            }
            State::Between | State::Rest => {
                let now = self.out.write(&bytes[..at_most(self.left)])?;
                self.left -= now as u64;
                now
            }
        };
        if taken == 0 { Err(damaged()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W> std::fmt::Debug for Closer<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Closer({} closed bytes to come)", self.left)
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the inner recipe does not fit the bytes")
}
