//! The default places of the user's files.
//! Takes the environment, gives paths.

use std::path::PathBuf;

use crate::environment::{self, HOME, Variable, XDG_STATE_HOME};
use crate::exit::{Code, Failure};

/// Where `name` lies in the user's state (XDG Base Directory Specification), which outlives a
/// restart of the machine.
pub(crate) fn state(name: &str) -> Result<PathBuf, Failure> {
    below(XDG_STATE_HOME, ".local/state", name)
}

fn below(variable: Variable, home: &str, name: &str) -> Result<PathBuf, Failure> {
    let set = |variable| environment::path(variable).filter(|path| path.is_absolute());
    let base = set(variable).or_else(|| Some(set(HOME)?.join(home)));
    let base = base.ok_or_else(|| {
        Failure::text(Code::Usage, format!("neither {} nor HOME says where {name} is kept", variable.name))
    })?;
    Ok(base.join("bundle").join(name))
}
