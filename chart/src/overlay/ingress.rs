//! Gives a chart's ingress a host name.
//! Takes an [`Overlay`] and a host; changes the overlay, or says why the chart cannot have one.

use std::collections::BTreeSet;

use super::edit::{put, scalars, shown};
use super::{Overlay, OverlayError};
use crate::{Document, Rendering, Value};

/// Why a host cannot be given to a chart.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// The chart makes no ingress with these values.
    #[error("with these values the chart creates no ingress")]
    None,
    /// Several hosts, and nothing says which is meant.
    #[error("the chart creates ingresses for several hosts: {}", .0.join(", "))]
    Several(Vec<String>),
    /// A host that is in no value.
    #[error("no value of the chart sets the host {0} of its ingress")]
    NoValue(String),
    /// The chart cannot be rendered.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
}

impl Overlay<'_> {
    /// Gives the ingress or the route that the chart makes another host, and with it every address in the
    /// values that has the old one. The paths of these values are returned.
    ///
    /// # Errors
    /// Any [`IngressError`].
    pub fn host(&mut self, host: &str) -> Result<Vec<String>, IngressError> {
        let hosts = hosts(&self.rendering);
        let old = match hosts.iter().collect::<Vec<_>>()[..] {
            [] => return Err(IngressError::None),
            [old] if old == host => return Ok(Vec::new()),
            [old] => old.clone(),
            _ => return Err(IngressError::Several(hosts.into_iter().collect())),
        };
        let mut values = self.values.clone();
        let mut changed = Vec::new();
        for (path, value) in scalars(&self.rendering.values) {
            let new = value.as_str().and_then(|text| renamed(text, &old, host));
            if let Some(new) = new
                && let Some(with) = put(&values, &self.rendering.values, &path, Value::from(new))
            {
                values = with;
                changed.push(shown(&path));
            }
        }
        match self.attempt(&values)? {
            Some(rendering) if self::hosts(&rendering).iter().eq([host]) => {
                self.take(values, rendering);
                Ok(changed)
            }
            _ => Err(IngressError::NoValue(old)),
        }
    }
}

/// A text with another host: the host alone, or an address.
fn renamed(text: &str, old: &str, new: &str) -> Option<String> {
    if text == old {
        return Some(new.to_owned());
    }
    let (scheme, rest) = text.split_once("://")?;
    let behind = rest.strip_prefix(old)?;
    (behind.is_empty() || behind.starts_with(['/', ':'])).then(|| format!("{scheme}://{new}{behind}"))
}

/// The hosts that ingresses and routes of a rendering answer to.
fn hosts(rendering: &Rendering) -> BTreeSet<String> {
    rendering.documents.iter().flat_map(hosts_of).collect()
}

fn hosts_of(document: &Document) -> Vec<String> {
    let Some(object) = document.value.as_map() else { return Vec::new() };
    let Some(kind) = object.get("kind").and_then(|kind| kind.as_str().map(str::to_owned)) else {
        return Vec::new();
    };
    let spec = object.get("spec").and_then(|spec| spec.as_map().cloned()).unwrap_or_default();
    let list = |key: &str| -> Vec<Value> {
        spec.get(key).and_then(|list| Some(list.as_list()?.iter().cloned().collect())).unwrap_or_default()
    };
    let texts: Vec<Value> = match kind.as_str() {
        "Ingress" => list("rules").iter().filter_map(|rule| rule.as_map()?.get("host")).collect(),
        "HTTPRoute" => list("hostnames"),
        _ => Vec::new(),
    };
    texts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_renamed_in_addresses_and_nowhere_else() {
        for (text, new) in [
            ("core.example", Some("h")),
            ("https://core.example", Some("https://h")),
            ("https://core.example:8443/x", Some("https://h:8443/x")),
            ("https://core.example.org", None),
            ("see core.example", None),
            ("score.example", None),
        ] {
            assert_eq!(renamed(text, "core.example", "h").as_deref(), new, "{text}");
        }
    }
}
