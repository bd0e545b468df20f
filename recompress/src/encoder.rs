//! What all models of encoders have in common: plain bytes go in, the bytes that the modelled program
//! would have written come out.

/// An encoder of some program, modelled (RFC 1951, RFC 8878): for the same plain bytes it gives the same bits,
/// however the plain bytes are cut into writes.
pub trait Encoder: Send {
    /// Takes plain bytes, and appends what can be written so far.
    fn write(&mut self, plain: &[u8], out: &mut Vec<u8>);

    /// Ends the stream: the last block, filled up to a whole byte.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// Whether nothing more comes, since what came is not what the program would have written.
    fn gave_up(&self) -> bool {
        false
    }

    /// Begins another stream, as a new encoder would; false if this one cannot, and a new one must be made.
    fn reset(&mut self) -> bool {
        false
    }

    /// The same where the size matters: the stream has `size` plain bytes, if that is known.
    fn restart(&mut self, size: u64) -> bool {
        let _ = size;
        self.reset()
    }
}
