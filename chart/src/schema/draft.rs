//! The drafts of JSON Schema in which keywords mean different things.
//! Takes the address in `$schema`; gives the [`Draft`].

/// The versions of JSON Schema in which keywords mean different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    V4,
    V6,
    V7,
    V2019,
    V2020,
}

impl Draft {
    /// The draft of a `$schema`; nothing for an unknown one.
    pub(super) fn of(address: &str) -> Option<Self> {
        let address = address.trim_end_matches('#');
        let (_, place) = address.split_once("://json-schema.org/")?;
        match place {
            "draft-04/schema" => Some(Self::V4),
            "draft-06/schema" => Some(Self::V6),
            "draft-07/schema" => Some(Self::V7),
            "draft/2019-09/schema" => Some(Self::V2019),
            "draft/2020-12/schema" | "schema" => Some(Self::V2020),
            _ => None,
        }
    }
}
