//! A model on trial: it gets the plain bytes, and what it makes of them is compared with the real stream as
//! both come.

use std::sync::Arc;

use crate::encoder::Encoder;
use crate::model::Model;
use crate::recipe::Way;
use crate::reuse::{BaseTokens, Run, Shared};

/// How far the real stream may be ahead of the model. Models write a block at the latest after some ten
/// thousand symbols; a stream of empty blocks would be ahead for ever.
const MAX_AHEAD: usize = 4 * 1024 * 1024;

/// One model and one stream.
pub(crate) struct Trial {
    way: Way,
    encoder: Box<dyn Encoder>,
    made: Vec<u8>,
    expected: Vec<u8>,
    compared: usize,
    alive: bool,
    /// The runs of tokens that the encoder takes over.
    follow: Option<Shared>,
}

impl Trial {
    /// A trial of an encoder, which is said to be that of `way`.
    pub(crate) fn new(way: Way, encoder: Box<dyn Encoder>) -> Self {
        Self { way, encoder, made: Vec::new(), expected: Vec::new(), compared: 0, alive: true, follow: None }
    }

    /// A trial of an encoder that takes tokens over from bases; none if the model cannot.
    pub(crate) fn following(model: Model, bases: &[Option<Arc<BaseTokens>>]) -> Option<Self> {
        let follow = Shared::new(bases);
        let encoder = Box::new(model.following(follow.clone())?);
        Some(Self { follow: Some(follow), ..Self::new(Way::Model(model), encoder) })
    }

    /// Says where tokens are taken over, before the plain bytes come.
    pub(crate) fn follow(&mut self, run: Run) {
        if let Some(follow) = &self.follow {
            follow.lock().push(run);
        }
    }

    /// The encoder, to be used again.
    pub(crate) fn into_encoder(self) -> (Way, Box<dyn Encoder>) {
        (self.way, self.encoder)
    }

    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// Whether there has been no difference so far.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive
    }

    /// Takes bytes of the real stream.
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        if self.alive {
            self.expected.extend_from_slice(bytes);
        }
    }

    /// Takes plain bytes, and compares.
    pub(crate) fn write(&mut self, plain: &[u8]) {
        if self.alive {
            self.encoder.write(plain, &mut self.made);
            self.compare();
            self.alive &= self.expected.len() - self.compared <= MAX_AHEAD && !self.encoder.gave_up();
        }
    }

    /// Ends the stream: true if the model made all of it.
    pub(crate) fn finish(&mut self) -> bool {
        if self.alive {
            self.encoder.finish(&mut self.made);
            self.compare();
            self.alive &= self.made.is_empty() && self.compared == self.expected.len();
            self.alive &= self.follow.as_ref().is_none_or(|follow| follow.lock().end().is_ok());
        }
        self.alive
    }

    fn compare(&mut self) {
        let expected = &self.expected[self.compared..];
        let both = expected.len().min(self.made.len());
        self.alive = expected[..both] == self.made[..both];
        self.made.drain(..both);
        self.compared += both;
        if self.compared > MAX_AHEAD / 8 {
            self.expected.drain(..self.compared);
            self.compared = 0;
        }
    }
}
