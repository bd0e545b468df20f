//! Template functions: Go's, Sprig's and Helm's.
//! Start at [`find`]; each file is one subject and has a table of its functions.

mod call;
mod certificates;
mod compare;
mod dates;
mod decimal;
mod decoded;
mod defaults;
mod dicts;
mod encoding;
mod files;
mod glob;
mod helm;
mod lists;
mod markup;
mod math;
mod methods;
mod paths;
mod reflect;
mod regexes;
mod semver;
mod strings;
mod table;
mod toml;
mod urls;
mod words;

pub use call::Lookup;
pub(crate) use call::{Call, Context, Failure};
pub(crate) use compare::missing;
pub(crate) use decoded::DecodedTexts;
pub(crate) use methods::{KUBE_VERSION, method};
pub(crate) use table::{Body, Function, find};
