//! Threads that the system refuses. Libraries start threads in ways that panic if the system has none left;
//! without this, the other threads would wait for what never comes.

use std::panic::{PanicHookInfo, set_hook, take_hook};

use crate::exit::{Failure, Id};

/// Ends the program with a message and exit code 1 if a thread is refused. Other panics go on as they do.
pub(crate) fn explain_refusals() {
    let before = take_hook();
    set_hook(Box::new(move |panic| match refused(panic) {
        Some(why) => {
            let text = format!("the system refuses another thread: {why}");
            let hint = "raise the limit of processes (ulimit -u, TasksMax= or pids.max), or use fewer --jobs";
            let code = Failure::text(Id::Resources, text).hint(hint);
            code.report();
            std::process::exit(i32::from(Id::Resources.code().number()));
        }
        None => before(panic),
    }));
}

/// The messages of the standard library and Tokio if a thread cannot be started.
fn refused(panic: &PanicHookInfo<'_>) -> Option<String> {
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied())?;
    why(text).map(str::to_owned)
}

fn why(text: &str) -> Option<&str> {
    let (_, why) = ["OS can't spawn worker thread: ", "failed to spawn thread: "]
        .into_iter()
        .find_map(|begin| text.split_once(begin))?;
    Some(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_thread_ends_the_program() {
        let refused = "OS can't spawn worker thread: Resource temporarily unavailable (os error 11)";
        assert_eq!(why(refused), Some("Resource temporarily unavailable (os error 11)"));
        assert_eq!(why("index out of bounds: the len is 0 but the index is 0"), None);
    }
}
