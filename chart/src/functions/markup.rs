//! Template functions that escape or print texts (Go's `html`, `js`, `urlquery`, `print`).
//! Take values; give texts.

use super::{Call, Failure, Function};
use crate::Value;
use crate::go::format::{sprint, sprintf, sprintln};
use crate::go::quote::is_print;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("print", 0, |call| Ok(sprint(call.rest(0), call.budget())?.into())),
    Function::variadic("println", 0, |call| Ok(sprintln(call.rest(0), call.budget())?.into())),
    Function::variadic("printf", 1, |call| Ok(sprintf(call.string(0)?, call.rest(1), call.budget())?.into())),
    Function::variadic("html", 0, |call| call.give(escaped_html(&printed(call)?))),
    Function::variadic("js", 0, |call| call.give(escaped_js(&printed(call)?))),
    Function::variadic("urlquery", 0, |call| call.give(super::urls::query_escaped(&printed(call)?))),
    // Sprig's first function.
    Function::fixed("hello", 0, |_| Ok(Value::from("Hello!"))),
];

/// All arguments printed, `nil` as an action prints it.
fn printed(call: &Call<'_>) -> Result<String, Failure> {
    let shown = |value: &Value| if value.is_nil() { Value::from("<no value>") } else { value.clone() };
    let values: Vec<_> = call.rest(0).iter().map(shown).collect();
    Ok(sprint(&values, call.budget())?)
}

fn escaped_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn escaped_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..=' ' if c != ' ' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c if c.is_ascii() || is_print(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    out
}
