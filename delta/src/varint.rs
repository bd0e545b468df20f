//! Numbers of the encoded form: LEB128 with at most ten bytes, and zigzag for signed ones.
//! Takes and gives bytes; a number that is too long is refused.

/// A number is longer than ten bytes or exceeds 64 bits.
#[derive(Debug)]
pub(crate) struct TooLarge;

/// Appends a number, seven bits a byte, the lowest first.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number from whatever gives its bytes one at a time.
pub(crate) fn get<E: From<TooLarge>>(mut next: impl FnMut() -> Result<u8, E>) -> Result<u64, E> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = next()?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(TooLarge.into());
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(TooLarge.into())
}

/// A signed number as an unsigned one that is small when the distance to zero is.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The signed number again.
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_longer_ones_are_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let mut bytes = bytes.into_iter();
            assert_eq!(get(|| bytes.next().ok_or(TooLarge)).unwrap(), value);
        }
        let mut endless = std::iter::repeat(0xffu8);
        assert!(get(|| endless.next().ok_or(TooLarge)).is_err());
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
