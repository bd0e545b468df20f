//! Lengths of lists in signed JSON and lockfiles, counted before anything in them is kept: takes what serde reads,
//! gives numbers. Two bytes of JSON may take a hundred once parsed.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

/// The length of a list, whose elements are read and not kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count(
    /// The number of elements.
    pub usize,
);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fold_list(deserializer, "a list", |count: &mut Self, IgnoredAny| count.0 += 1)
    }
}

/// Reads a list and keeps what `add` makes of its elements, one after the other.
///
/// # Errors
/// It is no list, or an element is not of the type.
pub fn fold_list<'de, D: Deserializer<'de>, T: Deserialize<'de>, S: Default>(
    deserializer: D,
    expecting: &'static str,
    add: impl FnMut(&mut S, T),
) -> Result<S, D::Error> {
    struct Elements<F, S, T> {
        expecting: &'static str,
        add: F,
        types: PhantomData<(S, T)>,
    }

    impl<'de, F: FnMut(&mut S, T), S: Default, T: Deserialize<'de>> Visitor<'de> for Elements<F, S, T> {
        type Value = S;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expecting)
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<S, A::Error> {
            let mut sum = S::default();
            while let Some(element) = list.next_element()? {
                (self.add)(&mut sum, element);
            }
            Ok(sum)
        }
    }

    deserializer.deserialize_seq(Elements { expecting, add, types: PhantomData })
}
