//! Reads a chart's directory.
//! Takes a path and how far links may lead; gives its files within [`Limits`], without what `.helmignore` names.

use crate::limits::DIRECTORY_DEPTH;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::archive::Room;
use super::error::{LoadCause, LoadError};
use super::ignore::{Entry, Rules};
use crate::chart::File;

/// The files of a chart's directory, by their paths inside it, without those that its `.helmignore` leaves
/// out. Links are followed as long as they stay below `within`, by default the chart's directory.
pub(super) fn collect(
    directory: &Path,
    within: Option<&Path>,
    room: &mut Room<'_>,
) -> Result<Vec<File>, LoadError> {
    let whole = |cause| LoadError { places: Vec::new(), cause };
    let real = |path: &Path| path.canonicalize().map_err(|error| whole(LoadCause::Read(error)));
    let root = real(directory)?;
    let within = within.map(real).transpose()?.filter(|within| root.starts_with(within));
    let within = within.unwrap_or_else(|| root.clone());
    let mut walk = Walk { root, within, rules: Rules::parse("").map_err(whole)?, room, files: Vec::new() };
    if walk.root.join(IGNORE).symlink_metadata().is_ok() {
        let wrong = |cause| LoadError::new(IGNORE, cause);
        let data = walk.inside(IGNORE).and_then(|place| walk.read(&place)).map_err(wrong)?;
        let text = String::from_utf8_lossy(&data);
        walk.rules = Rules::parse(&text).map_err(wrong)?;
    }
    walk.enter("", 0)?;
    if walk.files.is_empty() { Err(whole(LoadCause::Empty)) } else { Ok(walk.files) }
}

const IGNORE: &str = ".helmignore";

struct Walk<'a, 'b> {
    root: PathBuf,
    /// Where links may lead.
    within: PathBuf,
    rules: Rules,
    room: &'a mut Room<'b>,
    files: Vec<File>,
}

impl Walk<'_, '_> {
    /// Walks one directory and all below it. A link to a directory is walked by itself, once it is
    /// known where it leads: `walkdir` would open it before anybody can look.
    fn enter(&mut self, path: &str, depth: usize) -> Result<(), LoadError> {
        let start = self.root.join(path);
        // What lies below without being a link itself lies below this.
        let real = self.inside(path).map_err(|cause| LoadError::new(path.to_owned(), cause))?;
        // One more than is allowed, so that what lies too deep is refused and not skipped.
        let deepest = (DIRECTORY_DEPTH + 1).saturating_sub(depth);
        let mut entries =
            WalkDir::new(&start).min_depth(1).max_depth(deepest).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| {
                let below = error.path().and_then(|place| place.strip_prefix(&start).ok());
                let place =
                    below.map_or_else(|| path.to_owned(), |below| joined(path, &below.to_string_lossy()));
                LoadError::new(place, LoadCause::Read(error.into()))
            })?;
            let name =
                joined(path, &entry.path().strip_prefix(&start).unwrap_or(entry.path()).to_string_lossy());
            let wrong = |cause| LoadError::new(name.clone(), cause);
            self.room.take_file().map_err(wrong)?;
            if depth + entry.depth() > DIRECTORY_DEPTH || entry.file_name().to_str().is_none() {
                return Err(wrong(LoadCause::PathText));
            }
            if let Visited::PassedOver = self.visit(&name, &entry, &real, depth + entry.depth())?
                && entry.file_type().is_dir()
            {
                entries.skip_current_dir();
            }
        }
        Ok(())
    }

    fn visit(
        &mut self,
        path: &str,
        entry: &DirEntry,
        above: &Path,
        depth: usize,
    ) -> Result<Visited, LoadError> {
        let wrong = |cause| LoadError::new(path.to_owned(), cause);
        if path.len() > self.room.limits.path || path.chars().any(char::is_control) {
            return Err(wrong(LoadCause::PathText));
        }
        // The rules are checked before a link is followed: an ignored link may point anywhere.
        let leads_to_directory =
            || entry.path_is_symlink() && entry.path().metadata().is_ok_and(|found| found.is_dir());
        let is_directory = entry.file_type().is_dir() || leads_to_directory();
        let kind = if is_directory { Entry::Directory } else { Entry::File };
        if self.rules.ignore(path, kind) {
            return Ok(Visited::PassedOver);
        }
        if is_directory {
            // What a link leads to is looked at before it is entered.
            if entry.path_is_symlink() {
                self.enter(path, depth)?;
            }
            return Ok(Visited::Taken);
        }
        let below = entry.path().components().rev().take(entry.depth()).collect::<Vec<_>>();
        let place = match entry.path_is_symlink() {
            true => self.inside(path).map_err(wrong)?,
            false => above.join(below.into_iter().rev().collect::<PathBuf>()),
        };
        let data = self.read(&place).map_err(wrong)?;
        self.room.take_bytes(data.len() as u64).map_err(wrong)?;
        let file = self.room.file(path.to_owned(), data);
        self.files.push(file);
        Ok(Visited::Taken)
    }

    /// The path without links, if it lies where links may lead.
    fn inside(&self, path: &str) -> Result<PathBuf, LoadCause> {
        let place = self.root.join(path).canonicalize().map_err(LoadCause::Read)?;
        if place.starts_with(&self.within) { Ok(place) } else { Err(LoadCause::Escape) }
    }

    fn read(&self, place: &Path) -> Result<Vec<u8>, LoadCause> {
        let file = bundle_os::open(place).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput => LoadCause::NotAFile,
            _ => LoadCause::Read(error),
        })?;
        let mut data = Vec::new();
        let limit = self.room.limits.file;
        file.take(limit + 1).read_to_end(&mut data).map_err(LoadCause::Read)?;
        if data.len() as u64 > limit { Err(LoadCause::FileSize(limit)) } else { Ok(data) }
    }
}

