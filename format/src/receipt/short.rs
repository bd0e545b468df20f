//! The name of a bundle that arrived whole, short enough for a telephone.
//! Takes and gives text with a check of its own, so that a slip of the tongue is found.

use std::fmt;
use std::str::FromStr;

use bundle_oci::{Digest, Printable};

use crate::{BundleId, Sequence, StreamName};

/// A bundle's name in a form that can be read out on the telephone and typed
/// (docs/format.md §Short receipts): `NIGHTLY:42:5132-R7JV-4M15-A1DX-CQ2S-6W56`.
///
/// It has the first 100 bits of the statement's digest, and 20 check bits over all of it. Capital
/// letters, digits, `:` and `-` only, so that a QR code stores it densely (ISO/IEC 18004, its
/// alphanumeric mode). It proves nothing: who believes it believes the person who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortReceipt {
    stream: StreamName,
    sequence: Sequence,
    digest: [u8; DIGITS],
}

/// Digits of the digest.
const DIGITS: usize = 20;
/// Check digits that detect a mistake in dictation.
const CHECKS: usize = 4;
/// Digits in a group.
const GROUP: usize = 4;

/// Crockford's base 32: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a text is no short receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseShortError {
    /// A text of another form.
    #[error("short receipt must be STREAM:SEQUENCE: and six groups of four digits")]
    Form,
    /// A digit that there is not.
    #[error("short receipt has the character '{}', which is not allowed", Printable(.0))]
    Digit(String),
    /// Two mistaken or exchanged characters, or a part of another receipt.
    #[error("short receipt is mistyped: its last group does not fit the rest")]
    Check,
}

impl ShortReceipt {
    /// The short form of a bundle's name.
    pub fn of(bundle: &BundleId) -> Self {
        Self { stream: bundle.stream.clone(), sequence: bundle.sequence, digest: digits(&bundle.statement) }
    }

    /// Whether this is the short form of a bundle's name.
    pub fn names(&self, bundle: &BundleId) -> bool {
        *self == Self::of(bundle)
    }

    /// The stream.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The sequence.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    fn check_digits(&self) -> [u8; CHECKS] {
        let spoken: String = self.digest.iter().map(|&digit| letter(digit)).collect();
        digits(&Digest::of(format!("{}:{}:{spoken}", self.stream, self.sequence).as_bytes()))
    }
}

/// The first digits of a digest, five bits each, the most significant first.
fn digits<const N: usize>(digest: &Digest) -> [u8; N] {
    let bit = |at: usize| digest.as_bytes()[at / 8] >> (7 - at % 8) & 1;
    std::array::from_fn(|digit| (0..5).fold(0, |value, place| value << 1 | bit(digit * 5 + place)))
}

fn letter(digit: u8) -> char {
    char::from(ALPHABET[usize::from(digit % 32)])
}

impl fmt::Display for ShortReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.stream.to_string().to_ascii_uppercase(), self.sequence)?;
        let check = self.check_digits();
        for (position, &digit) in self.digest.iter().chain(&check).enumerate() {
            if position > 0 && position % GROUP == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", letter(digit))?;
        }
        Ok(())
    }
}

impl FromStr for ShortReceipt {
    type Err = ParseShortError;

