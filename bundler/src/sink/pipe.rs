//! Writes an archive to a pipe.
//! Takes the archive's bytes in order, each blob's last piece only after its digest was right.

use std::io::Write;

use crate::OutputError;
use crate::sink::head::SinkHead;
use crate::sink::target::InOrder;

/// A pipe. Bytes written before an error are no bundle.
pub(crate) struct Pipe(pub(crate) Box<dyn Write + Send>);

impl InOrder for Pipe {
    fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.0.write_all(bytes).map_err(OutputError::Pipe)
    }

    fn finish(mut self: Box<Self>, _: &SinkHead) -> Result<(), OutputError> {
        self.0.flush().map_err(OutputError::Pipe)
    }
}