/// The result of visiting an entry.
enum Visited {
    Taken,
    PassedOver,
}

/// A path below another one; the top has none.
fn joined(path: &str, below: &str) -> String {
    if path.is_empty() { below.to_owned() } else { format!("{path}/{below}") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::Limits;

    fn names(directory: &Path) -> Result<Vec<String>, String> {
        let files =
            collect(directory, None, &mut Room::new(&Limits::DEFAULT)).map_err(|error| error.to_string())?;
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
            assert_eq!(names(root).unwrap_err(), "link: it points outside the chart's directory");
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
            "fifo: it is not a regular file; a chart may have only regular files"
        );
        assert!(names(&chart.path().join("none")).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn links_lead_as_far_as_the_directory_that_was_named_around_the_chart() {
        let checkout = tempfile::tempdir().unwrap();
        let root = checkout.path();
        std::fs::create_dir_all(root.join("deploy/charts/web")).unwrap();
        std::fs::create_dir_all(root.join("library/templates")).unwrap();
        std::fs::write(root.join("deploy/charts/web/Chart.yaml"), "name: web\nversion: 1.0.0\n").unwrap();
        std::fs::write(root.join("library/templates/_a.tpl"), "a").unwrap();
        let chart = root.join("deploy/charts/web");
        symlink("../../../library", chart.join("library")).unwrap();
        let names = |within: Option<&Path>| {
            let files = collect(&chart, within, &mut Room::new(&Limits::DEFAULT));
            files.map(|files| files.iter().map(|file| file.name().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names(Some(root)).unwrap(), ["Chart.yaml", "library/templates/_a.tpl"]);
        for within in [None, Some(chart.as_path()), Some(root.join("library").as_path())] {
            assert_eq!(
                names(within).unwrap_err().to_string(),
                "library: it points outside the chart's directory"
            );
        }
    }

    #[test]
    fn what_lies_too_deep_is_refused_and_not_passed_over() {
        let chart = tempfile::tempdir().unwrap();
        std::fs::write(chart.path().join("Chart.yaml"), "name: a\n").unwrap();
        let deep = chart.path().join("d/".repeat(DIRECTORY_DEPTH));
        std::fs::create_dir_all(&deep).unwrap();
        assert!(names(chart.path()).is_ok());
        std::fs::write(deep.join("x"), "x").unwrap();
        assert!(names(chart.path()).is_err());
    }
}