    /// Takes small letters for capital ones, O for 0, I and L for 1, and groups with spaces or
    /// nothing between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().splitn(3, ':').map(str::trim);
        let (Some(stream), Some(sequence), Some(groups)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ParseShortError::Form);
        };
        let stream = stream.to_ascii_lowercase().parse().map_err(|_| ParseShortError::Form)?;
        let sequence = sequence.parse().map_err(|_| ParseShortError::Form)?;
        let mut all = Vec::with_capacity(DIGITS + CHECKS);
        for character in groups.chars().filter(|character| !matches!(character, '-' | ' ')) {
            let value = match character.to_ascii_uppercase() {
                'O' => 0,
                'I' | 'L' => 1,
                other => ALPHABET
                    .iter()
                    .position(|&known| char::from(known) == other)
                    .ok_or_else(|| ParseShortError::Digit(character.to_string()))?,
            };
            if all.len() == DIGITS + CHECKS {
                return Err(ParseShortError::Form);
            }
            all.push(value as u8);
        }
        let Some((digest, check)) = all.split_first_chunk::<DIGITS>() else {
            return Err(ParseShortError::Form);
        };
        let short = Self { stream, sequence, digest: *digest };
        match check.len() {
            CHECKS if check == short.check_digits() => Ok(short),
            CHECKS => Err(ParseShortError::Check),
            _ => Err(ParseShortError::Form),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> BundleId {
        BundleId {
            stream: "nightly-a.b_c".parse().unwrap(),
            sequence: "42".parse().unwrap(),
            statement: Digest::of(b"a statement"),
        }
    }

    #[test]
    fn a_short_receipt_survives_being_said_and_typed() {
        let short = ShortReceipt::of(&bundle());
        let text = short.to_string();
        assert_eq!(text, "NIGHTLY-A.B_C:42:5132-R7JV-4M15-A1DX-CQ2S-BGCS");
        for typed in [text.clone(), text.to_lowercase(), text.replace('1', "l"), text.replace('-', " ")] {
            let typed = typed.replace("nightly a.b_c", "nightly-a.b_c").replace("NIGHTLY A", "NIGHTLY-A");
            assert_eq!(typed.parse::<ShortReceipt>().unwrap(), short, "{typed}");
        }
        assert!(short.names(&bundle()));
        assert!(!short.names(&BundleId { statement: Digest::of(b"another"), ..bundle() }));
    }

    #[test]
    fn every_mistyped_or_exchanged_character_of_the_name_is_noticed() {
        for number in 1_u64..40 {
            let sequence = (1_795_000_000 + number * 86_400).try_into().unwrap();
            let statement = Digest::of(&number.to_be_bytes());
            let text = ShortReceipt::of(&BundleId { sequence, statement, ..bundle() }).to_string();
            let groups = text.rfind(':').unwrap();
            for at in 0..groups {
                let others: &[u8] =
                    if text.as_bytes()[at].is_ascii_digit() { b"0123456789" } else { b"ABXYZ" };
                let exchanged = at.checked_sub(1).map(|before| {
                    let mut bytes = text.clone().into_bytes();
                    bytes.swap(before, at);
                    bytes
                });
                let mistyped = others.iter().map(|&other| {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] = other;
                    bytes
                });
                for wrong in mistyped.chain(exchanged).map(|bytes| String::from_utf8(bytes).unwrap()) {
                    assert!(wrong == text || wrong.parse::<ShortReceipt>().is_err(), "{wrong} for {text}");
                }
            }
        }
    }

    #[test]
    fn every_mistyped_or_exchanged_character_is_noticed() {
        let text = ShortReceipt::of(&bundle()).to_string();
        let start = text.rfind(':').unwrap() + 1;
        for at in start..text.len() {
            if &text[at..=at] == "-" {
                continue;
            }
            for &digit in ALPHABET {
                let mut wrong = text.clone().into_bytes();
                if wrong[at] == digit {
                    continue;
                }
                wrong[at] = digit;
                let wrong = String::from_utf8(wrong).unwrap();
                assert_eq!(wrong.parse::<ShortReceipt>(), Err(ParseShortError::Check), "{wrong}");
            }
            let mut exchanged = text.clone().into_bytes();
            let other = (at + 1..text.len()).find(|&other| exchanged[other] != b'-').unwrap_or(start);
            exchanged.swap(at, other);
            let exchanged = String::from_utf8(exchanged).unwrap();
            if exchanged != text {
                assert_eq!(exchanged.parse::<ShortReceipt>(), Err(ParseShortError::Check), "{exchanged}");
            }
        }
        for wrong in [text.replace(":42:", ":43:"), text.replace("NIGHTLY", "WEEKLY")] {
            assert_eq!(wrong.parse::<ShortReceipt>(), Err(ParseShortError::Check));
        }
    }

    #[test]
    fn other_texts_are_no_short_receipts() {
        use ParseShortError as E;
        let groups = "7K3M-9QWX-A2BC-D3EF-G4HJ";
        for (text, error) in [
            ("", E::Form),
            ("nightly.tar", E::Form),
            ("nightly:42", E::Form),
            (&format!("nightly:42:{groups}"), E::Form),
            (&format!("nightly:0:{groups}-AAAA"), E::Form),
            (&format!("night/ly:1:{groups}-AAAA"), E::Form),
            (&format!("nightly:1:{groups}-AAAA-A"), E::Form),
            (&format!("nightly:1:{groups}-UAAA"), E::Digit("U".to_owned())),
            (&format!("nightly:1:{groups}-\u{1b}AAA"), E::Digit("\u{1b}".to_owned())),
        ] {
            assert_eq!(text.parse::<ShortReceipt>(), Err(error), "{text}");
        }
    }
}
