//! Template functions for encodings and checksums (Sprig).
//! Take texts; give base64, base32, JSON and digests.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::{Failure, Function};
use crate::go::json::{Style, decode, encode};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("b64enc", 1, |call| call.give(BASE64_STANDARD.encode(call.string(0)?))),
    // Errors are returned as text, as in Sprig.
    Function::fixed("b64dec", 1, |call| {
        let text = call.string(0)?.replace(['\r', '\n'], "");
        match BASE64_STANDARD.decode(&text) {
            Ok(bytes) => call.give(String::from_utf8_lossy(&bytes)),
            Err(_) => call.give(format!("illegal base64 data at input byte {}", wrong_base64(&text))),
        }
    }),
    Function::fixed("b32enc", 1, |call| call.give(encode_base32(call.string(0)?.as_bytes()))),
    Function::fixed("b32dec", 1, |call| {
        let text = call.string(0)?.replace(['\r', '\n'], "");
        match decode_base32(&text) {
            Ok(bytes) => call.give(String::from_utf8_lossy(&bytes)),
            Err(at) => call.give(format!("illegal base32 data at input byte {at}")),
        }
    }),
    Function::fixed("sha1sum", 1, |call| call.give(hexadecimal(&Sha1::digest(call.string(0)?)))),
    Function::fixed("sha256sum", 1, |call| call.give(hexadecimal(&Sha256::digest(call.string(0)?)))),
    Function::fixed("sha512sum", 1, |call| call.give(hexadecimal(&Sha512::digest(call.string(0)?)))),
    Function::fixed("adler32sum", 1, |call| call.give(adler32(call.string(0)?.as_bytes()).to_string())),
    Function::fixed("toJson", 1, |call| {
        call.give(or_empty(encode(call.value(0), Style::COMPACT, call.budget()))?)
    }),
    Function::fixed("mustToJson", 1, |call| Ok(encode(call.value(0), Style::COMPACT, call.budget())?.into())),
    Function::fixed("toPrettyJson", 1, |call| {
        call.give(or_empty(encode(call.value(0), Style::PRETTY, call.budget()))?)
    }),
    Function::fixed("mustToPrettyJson", 1, |call| {
        Ok(encode(call.value(0), Style::PRETTY, call.budget())?.into())
    }),
    Function::fixed("toRawJson", 1, |call| Ok(encode(call.value(0), Style::RAW, call.budget())?.into())),
    Function::fixed("mustToRawJson", 1, |call| Ok(encode(call.value(0), Style::RAW, call.budget())?.into())),
    Function::fixed("mustFromJson", 1, |call| {
        super::helm::pay_for_reading(call)?;
        decode(call.string(0)?).map_err(|error| Failure::Message(error.to_string()))
    }),
];

/// Helm and Sprig write nothing where a value has no JSON. A reached limit stays an error.
pub(super) fn or_empty(result: Result<String, Failure>) -> Result<String, Failure> {
    match result {
        Err(Failure::Message(_)) => Ok(String::new()),
        result => result,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1u32, 0u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    high << 16 | low
}

/// The place that Go's decoder complains of.
fn wrong_base64(text: &str) -> usize {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match text.bytes().position(|byte| !is_digit(byte)) {
        Some(at) => at,
        // Digits are missing at the end.
        None => text.len() - text.len() % 4,
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn encode_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut bits = [0u8; 8];
        bits[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(bits);
        let digits = (group.len() * 8).div_ceil(5);
        for digit in 0..8 {
            out.push(match digit < digits {
                true => char::from(BASE32[(bits >> (35 - 5 * digit) & 31) as usize]),
                false => '=',
            });
        }
    }
    out
}

/// The bytes, or the place of what is no base32.
fn decode_base32(text: &str) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::new();
    let groups = text.as_bytes().chunks(8).enumerate();
    for (index, group) in groups {
        let start = index * 8;
        let digits = group.iter().position(|byte| *byte == b'=').unwrap_or(group.len());
        let is_last = start + group.len() == text.len();
        if let Some(wrong) = group[..digits].iter().position(|byte| !BASE32.contains(byte)) {
            return Err(start + wrong);
        }
        let padded = group[digits..].iter().all(|byte| *byte == b'=');
        if group.len() < 8 || !padded || !matches!(digits, 2 | 4 | 5 | 7 | 8) || (digits < 8 && !is_last) {
            return Err(start + digits);
        }
        let mut bits = 0u64;
        for (offset, byte) in group[..digits].iter().enumerate() {
            let digit = BASE32.iter().position(|known| known == byte).ok_or(start + offset)?;
            bits |= (digit as u64) << (35 - 5 * offset);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[3..3 + digits * 5 / 8]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_goes_there_and_back() {
        for (text, encoded) in [
            ("", ""),
            ("f", "MY======"),
            ("fo", "MZXQ===="),
            ("foo", "MZXW6==="),
            ("foob", "MZXW6YQ="),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI======"),
        ] {
            assert_eq!(encode_base32(text.as_bytes()), encoded);
            assert_eq!(decode_base32(encoded), Ok(text.as_bytes().to_vec()));
        }
        assert_eq!(decode_base32("M1======"), Err(1));
        assert_eq!(decode_base32("MY"), Err(2));
    }

    #[test]
    fn adler32_is_that_of_zlib() {
        assert_eq!(adler32(b"Wikipedia"), 300_286_872);
    }
}
