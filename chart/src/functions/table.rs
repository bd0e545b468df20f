//! The table of all template functions by their names, and what an entry of it says.
//! Takes a name; gives the function, or none.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::call::{Call, Failure};
use super::{
    certificates, compare, dates, defaults, dicts, encoding, helm, lists, markup, math, paths, reflect,
    regexes, semver, strings, urls, words,
};

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// How many arguments it takes at least.
    pub(crate) least: usize,
    /// How many it takes at most; `None` for any number.
    pub(crate) most: Option<usize>,
    pub(crate) body: Body,
}

/// The implementation of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// Its arguments are all it needs.
    Plain(fn(&Call<'_>) -> Result<crate::Value, Failure>),
    /// Goes through its arguments up to the first that is false.
    And,
    /// Goes through its arguments up to the first that is true.
    Or,
    /// Renders a template by its name.
    Include,
    /// Renders a text as a template.
    Tpl,
}

impl Function {
    /// A function with a fixed number of arguments.
    pub(super) const fn fixed(
        name: &'static str,
        count: usize,
        body: fn(&Call<'_>) -> Result<crate::Value, Failure>,
    ) -> Self {
        Self { name, least: count, most: Some(count), body: Body::Plain(body) }
    }

    /// A function with any number of arguments from `least` on.
    pub(super) const fn variadic(
        name: &'static str,
        least: usize,
        body: fn(&Call<'_>) -> Result<crate::Value, Failure>,
    ) -> Self {
        Self { name, least, most: None, body: Body::Plain(body) }
    }

    const fn special(name: &'static str, least: usize, most: Option<usize>, body: Body) -> Self {
        Self { name, least, most, body }
    }
}

/// The functions that only the evaluator can carry out.
const SPECIAL: &[Function] = &[
    Function::special("and", 1, None, Body::And),
    Function::special("or", 1, None, Body::Or),
    Function::special("include", 2, Some(2), Body::Include),
    Function::special("tpl", 2, Some(2), Body::Tpl),
];

/// The function with a name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    static FUNCTIONS: OnceLock<HashMap<&'static str, &'static Function>> = OnceLock::new();
    let functions = FUNCTIONS.get_or_init(|| {
        let modules = [
            SPECIAL,
            certificates::FUNCTIONS,
            compare::FUNCTIONS,
            dates::FUNCTIONS,
            defaults::FUNCTIONS,
            dicts::FUNCTIONS,
            encoding::FUNCTIONS,
            helm::FUNCTIONS,
            lists::FUNCTIONS,
            markup::FUNCTIONS,
            math::FUNCTIONS,
            paths::FUNCTIONS,
            reflect::FUNCTIONS,
            regexes::FUNCTIONS,
            semver::FUNCTIONS,
            strings::FUNCTIONS,
            urls::FUNCTIONS,
            words::FUNCTIONS,
        ];
        modules.into_iter().flatten().map(|function| (function.name, function)).collect()
    });
    functions.get(name).copied()
}
