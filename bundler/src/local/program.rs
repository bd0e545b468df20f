//! This program as a file of a bundle, so that the other side gets new versions with the images. Takes the path of
//! an executable, or the platform that this one must be for; gives a file with a fixed name for each platform.

use std::path::{Path, PathBuf};

use bundle_oci::{Platform, ProjectName};

use super::file::{FileMode, FileOrigin, LocalFile};
use super::request::{LocalRequest, LocalSource};
use crate::{CacheLayout, ImagePolicy, Platforms, Reason};

/// The executable of this process, also after it was replaced on disk (proc(5)).
const OWN: &str = "/proc/self/exe";
/// The name of the program on the other side.
const NAME: &str = "bundle";

/// Why a program cannot be carried.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The executable.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// No executable for Linux.
    #[error("{} is not an executable for Linux on a known processor", .0.display())]
    NotExecutable(PathBuf),
    /// Another platform than this program's own.
    #[error("this program is for {own}, and not for {wanted}")]
    Platform {
        /// The platform of this program.
        own: Platform,
        /// The one that is asked for.
        wanted: Platform,
    },
    /// A name that the program cannot have.
    #[error(transparent)]
    Name(#[from] crate::ItemError),
}

/// The tag of the program for the platform of this process.
pub fn program_tag() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}-{architecture}", std::env::consts::OS)
}

impl LocalRequest {
    /// The request for a program: this one if `wanted` is empty or its platform, else the executable at that
    /// path.
    ///
    /// # Errors
    /// Any [`ProgramError`].
    pub fn program(wanted: &str) -> Result<Self, ProgramError> {
        // A file of that name is meant, if there is one.
        let platform = wanted.parse::<Platform>().ok().filter(|_| !Path::new(wanted).exists());
        let (path, written) = match (wanted.is_empty(), &platform) {
            (true, _) | (false, Some(_)) => (PathBuf::from(OWN), "this program".to_owned()),
            (false, None) => (PathBuf::from(wanted), wanted.to_owned()),
        };
        let own = platform_of(&path)?;
        if let Some(wanted) = platform
            && !own.satisfies(&wanted)
        {
            return Err(ProgramError::Platform { own, wanted });
        }
        let tag = own.to_string().replace('/', "-");
        let file = LocalFile {
            origin: FileOrigin::Path { path, written },
            title: Some(NAME.to_owned()),
            mode: Some(FileMode::Executable),
        };
        Ok(Self {
            source: LocalSource::File(file),
            rename: Some(format!("{NAME}:{tag}").parse()?),
            project: ProjectName::platform(),
            layout: CacheLayout::default(),
            platforms: Platforms::All,
            policy: ImagePolicy::default(),
            reason: Reason::CommandLine,
        })
    }
}

/// The platform of an executable (elf(5): `e_ident`, `e_machine`).
fn platform_of(path: &Path) -> Result<Platform, ProgramError> {
    let failed = |source| ProgramError::Read { path: path.to_owned(), source };
    let file = bundle_os::open(path).map_err(failed)?;
    let mut head = [0; 20];
    let unknown = || ProgramError::NotExecutable(path.to_owned());
    bundle_os::read_exact_at(&file, &mut head, 0).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => unknown(),
        _ => failed(error),
    })?;
    let little = match head {
        // EI_OSABI of System V and of Linux.
        [0x7f, b'E', b'L', b'F', _, data @ (1 | 2), 1, 0 | 3, ..] => data == 1,
        _ => return Err(unknown()),
    };
    let machine = if little {
        u16::from_le_bytes([head[18], head[19]])
    } else {
        u16::from_be_bytes([head[18], head[19]])
    };
    let architecture = match (machine, little) {
        (62, true) => "amd64",
        (183, true) => "arm64",
        (40, true) => "arm",
        (243, true) => "riscv64",
        (21, true) => "ppc64le",
        (22, false) => "s390x",
        _ => return Err(unknown()),
    };
    format!("linux/{architecture}").parse().map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_carried_for_its_own_platform_only() {
        let own = LocalRequest::program("").unwrap();
        let rename = own.rename.as_ref().unwrap();
        assert_eq!(rename.tag().unwrap().as_str(), program_tag());
        assert_eq!(rename.repository().as_str(), "bundle");
        let platform = program_tag().replacen('-', "/", 1);
        assert_eq!(LocalRequest::program(&platform).unwrap(), own);
        let error = LocalRequest::program("linux/s390x").unwrap_err().to_string();
        assert_eq!(error, format!("this program is for {platform}, and not for linux/s390x"));
    }

    #[test]
    fn an_executable_says_what_it_is_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        let of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            platform_of(&path).map(|platform| platform.to_string()).ok()
        };
        let elf = |data: u8, abi: u8, machine: [u8; 2]| {
            let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, data, 1, abi];
            bytes.resize(18, 0);
            bytes.extend(machine);
            bytes
        };
        assert_eq!(of(&elf(1, 0, [183, 0])).as_deref(), Some("linux/arm64"));
        assert_eq!(of(&elf(2, 3, [0, 22])).as_deref(), Some("linux/s390x"));
        for bytes in [elf(1, 9, [62, 0]), elf(2, 0, [0, 62]), elf(1, 0, [1, 0]), b"#!/bin/sh\n".to_vec()] {
            assert_eq!(of(&bytes), None);
        }
    }
}
