//! The file names of a set of volumes. Takes a bundle's name, or any of the set's; gives the names of all the
//! others.

use std::path::{Path, PathBuf};

/// The names of a set's files. All begin like the bundle would be called as one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeNames(PathBuf);

impl VolumeNames {
    /// The names of the set that as one file would be called `path`.
    pub fn of(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The name of the bundle as one file. Countersignatures use this name.
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

    /// `NAME.parity`: digests of all parts, and what they are rebuilt from, unless that is in files of
    /// its own.
    pub fn parity(&self) -> PathBuf {
        self.with("parity")
    }

    /// The volume of parity with this number, from 1: `NAME.parity-001-of-002`. It is named so that no
    /// reader takes it for a volume of the bundle.
    pub fn parity_volume(&self, number: usize, of: usize) -> PathBuf {
        self.with(&format!("parity-{number:03}-of-{of:03}"))
    }

    /// Whether a file is parity of a set or a file, and of which.
    pub fn read_parity(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let base = match name.strip_suffix(".parity") {
            Some(base) => base,
            None => {
                let (base, end) = name.rsplit_once(".parity-")?;
                let (number, of) = end.split_once("-of-")?;
                let parse = |text: &str| text.parse::<usize>().ok();
                let (number, of) = (parse(number)?, parse(of)?);
                let same = Self(base.into()).parity_volume(number, of).file_name() == path.file_name();
                (number > 0 && number <= of && same).then_some(base)?
            }
        };
        (!base.is_empty()).then(|| Self(path.with_file_name(base)))
    }

    fn with(&self, end: &str) -> PathBuf {
        let mut path = self.0.as_os_str().to_owned();
        path.push(".");
        path.push(end);
        path.into()
    }

    /// Reads a volume's file name: the names of its set, its number, and the number of volumes.
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
        assert_eq!(VolumeNames::read(&names.volume(1000, 1200)), Some((names.clone(), 1000, 1200)));
        for bad in
            ["a.000-of-003", "a.004-of-003", "a.3-of-14", "a.0003-of-0014", ".001-of-001", "a", "a.tar.head"]
        {
            assert_eq!(VolumeNames::read(Path::new(bad)), None, "{bad}");
        }
        for name in [names.parity(), names.parity_volume(2, 12)] {
            assert_eq!(VolumeNames::read(&name), None, "{name:?}");
            assert_eq!(VolumeNames::read_parity(&name), Some(names.clone()), "{name:?}");
        }
        for bad in
            ["a.parity-000-of-003", "a.parity-1-of-2", ".parity", "a.parity-004-of-003", "a.001-of-003"]
        {
            assert_eq!(VolumeNames::read_parity(Path::new(bad)), None, "{bad}");
        }
    }
}
