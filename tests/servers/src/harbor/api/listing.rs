//! Lists: pages, their links, and the `q` parameter.
//! Takes all of a list and the request; gives the page, `X-Total-Count` and `Link`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Call;
use crate::harbor::answer::{Answer, Code, Refusal};

impl Call<'_> {
    /// The page that is asked for, its total and its links: ten to a page, a hundred at most.
    pub(super) fn page(&self, items: Vec<Value>) -> Result<Answer, Refusal> {
        self.page_of(items, |item| item)
    }

    /// The same, of which only what is shown is written.
    pub(super) fn page_of<T>(&self, items: Vec<T>, write: impl FnMut(T) -> Value) -> Result<Answer, Refusal> {
        let number = |name: &str, default: usize| match self.request.query.filled(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| {
                Refusal::new(
                    Code::Unprocessable,
                    format!("validation failure list:\n{name} in query must be of type int64: \"{text}\""),
                )
            }),
        };
        let (page, size): (usize, usize) = (number("page", 1)?, number("page_size", 10)?);
        if size > 100 {
            return Err(Refusal::new(
                Code::Unprocessable,
                "validation failure list:\npage_size in query should be less than or equal to 100",
            ));
        }
        let total = items.len();
        let first = page.saturating_sub(1).saturating_mul(size);
        let shown: Vec<Value> = items.into_iter().skip(first).take(size).map(write).collect();
        let answer = Answer::json(200, &json!(shown)).with_header("X-Total-Count", &total.to_string());
        let link = |page: usize, relation: &str| {
            let query =
                self.request.query.with(&[("page", page.to_string()), ("page_size", size.to_string())]);
            format!("<{}?{query}>; rel=\"{relation}\"", self.request.head.path())
        };
        let mut links = Vec::new();
        if page > 1 && first < total {
            links.push(link(page - 1, "prev"));
        }
        if first.saturating_add(size) < total {
            links.push(link(page + 1, "next"));
        }
        Ok(if links.is_empty() { answer } else { answer.with_header("Link", &links.join(" , ")) })
    }

    /// The `q` parameter.
    pub(super) fn keywords(&self) -> Result<Keywords, Refusal> {
        Keywords::parse(self.request.query.filled("q").unwrap_or_default())
    }
}

/// Harbor's query language (`lib/q/builder.go`): `k=v,k=~v,k={a b},k=(a b),k=[a~b]`.
#[derive(Debug, Default)]
pub(super) struct Keywords(BTreeMap<String, Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    Contains(String),
    OneOf(Vec<String>),
    AllOf(Vec<String>),
    /// Ranges, which nothing here understands.
    Other,
}

impl Pattern {
    fn matches(&self, value: &str) -> bool {
        match self {
            Pattern::Exact(wanted) => value == wanted,
            Pattern::Contains(part) => value.contains(part),
            Pattern::OneOf(wanted) => wanted.iter().any(|wanted| value == wanted),
            Pattern::AllOf(_) | Pattern::Other => true,
        }
    }
}

impl Keywords {
    fn parse(query: &str) -> Result<Keywords, Refusal> {
        let mut keywords = BTreeMap::new();
        for parameter in query.split(',').filter(|_| !query.is_empty()) {
            let (key, value) = parameter
                .split_once('=')
                .filter(|(key, value)| !key.is_empty() && !value.is_empty())
                .ok_or_else(|| {
                    Refusal::bad_request(
                        "the query string must contain \"=\" and the key/value cannot be empty",
                    )
                })?;
            let pattern = match value.split_at(1) {
                ("~", part) => Pattern::Contains(part.to_owned()),
                ("{", list) => match list.strip_suffix('}') {
                    Some(list) => Pattern::OneOf(list.split(' ').map(unquoted).collect()),
                    None => {
                        return Err(Refusal::bad_request(format!("invalid query string value: {value}")));
                    }
                },
                ("(", list) => match list.strip_suffix(')') {
                    Some(list) => Pattern::AllOf(list.split(' ').map(unquoted).collect()),
                    None => {
                        return Err(Refusal::bad_request(format!("invalid query string value: {value}")));
                    }
                },
                ("[", _) => Pattern::Other,
                _ => Pattern::Exact(unquoted(value)),
            };
            keywords.insert(key.to_owned(), pattern);
        }
        Ok(Keywords(keywords))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Pattern> {
        self.0.get(key)
    }

    /// The value of `key=value`.
    pub(super) fn exact(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Pattern::Exact(value)) => Some(value),
            _ => None,
        }
    }

    /// Whether the value passes, where the key is asked for at all.
    pub(super) fn admits(&self, key: &str, value: &str) -> bool {
        self.get(key).is_none_or(|pattern| pattern.matches(value))
    }
}

fn unquoted(value: &str) -> String {
    let quoted = |quote| value.strip_prefix(quote).and_then(|v: &str| v.strip_suffix(quote));
    quoted('\'').or_else(|| quoted('"')).unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_as_harbor_reads_them() {
        for (query, value, admitted) in [
            ("", "a", true),
            ("name=a", "a", true),
            ("name=a", "ab", false),
            ("name=~b", "abc", true),
            ("name={'a' 'b'}", "b", true),
            ("name={a b}", "c", false),
            ("name='123'", "123", true),
            ("other=x", "a", true),
        ] {
            assert_eq!(Keywords::parse(query).unwrap().admits("name", value), admitted, "{query}");
        }
        for wrong in ["name", "=a", "name=", "name={a"] {
            assert!(Keywords::parse(wrong).is_err(), "{wrong}");
        }
    }
}
