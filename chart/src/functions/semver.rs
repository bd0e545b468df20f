//! Template functions `semver` and `semverCompare` (Sprig).
//! Take texts; give versions and comparisons.

use super::{Failure, Function};
use crate::{Constraint, Value, Version};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("semver", 1, |call| Ok(Value::Version(version(call.string(0)?)?.into()))),
    Function::fixed("semverCompare", 2, |call| {
        let constraint: Constraint = call
            .string(0)?
            .parse()
            .map_err(|_| Failure::Message(improper(call.string(0).unwrap_or_default())))?;
        Ok(Value::Bool(constraint.allows(&version(call.string(1)?)?)))
    }),
];

fn version(text: &str) -> Result<Version, Failure> {
    text.parse().map_err(|error: crate::ParseVersionError| Failure::Message(error.to_string()))
}

fn improper(constraint: &str) -> String {
    format!("improper constraint: {constraint}")
}
