use std::path::PathBuf;

use crate::exit::{Code, Failure};

/// Where `name` lies in the user's state (XDG Base Directory Specification), which outlives a
/// restart of the machine.
pub(crate) fn state(name: &str) -> Result<PathBuf, Failure> {
    below("XDG_STATE_HOME", ".local/state", name)
}

fn below(variable: &str, home: &str, name: &str) -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set(variable).or_else(|| Some(set("HOME")?.join(home)));
    let base = base.ok_or_else(|| {
        Failure::text(Code::Usage, format!("neither {variable} nor HOME says where {name} is kept"))
    })?;
    Ok(base.join("bundle").join(name))
}
