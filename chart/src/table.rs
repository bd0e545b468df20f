//! The entries of a map, in the order of their keys.
//! Takes keys and values; keeps few of them side by side, as most maps have few, and many in a tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Value;

type Entry = (Arc<str>, Value);

/// The entries of a [`Map`](crate::Map).
#[derive(Clone, Debug)]
pub(crate) enum Table {
    /// At most [`FEW`], sorted. A node of a tree takes as much memory as a dozen.
    Few(Vec<Entry>),
    Many(BTreeMap<Arc<str>, Value>),
}

/// So many entries are moved for a new one as fast as a tree finds its place.
const FEW: usize = 24;

impl Table {
    pub(crate) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Few(entries) => Some(&entries.get(find(entries, key).ok()?)?.1),
            Self::Many(entries) => entries.get(key),
        }
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        match self {
            Self::Few(entries) => find(entries, key).is_ok(),
            Self::Many(entries) => entries.contains_key(key),
        }
    }

    /// Sets `key`, and gives what it was before.
    pub(crate) fn insert(&mut self, key: Arc<str>, value: Value) -> Option<Value> {
        match self {
            Self::Few(entries) => {
                // Maps are read and copied in the order of their keys more often than not.
                let is_last = entries.last().is_none_or(|(last, _)| **last < *key);
                let place = if is_last { Err(entries.len()) } else { find(entries, &key) };
                match place {
                    Ok(at) => entries.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
                    Err(at) if entries.len() < FEW => {
                        if entries.capacity() == 0 {
                            entries.reserve_exact(2);
                        }
                        entries.insert(at, (key, value));
                        None
                    }
                    Err(_) => {
                        let mut many: BTreeMap<_, _> = std::mem::take(entries).into_iter().collect();
                        many.insert(key, value);
                        *self = Self::Many(many);
                        None
                    }
                }
            }
            Self::Many(entries) => entries.insert(key, value),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Value> {
        match self {
            Self::Few(entries) => find(entries, key).ok().map(|at| entries.remove(at).1),
            Self::Many(entries) => entries.remove(key),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(entries) => entries.len(),
            Self::Many(entries) => entries.len(),
        }
    }

    pub(crate) fn keys(&self) -> Vec<Arc<str>> {
        match self {
            Self::Few(entries) => entries.iter().map(|(key, _)| Arc::clone(key)).collect(),
            Self::Many(entries) => entries.keys().cloned().collect(),
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Few(entries) => entries.clone(),
            Self::Many(entries) => {
                entries.iter().map(|(key, value)| (Arc::clone(key), value.clone())).collect()
            }
        }
    }

    /// Whether a value is so.
    pub(crate) fn any(&self, is: impl Fn(&Value) -> bool) -> bool {
        match self {
            Self::Few(entries) => entries.iter().any(|(_, value)| is(value)),
            Self::Many(entries) => entries.values().any(is),
        }
    }

    /// A copy with other values.
    pub(crate) fn with(&self, change: impl Fn(&Value) -> Value) -> Self {
        match self {
            Self::Few(entries) => {
                Self::Few(entries.iter().map(|(key, value)| (Arc::clone(key), change(value))).collect())
            }
            Self::Many(entries) => {
                Self::Many(entries.iter().map(|(key, value)| (Arc::clone(key), change(value))).collect())
            }
        }
    }

    /// Takes all entries out, and gives those of their values that are so.
    pub(crate) fn empty_into(&mut self, values: &mut Vec<Value>, is: impl Fn(&Value) -> bool) {
        match std::mem::take(self) {
            Self::Few(entries) => {
                values.extend(entries.into_iter().map(|(_, value)| value).filter(is));
            }
            Self::Many(entries) => values.extend(entries.into_values().filter(is)),
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

fn find(entries: &[Entry], key: &str) -> Result<usize, usize> {
    entries.binary_search_by(|(known, _)| (**known).cmp(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_table_does_what_a_tree_does(changes in prop::collection::vec((0..60_u8, any::<bool>()), 0..200)) {
            let (mut table, mut tree) = (Table::new(), BTreeMap::new());
            let number = |value: Option<&Value>| match value {
                Some(Value::Int(number, _)) => Some(*number),
                _ => None,
            };
            for (at, (key, is_set)) in changes.into_iter().enumerate() {
                let key: Arc<str> = format!("k{key}").into();
                let (before, was) = if is_set {
                    let at = i64::try_from(at).unwrap();
                    (table.insert(Arc::clone(&key), Value::int(at)), tree.insert(Arc::clone(&key), at))
                } else {
                    (table.remove(&key), tree.remove(&key))
                };
                prop_assert_eq!(number(before.as_ref()), was);
                prop_assert_eq!(number(table.get(&key)), tree.get(&key).copied());
                prop_assert_eq!(table.contains_key(&key), tree.contains_key(&key));
            }
            prop_assert_eq!(table.len(), tree.len());
            prop_assert_eq!(table.keys(), tree.keys().cloned().collect::<Vec<_>>());
            let entries = table.entries();
            prop_assert!(entries.iter().map(|(key, value)| (key, number(Some(value)))).eq(
                tree.iter().map(|(key, value)| (key, Some(*value)))
            ));
        }
    }
}
