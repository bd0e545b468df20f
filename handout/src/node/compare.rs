//! Compares a node's files with the files that it should have. Takes the files and the root of a node's file
//! system; gives each deviation.

use std::io;
use std::path::Path;

use super::{NodeFile, Secrecy};
use crate::limits::Limits;

/// How a file on a node deviates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// It is not there.
    Missing,
    /// It says something else, from this line on; comments and empty lines do not count.
    Differs {
        /// The line, counted from 1.
        line: usize,
    },
    /// It has a password, and more people than its owner can read it.
    Open,
    /// It cannot be read.
    Unreadable(io::ErrorKind),
}

/// Compares the files with those below the root of a node's file system. Each that deviates is
/// given by its path below the root.
pub fn compare_tree<'a>(files: &'a [NodeFile], root: &Path) -> Vec<(&'a str, Deviation)> {
    files.iter().filter_map(|file| Some((file.path.as_str(), deviation(file, root)?))).collect()
}

fn deviation(file: &NodeFile, root: &Path) -> Option<Deviation> {
    let path = root.join(&file.path);
    let found = match bundle_os::read_text(&path, Limits::DEFAULT.node_file) {
        Ok(found) => zeroize::Zeroizing::new(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Deviation::Missing),
        Err(error) => return Some(Deviation::Unreadable(error.kind())),
    };
    let mut wanted = said(&file.content);
    for (number, line) in said(&found) {
        if wanted.next().map(|(_, line)| line) != Some(line) {
            return Some(Deviation::Differs { line: number });
        }
    }
    if wanted.next().is_some() {
        return Some(Deviation::Differs { line: found.lines().count() + 1 });
    }
    let open = file.secrecy == Secrecy::Owner
        && path.metadata().is_ok_and(|metadata| bundle_os::mode(&metadata) & 0o077 != 0);
    open.then_some(Deviation::Open)
}

/// The content of a file: its lines with their numbers, without comments, which name the bundle that it was
/// made from.
fn said(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_deviates_where_it_would_behave_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let files = [
            NodeFile::new("etc/a", "# made today\none: 1\ntwo: 2\n"),
            NodeFile::new("etc/b", "password\n").secret_if(true),
            NodeFile::new("etc/c", "c\n"),
        ];
        std::fs::create_dir(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/a"), "# made yesterday\n\none: 1\ntwo: 3\n").unwrap();
        std::fs::write(root.join("etc/b"), "password\n").unwrap();
        let set = |mode| {
            let access = if mode { bundle_os::Access::Owner } else { bundle_os::Access::Everyone };
            bundle_os::set_file_access(&std::fs::File::open(root.join("etc/b")).unwrap(), access).unwrap();
        };
        set(false);
        assert_eq!(
            compare_tree(&files, root),
            [
                ("etc/a", Deviation::Differs { line: 4 }),
                ("etc/b", Deviation::Open),
                ("etc/c", Deviation::Missing),
            ]
        );
        std::fs::write(root.join("etc/a"), "one: 1\n").unwrap();
        set(true);
        std::fs::create_dir(root.join("etc/c")).unwrap();
        let found = compare_tree(&files, root);
        assert_eq!(found[0], ("etc/a", Deviation::Differs { line: 2 }));
        assert!(matches!(found[1], ("etc/c", Deviation::Unreadable(_))), "{found:?}");
        std::fs::remove_dir(root.join("etc/c")).unwrap();
        std::fs::write(root.join("etc/a"), "one: 1\ntwo: 2\n").unwrap();
        std::fs::write(root.join("etc/c"), "c").unwrap();
        assert_eq!(compare_tree(&files, root), []);
    }
}
