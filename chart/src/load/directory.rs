use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::archive::Room;
use super::error::{LoadCause, LoadError};
use super::ignore::{Entry, Rules};
use crate::chart::File;

/// The files of a chart's directory, by their paths inside it, without those that its
/// `.helmignore` leaves out. Links are followed as long as they stay inside.
pub(super) fn collect(directory: &Path, room: &mut Room<'_>) -> Result<Vec<File>, LoadError> {
    let whole = |cause| LoadError { places: Vec::new(), cause };
    let root = directory.canonicalize().map_err(|error| whole(LoadCause::Read(error)))?;
    let mut walk = Walk { root, rules: Rules::parse("").map_err(whole)?, room, files: Vec::new() };
    if walk.root.join(IGNORE).symlink_metadata().is_ok() {
        let wrong = |cause| LoadError::new(IGNORE, cause);
        let data = walk.read(IGNORE).map_err(wrong)?;
        let text = String::from_utf8_lossy(&data);
        walk.rules = Rules::parse(&text).map_err(wrong)?;
    }
    walk.enter("", 0)?;
    if walk.files.is_empty() { Err(whole(LoadCause::Empty)) } else { Ok(walk.files) }
}

const IGNORE: &str = ".helmignore";

/// How deep directories may lie inside each other; links can make them endless.
const DEEPEST: usize = 64;

struct Walk<'a, 'b> {
    root: PathBuf,
    rules: Rules,
    room: &'a mut Room<'b>,
    files: Vec<File>,
}

impl Walk<'_, '_> {
    fn enter(&mut self, path: &str, depth: usize) -> Result<(), LoadError> {
        let wrong = |cause| LoadError::new(path, cause);
        if depth > DEEPEST {
            return Err(wrong(LoadCause::PathText));
        }
        let entries =
            std::fs::read_dir(self.root.join(path)).map_err(|error| wrong(LoadCause::Read(error)))?;
        let mut names = Vec::new();
        for entry in entries {
            self.room.take_file().map_err(wrong)?;
            let entry = entry.map_err(|error| wrong(LoadCause::Read(error)))?;
            names.push(entry.file_name().into_string().map_err(|_| wrong(LoadCause::PathText))?);
        }
        names.sort();
        for name in names {
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            self.visit(path, depth)?;
        }
        Ok(())
    }

    fn visit(&mut self, path: String, depth: usize) -> Result<(), LoadError> {
        let wrong = |cause| LoadError::new(path.clone(), cause);
        if path.len() > self.room.limits.path || path.chars().any(char::is_control) {
            return Err(wrong(LoadCause::PathText));
        }
        // What is ignored may lead anywhere; so the rules are asked before a link is followed.
        let place = self.root.join(&path);
        let found = place.symlink_metadata().map_err(|error| wrong(LoadCause::Read(error)))?;
        let followed = if found.is_symlink() { place.metadata().ok() } else { Some(found) };
        let is_directory = followed.as_ref().is_some_and(std::fs::Metadata::is_dir);
        let entry = if is_directory { Entry::Directory } else { Entry::File };
        if self.rules.ignore(&path, entry) {
            return Ok(());
        }
        if is_directory {
            self.inside(&path).map_err(wrong)?;
            return self.enter(&path, depth + 1);
        }
        let data = self.read(&path).map_err(wrong)?;
        self.room.take_bytes(data.len() as u64).map_err(wrong)?;
        self.files.push(File::new(path, data));
        Ok(())
    }

    /// The path without links, if it lies inside the chart.
    fn inside(&self, path: &str) -> Result<PathBuf, LoadCause> {
        let place = self.root.join(path).canonicalize().map_err(LoadCause::Read)?;
        if place.starts_with(&self.root) { Ok(place) } else { Err(LoadCause::Escape) }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, LoadCause> {
        let place = self.inside(path)?;
        // To open a FIFO waits for its writer, unless told not to; regular files do not mind.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(place).map_err(LoadCause::Read)?;
        if !file.metadata().map_err(LoadCause::Read)?.is_file() {
            return Err(LoadCause::NotAFile);
        }
        let mut data = Vec::new();
        let limit = self.room.limits.file;
        file.take(limit + 1).read_to_end(&mut data).map_err(LoadCause::Read)?;
        if data.len() as u64 > limit { Err(LoadCause::FileSize(limit)) } else { Ok(data) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::Limits;

    fn names(directory: &Path) -> Result<Vec<String>, String> {
        let files =
            collect(directory, &mut Room::new(&Limits::DEFAULT)).map_err(|error| error.to_string())?;
        Ok(files.into_iter().map(|file| file.name().to_owned()).collect())
    }

    #[test]
    fn links_are_followed_inside_the_directory_only() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let chart = tempfile::tempdir().unwrap();
        let root = chart.path();
        std::fs::create_dir_all(root.join("files")).unwrap();
        std::fs::write(root.join("Chart.yaml"), "name: a\nversion: 1.0.0\n").unwrap();
        std::fs::write(root.join("files/a"), "a").unwrap();
        symlink("files/a", root.join("inside")).unwrap();
        assert_eq!(names(root).unwrap(), ["Chart.yaml", "files/a", "inside"]);
        for target in [outside.path().join("secret"), outside.path().to_owned()] {
            let link = root.join("link");
            symlink(target, &link).unwrap();
            assert_eq!(names(root).unwrap_err(), "link: it leads out of the chart's directory");
            std::fs::write(root.join(IGNORE), "link\n").unwrap();
            assert!(names(root).is_ok());
            std::fs::remove_file(root.join(IGNORE)).unwrap();
            std::fs::remove_file(link).unwrap();
        }
        symlink(".", root.join("files/loop")).unwrap();
        assert!(names(root).is_err());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let chart = tempfile::tempdir().unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = chart.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(
            names(chart.path()).unwrap_err(),
            "fifo: it is no regular file, and a chart has nothing else"
        );
        assert!(names(&chart.path().join("none")).unwrap_err().contains("cannot be read"));
    }
}
