//! What the files of a set of volumes are called.
//! Takes a bundle's name, or any of the set's; gives the names of all the others.

use std::path::{Path, PathBuf};

/// The names of a set's files. All begin like the bundle would be called as one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeNames(PathBuf);

impl VolumeNames {
    /// The names of the set that as one file would be called `path`.
    pub fn of(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What the bundle would be called as one file. Countersignatures go by this name.
    pub fn bundle(&self) -> &Path {
        &self.0
    }

    /// The volume with this number, from 1: `NAME.003-of-014`.
    pub fn volume(&self, number: usize, of: usize) -> PathBuf {
        self.with(&format!("{number:03}-of-{of:03}"))
    }

    /// `NAME.volumes.json`: where each volume belongs.
    pub fn index(&self) -> PathBuf {
        self.with("volumes.json")
    }

    /// `NAME.head`: the archive up to its first layer, so that any volume can be used alone.
    pub fn head(&self) -> PathBuf {
        self.with("head")
    }

    /// `NAME.frames`: where the frames of a compressed archive begin.
    pub fn frames(&self) -> PathBuf {
        self.with("frames")
    }

    /// `NAME.bundle.json`: the statement, for people and for openssl.
    pub fn statement(&self) -> PathBuf {
        self.with("bundle.json")
    }

    /// `NAME.bundle.json.sig`: its signature.
    pub fn signature(&self) -> PathBuf {
        self.with("bundle.json.sig")
    }

    /// `NAME.SHA256SUMS`: for `sha256sum -c` at a kiosk.
    pub fn sums(&self) -> PathBuf {
        self.with("SHA256SUMS")
    }

    fn with(&self, end: &str) -> PathBuf {
        let mut path = self.0.as_os_str().to_owned();
        path.push(".");
        path.push(end);
        path.into()
    }

    /// What a file's name says of its place in a set: the set's names, its number and how many
    /// there are.
    pub fn read(path: &Path) -> Option<(Self, usize, usize)> {
        let name = path.file_name()?.to_str()?;
        let (base, end) = name.rsplit_once('.')?;
        let (number, of) = end.split_once("-of-")?;
        let parse = |text: &str| {
            let digits = text.len() >= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<usize>().ok().filter(|_| digits)
        };
        let (number, of) = (parse(number)?, parse(of)?);
        let names = Self(path.with_file_name(base));
        // One spelling only.
        let same = names.volume(number, of).file_name() == path.file_name();
        (!base.is_empty() && number > 0 && number <= of && same).then_some((names, number, of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_where_a_volume_belongs() {
        let names = VolumeNames::of(Path::new("out/nightly.tar"));
        assert_eq!(names.volume(3, 14), Path::new("out/nightly.tar.003-of-014"));
        assert_eq!(VolumeNames::read(&names.volume(3, 14)), Some((names.clone(), 3, 14)));
        assert_eq!(VolumeNames::read(&names.volume(1000, 1200)), Some((names, 1000, 1200)));
        for bad in
            ["a.000-of-003", "a.004-of-003", "a.3-of-14", "a.0003-of-0014", ".001-of-001", "a", "a.tar.head"]
        {
            assert_eq!(VolumeNames::read(Path::new(bad)), None, "{bad}");
        }
    }
}
