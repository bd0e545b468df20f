//! Booleans and numbers as they are written without quotes: `'2'` is a text, to us as to a JSON Schema.
//! For `#[serde(deserialize_with = "bundle_input::plain")]`.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// A value that [`plain`] reads.
pub trait Plain: Sized {
    /// The expected type, for messages.
    const EXPECTED: &'static str;

    /// The value of `true` or `false`.
    fn of_bool(_: bool) -> Option<Self> {
        None
    }

    /// The value of a number.
    fn of_number(_: u64) -> Option<Self> {
        None
    }

    /// The value of nothing.
    fn of_nothing() -> Option<Self> {
        None
    }
}

impl Plain for bool {
    const EXPECTED: &'static str = "true or false, without quotes";

    fn of_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Plain for u32 {
    const EXPECTED: &'static str = "a number without quotes, of at least 0";

    fn of_number(value: u64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Plain for usize {
    const EXPECTED: &'static str = "a number without quotes, of at least 0";

    fn of_number(value: u64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl<T: Plain> Plain for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn of_bool(value: bool) -> Option<Self> {
        T::of_bool(value).map(Some)
    }

    fn of_number(value: u64) -> Option<Self> {
        T::of_number(value).map(Some)
    }

    fn of_nothing() -> Option<Self> {
        Some(None)
    }
}

/// Reads a boolean or a number that stands without quotes.
///
/// # Errors
/// Anything else, in the words of `D`.
pub fn plain<'de, T: Plain, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Reader<T>(PhantomData<T>);

    fn wrong<T: Plain, E: Error>() -> E {
        E::custom(format_args!("expected {}", T::EXPECTED))
    }

    impl<T: Plain> Visitor<'_> for Reader<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
            T::of_bool(value).ok_or_else(wrong::<T, E>)
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
            T::of_number(value).ok_or_else(wrong::<T, E>)
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
            u64::try_from(value).ok().and_then(T::of_number).ok_or_else(wrong::<T, E>)
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
            Err(wrong::<T, E>())
        }

        fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
            Err(wrong::<T, E>())
        }

        fn visit_unit<E: Error>(self) -> Result<T, E> {
            T::of_nothing().ok_or_else(wrong::<T, E>)
        }

        fn visit_none<E: Error>(self) -> Result<T, E> {
            T::of_nothing().ok_or_else(wrong::<T, E>)
        }
    }

    deserializer.deserialize_any(Reader(PhantomData))
}
