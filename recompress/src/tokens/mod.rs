//! DEFLATE streams of programs without a model: each token is predicted from the plain bytes, and what
//! differs from the prediction goes into a stream of corrections. A reader takes the tokens out of a stream,
//! the same coding writes corrections and reads them, and a writer makes the stream again.

mod code;
mod coder;
mod header;
mod predict;
mod reader;
mod stream;

pub(crate) use code::Settings;
pub(crate) use predict::Plain;
pub(crate) use stream::{CorrectionsError, correct, restore};
