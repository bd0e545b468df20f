//! Go values as templates see them.
//! [`Value`] is shared like Go's maps and lists; [`Map`] and [`List`] keep the Go types that functions tell apart.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Version;
use crate::go::time::Time;
use crate::table::Table;
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

    /// As [`Map::lazy_copy`].
    pub(crate) fn lazy_copy(&self) -> Self {
        match self {
            Self::Map(map) => Self::Map(map.lazy_copy()),
            // Lists never change; only maps inside them do.
            Self::List(list) if list.iter().any(Self::is_container) => {
                let items: Vec<_> = list.iter().map(Self::lazy_copy).collect();
                Self::List(List::new(items, list.list_type()))
            }
            other => other.clone(),
        }
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

struct Entries {
    /// No two maps of a process have the same, and none gets that of one that is gone.
    id: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    table: Table,
    /// The map that this one is a copy of, as long as nobody has looked into it.
    original: Option<Map>,
}

impl Map {
    /// An empty `map[string]interface {}`.
    pub fn new() -> Self {
        Self::with_type(MapType::Any)
    }

    /// An empty map of a type.
    pub fn with_type(map_type: MapType) -> Self {
        Self::of(State::default(), map_type)
    }

    fn of(state: State, map_type: MapType) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { entries: Arc::new(Entries { id, state: Mutex::new(state) }), map_type }
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
        trace::read(self.id(), key);
        self.opened().table.get(key).cloned()
    }

    /// Whether `key` is there, even with `nil` as its value.
    pub fn contains(&self, key: &str) -> bool {
        trace::read(self.id(), key);
        self.opened().table.contains_key(key)
    }

    /// Sets `key`, and gives what it was before.
    pub fn insert(&self, key: impl Into<Arc<str>>, value: Value) -> Option<Value> {
        trace::wrote(self.id());
        let key = key.into();
        self.opened().table.insert(key, value)
    }

    /// Takes `key` out.
    pub fn remove(&self, key: &str) -> Option<Value> {
        trace::wrote(self.id());
        self.opened().table.remove(key)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.opened().table.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.opened().table.len() == 0
    }

    /// The keys, in order.
    pub fn keys(&self) -> Vec<Arc<str>> {
        trace::read_whole(self.id());
        self.opened().table.keys()
    }

    /// The entries as they are now, in the order of their keys.
    pub fn entries(&self) -> Vec<(Arc<str>, Value)> {
        trace::read_whole(self.id());
        self.opened().table.entries()
    }

    /// The same for all its clones, and for no other map.
    pub(crate) fn id(&self) -> usize {
        self.entries.id
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

    /// A copy that shares no map with the original, and whose parts are made when somebody looks into them:
    /// renderings read a small part of the values. The original, and all maps in it, must stay as they are
    /// from now on.
    pub(crate) fn lazy_copy(&self) -> Self {
        Self::of(State { table: Table::new(), original: Some(self.clone()) }, self.map_type)
    }

    /// Whether it is a copy into which nobody has looked.
    pub(crate) fn is_untouched(&self) -> bool {
        self.lock().original.is_some()
    }

    /// The map that has its content: the original of a copy into which nobody has looked. Only to be read.
    pub(crate) fn original(&self) -> Self {
        let mut map = self.clone();
        loop {
            let original = map.lock().original.clone();
            match original {
                Some(original) => map = original,
                None => return map,
            }
        }
    }

    /// The entries, made by now.
    fn opened(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if let Some(original) = state.original.take() {
            let table = original.opened().table.with(Value::lazy_copy);
            state.table = table;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.entries.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.original.is_some() || state.table.any(Value::is_container) {
            let mut values = Vec::new();
            state.empty_into(&mut values);
            take_apart(values);
        }
    }
}

impl State {
    fn empty_into(&mut self, values: &mut Vec<Value>) {
        self.table.empty_into(values, Value::is_container);
        values.extend(self.original.take().map(Value::Map));
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
                    entries.state.get_mut().unwrap_or_else(PoisonError::into_inner).empty_into(&mut values);
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
    fn a_lazy_copy_is_a_copy_at_every_depth() {
        let inner = Map::from_iter([("x", Value::int(1))]);
        let list = Value::list([Value::Map(inner.clone())]);
        let map = Map::from_iter([("a", Value::Map(inner)), ("l", list), ("s", Value::from("t"))]);
        let copy = map.lazy_copy();
        let again = copy.lazy_copy();
        assert!(copy.is_untouched() && again.original().is_same(&map));
        let first = |map: &Map| match (map.get("a"), map.get("l")) {
            (Some(Value::Map(a)), Some(Value::List(l))) => (a, l[0].as_map().unwrap().clone()),
            _ => panic!("{map:?}"),
        };
        let (a, item) = first(&again);
        a.insert("x", Value::int(2));
        item.insert("x", Value::int(2));
        again.remove("s");
        let one = |map: &Map| matches!(map.get("x"), Some(Value::Int(1, _)));
        for unchanged in [&map, &copy] {
            let (a, item) = first(unchanged);
            assert!(one(&a) && one(&item) && unchanged.contains("s"));
        }
        assert!(!one(&first(&again).0) && !one(&first(&again).1) && !again.is_untouched());
    }

    #[test]
    fn a_chain_of_a_million_lazy_copies_is_dropped_without_a_deep_stack() {
        let mut map = Map::from_iter([("a", Value::int(1))]);
        for _ in 0..1_000_000 {
            map = map.lazy_copy();
        }
        drop(map);
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
