//! Addresses of local sources, in the words of `containers-transports(5)`: `docker-archive:PATH[:REFERENCE]`,
//! `oci-archive:PATH[:REFERENCE]`, `oci:PATH[:REFERENCE]` and `dir:PATH`. Takes text; gives a
//! [`LocalAddress`], or says that the text is something else.

use std::fmt;
use std::path::{Path, PathBuf};

use bundle_oci::Printable;

/// The form of a local source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A file of `docker save` or `podman save`.
    DockerArchive,
    /// A tar archive of an OCI image layout.
    OciArchive,
    /// A directory with an OCI image layout.
    Oci,
    /// A directory as `skopeo copy … dir:` writes it: `manifest.json`, and blobs by their digests.
    Dir,
}

/// Which images of a local source are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// All of them.
    All,
    /// The one of this name or tag.
    Named(String),
    /// The one at this position, from 0.
    At(usize),
}

/// The address of a local source.
///
/// ```
/// use bundle_bundler::{LocalAddress, Selector};
///
/// let address = LocalAddress::parse("docker-archive:images.tar:nginx:1.27").unwrap()?;
/// assert_eq!(address.path.to_str(), Some("images.tar"));
/// assert_eq!(address.selector, Selector::Named("nginx:1.27".to_owned()));
/// assert!(LocalAddress::parse("nginx:1.27").is_none());
/// # Ok::<(), bundle_bundler::LocalAddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The form.
    pub transport: Transport,
    /// The file or directory.
    pub path: PathBuf,
    /// Which of its images.
    pub selector: Selector,
    /// As it was written, for messages: the path may since have been joined to a directory.
    written: String,
}

/// Why a text that begins like the address of a local source is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalAddressError {
    /// No path.
    #[error("'{0}:' needs a path")]
    NoPath(&'static str),
    /// A colon and nothing behind it.
    #[error("nothing follows the last colon")]
    NoReference,
    /// A position that is no number.
    #[error("'@{}' is not a position, such as @0", Printable(.0))]
    Position(String),
    /// A name behind a directory that has no names.
    #[error("'dir:' has one image and no names")]
    DirReference,
    /// A daemon or a storage that is not read.
    #[error("'{0}:' is not read")]
    Unsupported(&'static str),
}

impl Transport {
    const ALL: [Self; 4] = [Self::DockerArchive, Self::OciArchive, Self::Oci, Self::Dir];

    /// Its name, as `containers-transports(5)` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerArchive => "docker-archive",
            Self::OciArchive => "oci-archive",
            Self::Oci => "oci",
            Self::Dir => "dir",
        }
    }
}

impl LocalAddress {
    /// Reads an address; `None` for a text that is no address of a local source.
    pub fn parse(text: &str) -> Option<Result<Self, LocalAddressError>> {
        let (name, rest) = text.split_once(':')?;
        // Others of the same manual page, which would be taken for names of images.
        if let Some(other) =
            ["docker-daemon", "containers-storage", "ostree"].into_iter().find(|it| *it == name)
        {
            return Some(Err(LocalAddressError::Unsupported(other)));
        }
        let transport = Transport::ALL.into_iter().find(|transport| transport.as_str() == name)?;
        Some(Self::of(transport, rest, text))
    }

    fn of(transport: Transport, rest: &str, written: &str) -> Result<Self, LocalAddressError> {
        // As in containers/image, a path has no colon.
        let (path, selector) = match rest.split_once(':') {
            None => (rest, Selector::All),
            Some((_, "")) => return Err(LocalAddressError::NoReference),
            Some(_) if transport == Transport::Dir => return Err(LocalAddressError::DirReference),
            Some((path, selector)) => match selector.strip_prefix('@') {
                Some(position) => {
                    let wrong = |_| LocalAddressError::Position(position.to_owned());
                    (path, Selector::At(position.parse().map_err(wrong)?))
                }
                None => (path, Selector::Named(selector.to_owned())),
            },
        };
        if path.is_empty() {
            return Err(LocalAddressError::NoPath(transport.as_str()));
        }
        Ok(Self { transport, path: path.into(), selector, written: written.to_owned() })
    }

    /// The same, with its path taken from `directory`.
    pub(crate) fn below(self, directory: &Path) -> Self {
        Self { path: directory.join(&self.path), ..self }
    }
}

/// As it was written.
impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(&self.written).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_containers_transports_has_them() {
        for (text, transport, path, selector) in [
            ("docker-archive:a.tar", Transport::DockerArchive, "a.tar", Selector::All),
            ("docker-archive:/x/a.tar:@2", Transport::DockerArchive, "/x/a.tar", Selector::At(2)),
            (
                "oci-archive:a.tar:localhost:5000/app:1",
                Transport::OciArchive,
                "a.tar",
                Selector::Named("localhost:5000/app:1".to_owned()),
            ),
            ("oci:../layout:1.27", Transport::Oci, "../layout", Selector::Named("1.27".to_owned())),
            ("dir:d", Transport::Dir, "d", Selector::All),
        ] {
            let address = LocalAddress::parse(text).unwrap().unwrap();
            assert_eq!((address.transport, address.path.as_path()), (transport, Path::new(path)), "{text}");
            assert_eq!((address.selector.clone(), address.to_string()), (selector, text.to_owned()));
        }
        for (text, error) in [
            ("oci:", "'oci:' needs a path"),
            ("oci::x", "'oci:' needs a path"),
            ("oci:a:", "nothing follows the last colon"),
            ("docker-archive:a:@x", "'@x' is not a position, such as @0"),
            ("dir:a:b", "'dir:' has one image and no names"),
            ("docker-daemon:nginx:1", "'docker-daemon:' is not read"),
        ] {
            assert_eq!(LocalAddress::parse(text).unwrap().unwrap_err().to_string(), error);
        }
        for text in ["nginx:1", "oci", "quay.io/oci:1", "localhost:5000/a", "OCI:a"] {
            assert_eq!(LocalAddress::parse(text), None, "{text}");
        }
    }
}
