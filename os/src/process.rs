//! Limits of this process, and the end of those that it started.
//! Raises the limit on open files, forbids core dumps; takes the number of a process, ends its group.

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};

/// Raises the limit on open files as far as this process may, and says what it is then.
pub fn allow_many_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// Lets no crash write this process's memory, with its keys and passwords, to a file: no core dump is
/// larger than nothing from here on, nor one of a program that this one starts.
pub fn forbid_core_dumps() {
    // To lower a limit is always allowed.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Ends a process that leads its own group and was not waited for yet, with all of the group.
pub fn end_group(leader: u32) {
    let leader = i32::try_from(leader).ok().and_then(Pid::from_raw);
    // What has ended already needs no end.
    let _ = leader.map(|leader| kill_process_group(leader, Signal::KILL));
}

#[cfg(test)]
mod core_tests {
    #[test]
    fn no_core_dump_is_larger_than_nothing() {
        super::forbid_core_dumps();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    }
}
