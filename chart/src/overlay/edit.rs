//! Changes of one value inside a map of values.
//! Takes maps and a path; gives changed copies, with whole lists where Helm replaces lists.

use std::sync::Arc;

use crate::discover::Step;
use crate::{List, ListType, Map, Value};

/// A copy of `over` with a value at a path. Tables that it lacks are made. It has all items of a list,
/// because Helm replaces lists as a whole: they come from `base`, the chart's own values.
///
/// `None` if the path leads through what is neither table nor list.
pub(super) fn put(over: &Map, base: &Map, path: &[Step], value: Value) -> Option<Map> {
    let root = placed(Some(Value::Map(over.clone())), Some(Value::Map(base.clone())), path, value)?;
    root.as_map().cloned()
}

fn placed(over: Option<Value>, base: Option<Value>, path: &[Step], value: Value) -> Option<Value> {
    let Some((step, rest)) = path.split_first() else { return Some(value) };
    match step {
        Step::Key(key) => {
            let table = match &over {
                Some(Value::Map(table)) => table.entries().into_iter().collect(),
                // An empty list or text often stands for an empty table.
                _ => Map::new(),
            };
            let below = base.and_then(|base| base.as_map()?.get(key));
            table.insert(Arc::clone(key), placed(table.get(key), below, rest, value)?);
            Some(Value::Map(table))
        }
        Step::Index(index) => {
            let list = over.filter(|over| over.as_list().is_some()).or(base)?;
            let mut items: Vec<Value> = list.as_list()?.iter().cloned().collect();
            let item = items.get_mut(*index)?;
            *item = placed(Some(item.clone()), Some(item.clone()), rest, value)?;
            Some(Value::List(List::new(items, ListType::Any)))
        }
        Step::Inside => None,
    }
}

/// The value at a path.
pub(super) fn at(values: &Map, path: &[Step]) -> Option<Value> {
    path.iter().try_fold(Value::Map(values.clone()), |value, step| match (step, &value) {
        (Step::Key(key), Value::Map(table)) => table.get(key),
        (Step::Index(index), Value::List(list)) => list.get(*index).cloned(),
        _ => None,
    })
}

/// The path of a field of a table.
pub(super) fn field(table: &[Step], key: &str) -> Vec<Step> {
    table.iter().cloned().chain([Step::Key(key.into())]).collect()
}

/// A path of keys: `core.resources`.
pub(super) fn keys(path: &str) -> Vec<Step> {
    path.split('.').filter(|key| !key.is_empty()).map(|key| Step::Key(key.into())).collect()
}

/// A path of keys as people write it.
pub(super) fn shown(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", &**key]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Inside => text.push_str(" > "),
        }
    }
    text
}

/// Everything in values that is neither table nor list, with its path. Lists are looked into.
pub(super) fn scalars(values: &Map) -> Vec<(Vec<Step>, Value)> {
    let mut found = Vec::new();
    each(&Value::Map(values.clone()), &mut Vec::new(), &mut |path, value| {
        if !matches!(value, Value::Map(_) | Value::List(_)) {
            found.push((path.to_vec(), value.clone()));
        }
    });
    found
}

/// Calls `see` with every value and its path, tables before what is in them.
pub(super) fn each(value: &Value, path: &mut Vec<Step>, see: &mut dyn FnMut(&[Step], &Value)) {
    see(path, value);
    let mut enter = |step: Step, inner: &Value| {
        path.push(step);
        each(inner, path, see);
        path.pop();
    };
    match value {
        Value::Map(table) => {
            table.entries().iter().for_each(|(key, inner)| enter(Step::Key(Arc::clone(key)), inner));
        }
        Value::List(list) => {
            list.iter().enumerate().for_each(|(index, inner)| enter(Step::Index(index), inner));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::{json, map};

    #[test]
    fn values_are_put_where_they_belong_and_lists_stay_whole() {
        let base = map(r#"{"a":{"b":1,"c":[{"x":1,"y":2},"z"]},"t":"text"}"#);
        let over = map(r#"{"k":1}"#);
        let step = |key: &str| Step::Key(key.into());
        let path = [step("a"), step("c"), Step::Index(0), step("y")];
        let once = put(&over, &base, &path, Value::int(3)).unwrap();
        assert_eq!(json(&Value::Map(once.clone())), r#"{"a":{"c":[{"x":1,"y":3},"z"]},"k":1}"#);
        let path = [step("a"), step("c"), Step::Index(1)];
        let twice = put(&once, &base, &path, Value::from("w")).unwrap();
        assert_eq!(json(&Value::Map(twice.clone())), r#"{"a":{"c":[{"x":1,"y":3},"w"]},"k":1}"#);
        assert_eq!(at(&twice, &path).unwrap().as_str(), Some("w"));
        // The source map and the chart's own values are unchanged.
        assert_eq!(json(&Value::Map(over.clone())), r#"{"k":1}"#);
        assert!(json(&Value::Map(base.clone())).contains(r#""y":2"#));
        assert!(put(&over, &base, &[step("a"), step("c"), Step::Index(2)], Value::Nil).is_none());
        assert!(put(&over, &base, &[step("t"), Step::Inside], Value::Nil).is_none());
        assert_eq!(shown(&field(&keys("a.c"), "d")), "a.c.d");
    }
}
