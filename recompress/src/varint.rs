//! Numbers of variable length (LEB128, little end first, seven bits a byte), and a reader of bytes that
//! cannot run over their end.

/// A number takes at most this many bytes.
const MAX_LEN: usize = 10;

/// Appends a number.
pub(crate) fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A number in its shortest form; no other is valid, so that equal recipes have equal bytes.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for n in 0..MAX_LEN {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (n == MAX_LEN - 1 && bits > 1) || (n > 0 && byte == 0) {
                return None;
            }
            number |= bits << (7 * n);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_long_forms_are_refused() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(number, &mut bytes);
            assert_eq!(Reader::new(&bytes).varint(), Some(number));
        }
        assert_eq!(Reader::new(&[0x80, 0]).varint(), None);
        assert_eq!(Reader::new(&[0xff; 11]).varint(), None);
        assert_eq!(Reader::new(&[0x80]).varint(), None);
    }
}
