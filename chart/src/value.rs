//! Go values as templates see them.
//! [`Value`] is shared like Go's maps and lists; [`Map`] and [`List`] keep the Go types that functions tell apart.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Version;
use crate::go::time::Time;
use crate::template::trace;

/// A Go value as templates see it. Cloning is cheap, and shares maps as Go does: what is `set` in one
/// clone is seen in all.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `nil`.
    #[default]
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer of one of Go's types. Templates write an `int`; Sprig's arithmetic and `--set` give an
    /// `int64`.
    Int(i64, IntType),
    /// A `float64`; every number in a values file is one.
    Float(f64),
    /// A string.
    String(Arc<str>),
    /// A `[]byte`: what a file is before `.Files.Get`.
    Bytes(Arc<[u8]>),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// A Go struct, like `.Chart`.
    Struct(Arc<Struct>),
    /// A `time.Time`, as `now` gives.
    Time(Time),
    /// A `*semver.Version`, as `semver` gives.
    Version(Arc<Version>),
}

/// Go's type of an integer; `eq`, `typeOf` and `%T` tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntType {
    /// `int`.
    Int,
    /// `int64`.
    Int64,
    /// `int32`.
    Int32,
    /// `uint8`: a byte of a string.
    Uint8,
    /// `uint64`: a part of a semantic version.
    Uint64,
}

/// Go's type of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListType {
    /// `[]interface {}`.
    Any,
    /// `[]string`.
    String,
    /// `[]int`.
    Int,
    /// `[][]interface {}`.
    Lists,
    /// `chartutil.VersionSet`, which has the method `Has`.
    VersionSet,
    /// A slice of structs or of pointers to them, like `.Chart.Maintainers`; the name is Go's.
    Named(&'static str),
}

/// Go's type of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// `map[string]interface {}`.
    Any,
    /// `map[string]string`.
    String,
    /// `chartutil.Values`, which has methods such as `AsMap`.
    Values,
    /// `engine.files`, which has the methods of `.Files`. Its values are [`Value::Bytes`].
    Files,
}

impl Value {
    /// An `int`.
    pub const fn int(value: i64) -> Self {
        Self::Int(value, IntType::Int)
    }

    /// An `int64`.
    pub const fn int64(value: i64) -> Self {
        Self::Int(value, IntType::Int64)
    }

    /// A string.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// A `[]interface {}`.
    pub fn list(items: impl Into<Vec<Value>>) -> Self {
        Self::List(List::new(items, ListType::Any))
    }

