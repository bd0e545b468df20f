//! The newest lines of this run, in bounded memory. Takes lines as they come; gives them to a file when the run
//! has failed, so that `bundle support` finds them.

use std::collections::VecDeque;
use std::path::Path;

use bundle_os::Access;
use jiff::Timestamp;

/// The file below the directory of the user's state.
pub(crate) const LAST_LOG: &str = "last-failed.log";

/// The bytes of the lines that are kept: thousands of requests.
const MOST: usize = 512 << 10;

/// The newest lines.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl Recent {
    /// Adds a line, and drops the oldest ones that are too many.
    pub(crate) fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > MOST
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }

    /// Replaces the file with these lines and a head that says which run they are of.
    pub(crate) fn write(&self, path: &Path, command: &str, code: u8) {
        let mut text = format!(
            "# bundle {} {command}, ended {:.0} with exit code {code}\n",
            env!("CARGO_PKG_VERSION"),
            Timestamp::now()
        );
        if self.dropped > 0 {
            text.push_str(&format!("# {} older lines were dropped\n", self.dropped));
        }
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        // A machine without a place for it is no reason to fail again.
        let _ = bundle_os::create_directory(directory, Access::Owner)
            .and_then(|()| bundle_os::replace_secret(path, text.as_bytes()).map_err(|error| error.source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_in_bounded_memory() {
        let mut recent = Recent::default();
        for number in 0..20_000 {
            recent.push(format!("{number:0>100}"));
        }
        assert!(recent.bytes <= MOST && recent.lines.len() > 5000);
        assert!(recent.lines.back().unwrap().ends_with("19999"));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/last-failed.log");
        recent.write(&path, "import", 4);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.starts_with("# bundle ") && text.contains(" import, ended ") && text.contains("code 4\n")
        );
        assert!(text.contains("older lines were dropped\n") && text.ends_with("19999\n"));
    }
}