    /// A `[]string`.
    pub fn strings<S: Into<Arc<str>>>(items: impl IntoIterator<Item = S>) -> Self {
        let items: Vec<Self> = items.into_iter().map(Self::string).collect();
        Self::List(List::new(items, ListType::String))
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub const fn as_list(&self) -> Option<&List> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Whether it is `nil`.
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// A copy that shares no map with the original. `None` if it nests deeper than `depth`, which also
    /// ends a map that holds itself.
    pub fn deep_copy(&self, depth: usize) -> Option<Self> {
        Some(match self {
            Self::List(list) => {
                let depth = depth.checked_sub(1)?;
                let items: Option<Vec<_>> = list.iter().map(|item| item.deep_copy(depth)).collect();
                Self::List(List::new(items?, list.list_type()))
            }
            Self::Map(map) => Self::Map(map.deep_copy(depth)?),
            other => other.clone(),
        })
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

/// A slice. No function of a template changes one, so its items are plain.
#[derive(Clone)]
pub struct List {
    items: Arc<Items>,
    list_type: ListType,
    is_nil: bool,
}

struct Items(Vec<Value>);

impl List {
    /// A list of `items`.
    pub fn new(items: impl Into<Vec<Value>>, list_type: ListType) -> Self {
        Self { items: Arc::new(Items(items.into())), list_type, is_nil: false }
    }

    /// A slice that was never made: it has no items, and is `null` in JSON and YAML.
    pub fn nil(list_type: ListType) -> Self {
        Self { items: Arc::new(Items(Vec::new())), list_type, is_nil: true }
    }

    /// Whether it was never made.
    pub const fn is_nil(&self) -> bool {
        self.is_nil
    }

    /// Go's type of it.
    pub const fn list_type(&self) -> ListType {
        self.list_type
    }
}

impl std::ops::Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items.0
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A map that its clones share, with its keys in order. Every method holds its lock only for
/// itself and runs nothing else meanwhile, so a map that holds itself cannot lock anybody out.
#[derive(Clone)]
pub struct Map {
    entries: Arc<Entries>,
    map_type: MapType,
}

struct Entries(Mutex<BTreeMap<Arc<str>, Value>>);

impl Map {
    /// An empty `map[string]interface {}`.
    pub fn new() -> Self {
        Self::with_type(MapType::Any)
    }

    /// An empty map of a type.
    pub fn with_type(map_type: MapType) -> Self {
        Self { entries: Arc::new(Entries(Mutex::new(BTreeMap::new()))), map_type }
    }

    /// The same map, not a copy, seen as another type; as Go converts between `chartutil.Values` and
    /// `map[string]interface {}`.
    #[must_use]
    pub fn as_type(&self, map_type: MapType) -> Self {
        Self { entries: Arc::clone(&self.entries), map_type }
    }

    /// Go's type of it.
    pub const fn map_type(&self) -> MapType {
        self.map_type
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<Value> {
        trace::read(self.address(), key);
        self.lock().get(key).cloned()
    }

    /// Whether `key` is there, even with `nil` as its value.
    pub fn contains(&self, key: &str) -> bool {
        trace::read(self.address(), key);
        self.lock().contains_key(key)
    }

    /// Sets `key`, and gives what it was before.
    pub fn insert(&self, key: impl Into<Arc<str>>, value: Value) -> Option<Value> {
        trace::wrote(self.address());
        self.lock().insert(key.into(), value)
    }

    /// Takes `key` out.
    pub fn remove(&self, key: &str) -> Option<Value> {
        trace::wrote(self.address());
        self.lock().remove(key)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The keys, in order.
    pub fn keys(&self) -> Vec<Arc<str>> {
        trace::read_whole(self.address());
        self.lock().keys().cloned().collect()
    }

    /// The entries as they are now, in the order of their keys.
    pub fn entries(&self) -> Vec<(Arc<str>, Value)> {
        trace::read_whole(self.address());
        self.lock().iter().map(|(key, value)| (Arc::clone(key), value.clone())).collect()
    }

    /// Where its entries are: the same for all its clones, as long as one of them is there.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.entries) as usize
    }

    /// Whether both are the same map, not just equal ones.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    /// As [`Value::deep_copy`].
    pub fn deep_copy(&self, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let copy = Self::with_type(self.map_type);
        for (key, value) in self.entries() {
            copy.insert(key, value.deep_copy(depth)?);
        }
        Some(copy)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Value>> {
        // Nothing that can panic runs under the lock.
        self.entries.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Into<Arc<str>>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        let map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

/// Keys only: a map may hold itself.
impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

// A template can nest values as deep as it can take steps. Dropping them one inside the other would overflow
// the stack, so containers with no other owner are taken apart in a loop.
impl Drop for Items {
    fn drop(&mut self) {
        if self.0.iter().any(Value::is_container) {
            take_apart(std::mem::take(&mut self.0));
        }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        let entries = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if entries.values().any(Value::is_container) {
            take_apart(std::mem::take(entries).into_values().collect());
        }
    }
}

impl Value {
    const fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }
}

fn take_apart(mut values: Vec<Value>) {
    while let Some(value) = values.pop() {
        match value {
            Value::List(list) => {
                if let Some(mut items) = Arc::into_inner(list.items) {
                    values.append(&mut items.0);
                }
            }
            Value::Map(map) => {
                if let Some(mut entries) = Arc::into_inner(map.entries) {
                    let entries = entries.0.get_mut().unwrap_or_else(PoisonError::into_inner);
                    values.extend(std::mem::take(entries).into_values());
                }
            }
            _ => {}
        }
    }
}

/// A Go struct: named fields in Go's order.
#[derive(Clone, Debug)]
pub struct Struct {
    /// Go's name of the type, like `chart.Metadata`. Methods go by it.
    pub type_name: &'static str,
    /// The fields.
    pub fields: Vec<Field>,
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name that templates use, like `AppVersion`.
    pub name: &'static str,
    /// The name in JSON and YAML, like `appVersion`.
    pub json: &'static str,
    /// Whether JSON and YAML leave it out when it is empty.
    pub omit_empty: bool,
    /// Whether it is an embedded struct, whose fields are reached as if they were this struct's own.
    pub embedded: bool,
    /// The value.
    pub value: Value,
}

impl Struct {
    /// The value of a field, of embedded structs too.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let own = self.fields.iter().find(|field| field.name == name);
        own.map(|field| &field.value).or_else(|| {
            let embedded = self.fields.iter().filter(|field| field.embedded);
            embedded.into_iter().find_map(|field| match &field.value {
                Value::Struct(inner) => inner.field(name),
                _ => None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_map_share_what_is_set() {
        let map = Map::new();
        let value = Value::Map(map.clone());
        value.as_map().unwrap().insert("a", Value::int(1));
        assert!(matches!(map.get("a"), Some(Value::Int(1, IntType::Int))));
        let copy = value.deep_copy(10).unwrap();
        map.remove("a");
        assert!(copy.as_map().unwrap().contains("a"));
    }

    #[test]
    fn values_a_million_deep_are_dropped_without_a_deep_stack() {
        let mut value = Value::Nil;
        for depth in 0..1_000_000 {
            value = match depth % 2 {
                0 => Value::list([value]),
                _ => Value::Map(Map::from_iter([("a", value)])),
            };
        }
        drop(value);
    }

    #[test]
    fn a_map_that_holds_itself_is_not_copied_for_ever() {
        let map = Map::new();
        map.insert("self", Value::Map(map.clone()));
        assert!(map.deep_copy(100).is_none());
        map.remove("self");
    }
}
