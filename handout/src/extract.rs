//! Writes chosen artifacts as an OCI layout, as an archive for a node's image directory, or as chart
//! archives. Takes a trusted bundle in a file; what it writes has its name only when it is verified and
//! synced.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bundle_format::{
    Archive, Artifact, Blob, Damage, Entry, EntryName, Medium, Named, OCI_LAYOUT, TRAILER, Target, index_json,
};
use bundle_oci::{ByteCount, Digest, Manifest, Registry};
use bundle_os::{Access, available_at, create_new, set_directory_access, set_file_access, sync_file_system};
use serde::Deserialize;
use tempfile::{NamedTempFile, TempDir};

use crate::Choice;
use bundle_importer::Bundle;

/// Why a part of a bundle cannot be taken out.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// Something is there already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Not enough room.
    #[error("{} needs {}, and {} are free", .path.display(), ByteCount(*.needed), ByteCount(*.available))]
    Space {
        /// The file or directory.
        path: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        available: u64,
    },
    /// The system refused.
    #[error("{} cannot be written", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The bundle is damaged.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// The bundle comes through a pipe.
    #[error("nothing can be extracted from a bundle that is read from a pipe")]
    Pipe,
    /// A delta without all that was asked for.
    #[error("{target} needs {count} blobs that this delta leaves out")]
    Absent {
        /// The artifact.
        target: Target,
        /// How many blobs are not there.
        count: usize,
    },
    /// A signer who has no say in the names of other registries, and no other names are wanted.
    #[error("{} may not write to the project 'cache', so the images get no names of other registries", keys(.0))]
    Names(Vec<String>),
    /// A chart that Helm could not read.
    #[error("{target} is not a chart: {what}")]
    Chart {
        /// The artifact.
        target: Target,
        /// The cause.
        what: &'static str,
    },
}

fn keys(names: &[String]) -> String {
    match names {
        [name] => format!("the key '{name}'"),
        names => format!("the keys '{}'", names.join("', '")),
    }
}

/// Which names images get.
#[derive(Clone, Copy, Debug)]
pub struct NamesFor<'a> {
    /// The registry whose targets they are to be known by as well, if any.
    pub registry: Option<&'a Registry>,
}

/// Writes an OCI image layout (image-spec, image-layout.md) with the chosen artifacts into the
/// directory `to`, which must not be there, or be empty. It has its name only when all is written,
/// verified and synced. `progress` is told of bytes as they are written; its error ends the work.
///
/// # Errors
/// Any [`ExtractError`].
pub fn extract_layout(
    bundle: &Bundle,
    choice: &Choice,
    names: NamesFor<'_>,
    to: &Path,
    threads: usize,
    progress: &(dyn Fn(Blob, u64) -> io::Result<()> + Sync),
) -> Result<(), ExtractError> {
    let part = Part::of(bundle, choice, names, Names::Layout)?;
    let failed = |source| ExtractError::Io { path: to.to_owned(), source };
    // A link is no place for a directory to get its name by renaming.
    let free = match to.symlink_metadata() {
        Ok(found) => found.is_dir() && to.read_dir().map_err(failed)?.next().is_none(),
        Err(_) => true,
    };
    if !free {
        return Err(ExtractError::Exists(to.to_owned()));
    }
    let parent = parent_of(to);
    std::fs::create_dir_all(parent).map_err(failed)?;
    part.check_space(parent, to)?;
    let partial = partial().tempdir_in(parent).map_err(failed)?;
    let root = partial.path();
    write_new(&root.join("oci-layout"), OCI_LAYOUT).map_err(failed)?;
    write_new(&root.join("index.json"), &part.index).map_err(failed)?;
    let blobs = root.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(failed)?;
    part.write_each(&blobs, threads, progress)?;
    for directory in [&blobs, &root.join("blobs"), &root.to_owned()] {
        set_directory_access(directory, Access::Everyone).map_err(failed)?;
    }
    let handle = File::open(root).map_err(failed)?;
    sync_file_system(&handle).map_err(failed)?;
    rename_directory(partial, to).map_err(failed)?;
    sync_directory(parent).map_err(failed)
}

/// Writes an archive with the chosen artifacts into the directory `to`, such as K3s's
/// `agent/images`. Its name is that of the stream and the sequence; it has it only when all is
/// written, verified and synced. The path is returned.
///
/// # Errors
/// Any [`ExtractError`].
pub fn extract_archive(
    bundle: &Bundle,
    choice: &Choice,
    names: NamesFor<'_>,
    to: &Path,
    progress: &(dyn Fn(Blob, u64) -> io::Result<()> + Sync),
) -> Result<PathBuf, ExtractError> {
    let part = Part::of(bundle, choice, names, Names::K3s)?;
    let statement = bundle.statement();
    let path = to.join(format!("{}-{}.tar", statement.stream, statement.sequence));
    let mut file = PartialFile::new(&path)?;
    part.check_space(to, &path)?;
    let failed = |source| ExtractError::Io { path: path.clone(), source };
    let mut archive = io::BufWriter::with_capacity(PIECE, &mut file.0);
    for (name, content) in [(EntryName::OciLayout, OCI_LAYOUT), (EntryName::Index, &part.index)] {
        let size = content.len() as u64;
        entry(&mut archive, Entry::alone(name, size), |out| out.write_all(content)).map_err(failed)?;
    }
    for &blob in &part.blobs {
        let mut damage = None;
        let written = entry(&mut archive, Entry::alone(EntryName::Blob(blob.digest), blob.size), |out| {
            copy(part.archive, blob, out, progress).map_err(|error| match error {
                CopyError::Write(error) => error,
                CopyError::Damage(found) => {
                    damage = Some(found);
                    io::ErrorKind::Other.into()
                }
            })
        });
        match damage {
            Some(damage) => return Err(damage.into()),
            None => written.map_err(failed)?,
        }
    }
    archive.write_all(&[0; TRAILER as usize]).and_then(|()| archive.flush()).map_err(failed)?;
    drop(archive);
    file.finish(&path)?;
    Ok(path)
}

/// Writes the chosen Helm charts into the directory `to`, each as `NAME-VERSION.tgz`, as `helm
/// pull` does. The paths are returned.
///
/// # Errors
/// Any [`ExtractError`].
pub fn extract_charts(
    bundle: &Bundle,
    choice: &Choice,
    to: &Path,
    progress: &(dyn Fn(Blob, u64) -> io::Result<()> + Sync),
) -> Result<Vec<PathBuf>, ExtractError> {
    let archive = file_of(bundle)?;
    let mut paths = Vec::new();
    for artifact in choice.artifacts(bundle.statement()) {
        let chart = |what| ExtractError::Chart { target: artifact.target.clone(), what };
        let (config, content) = chart_blobs(bundle, archive, artifact)?;
        if config.size > crate::limits::Limits::DEFAULT.chart_metadata {
            return Err(chart("its metadata is too large"));
        }
        let mut metadata = Vec::new();
        copy(archive, config, &mut metadata, progress).map_err(|error| error.at(to))?;
        let metadata: ChartMetadata =
            serde_json::from_slice(&metadata).map_err(|_| chart("its metadata has no name and version"))?;
        let name = metadata
            .file_name()
            .ok_or_else(|| chart("its name or version cannot be part of a file's name"))?;
        let path = to.join(name);
        let mut file = PartialFile::new(&path)?;
        copy(archive, content, &mut file.0, progress).map_err(|error| error.at(&path))?;
        file.finish(&path)?;
        paths.push(path);
    }
    Ok(paths)
}

/// A packed chart of at most `limit` bytes, verified.
///
/// # Errors
/// Any [`ExtractError`].
pub(crate) fn chart_content(
    bundle: &Bundle,
    artifact: &Artifact,
    limit: u64,
) -> Result<Vec<u8>, ExtractError> {
    let archive = file_of(bundle)?;
    let (_, content) = chart_blobs(bundle, archive, artifact)?;
    if content.size > limit {
        return Err(ExtractError::Chart {
            target: artifact.target.clone(),
            what: "its archive is too large",
        });
    }
    let mut bytes = Vec::new();
    copy(archive, content, &mut bytes, &|_, _| Ok(())).map_err(|error| error.at(Path::new("memory")))?;
    Ok(bytes)
}

/// A chart's metadata and archive.
fn chart_blobs(
    bundle: &Bundle,
    archive: &Archive<Medium>,
    artifact: &Artifact,
) -> Result<(Blob, Blob), ExtractError> {
    let chart = |what| ExtractError::Chart { target: artifact.target.clone(), what };
    let node = bundle.graph().manifests.get(&artifact.digest);
    let Some(Manifest::Image(image)) = node.map(|node| &node.manifest) else {
        return Err(chart("it is an index"));
    };
    let layer = image.layers.iter().find(|layer| layer.media_type.as_str() == CHART_CONTENT);
    let layer = layer.ok_or_else(|| chart("it has no layer with a chart"))?;
    match (archive.blob(image.config.digest), archive.blob(layer.digest)) {
        (Some(config), Some(content)) => Ok((config, content)),
        _ => Err(ExtractError::Absent { target: artifact.target.clone(), count: 1 }),
    }
}

/// Helm's media type of a packed chart (helm, `pkg/registry/constants.go`).
const CHART_CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// How much is copied at once, in bytes.
const PIECE: usize = 1 << 20;

/// The name and version in the config of a chart. Helm writes more.
#[derive(Deserialize)]
struct ChartMetadata {
    name: String,
    version: String,
}

impl ChartMetadata {
    /// The file's name that `helm pull` gives; `None` if it could lead elsewhere.
    fn file_name(&self) -> Option<String> {
        let plain = |text: &str| {
            (1..=128).contains(&text.len())
                && text.as_bytes()[0].is_ascii_alphanumeric()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
        };
        (plain(&self.name) && plain(&self.version)).then(|| format!("{}-{}.tgz", self.name, self.version))
    }
}

/// The blobs that were chosen, and their index.
struct Part<'a> {
    archive: &'a Archive<Medium>,
    blobs: Vec<Blob>,
    index: Vec<u8>,
}

impl<'a> Part<'a> {
    fn of(
        bundle: &'a Bundle,
        choice: &Choice,
        names: NamesFor<'_>,
        form: Names,
    ) -> Result<Self, ExtractError> {
        let archive = file_of(bundle)?;
        let statement = bundle.statement();
        let all = statement.blobs.iter().chain(&statement.requires);
        let listed: HashSet<Digest> = all.map(|blob| blob.digest).collect();
        let mut needed = HashSet::new();
        let mut named = Vec::new();
        for artifact in choice.artifacts(statement) {
            let mut reached: Vec<Digest> =
                bundle.graph().extent(artifact.digest).iter().map(|blob| blob.digest).collect();
            // Layers that are marked non-distributable, if the bundle or its base has them.
            let foreign = bundle.graph().foreign_of(artifact.digest).into_iter().map(|layer| layer.digest);
            reached.extend(foreign.filter(|digest| listed.contains(digest)));
            let count = reached.iter().filter(|digest| archive.blob(**digest).is_none()).count();
            if count > 0 {
                return Err(ExtractError::Absent { target: artifact.target.clone(), count });
            }
            let size = archive.blob(artifact.digest).map(|blob| blob.size).unwrap_or_default();
            let names = names_of(bundle, artifact, names, form);
            if names.is_empty() {
                return Err(ExtractError::Names(bundle.trusted().signers().to_vec()));
            }
            named.extend(names.into_iter().map(|name| Named { name, artifact, size }));
            needed.extend(reached);
        }
        let index = index_json(named);
        let chosen = statement.blobs.iter().filter(|blob| needed.contains(&blob.digest));
        Ok(Self { archive, blobs: chosen.copied().collect(), index })
    }

    fn bytes(&self) -> u64 {
        // Each of them lies in the archive, whose size was checked.
        self.blobs.iter().map(|blob| blob.size).sum()
    }

    fn check_space(&self, place: &Path, path: &Path) -> Result<(), ExtractError> {
        let failed = |source| ExtractError::Io { path: path.to_owned(), source };
        let (needed, available) = (self.bytes(), available_at(place).map_err(failed)?);
        if needed > available {
            return Err(ExtractError::Space { path: path.to_owned(), needed, available });
        }
        Ok(())
    }

    /// Writes each blob into a file of its own, on `threads` threads.
    fn write_each(
        &self,
        directory: &Path,
        threads: usize,
        progress: &(dyn Fn(Blob, u64) -> io::Result<()> + Sync),
    ) -> Result<(), ExtractError> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let work = || {
            while let Some(&blob) = self.blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let path = directory.join(blob.digest.hex());
                let failed = |source| ExtractError::Io { path: path.clone(), source };
                let written = create_new(&path, Access::Everyone).map_err(failed).and_then(|mut file| {
                    copy(self.archive, blob, &mut file, progress).map_err(|error| error.at(&path))
                });
                if let Err(error) = written {
                    // The others need not go on.
                    next.store(self.blobs.len(), Ordering::Relaxed);
                    failure.lock().expect("no thread panics while it holds the lock").get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads.clamp(1, self.blobs.len().max(1)) {
                scope.spawn(work);
            }
        });
        match failure.into_inner().expect("no thread panics while it holds the lock") {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

pub(crate) fn file_of(bundle: &Bundle) -> Result<&Archive<Medium>, ExtractError> {
    bundle.archive().ok_or(ExtractError::Pipe)
}

/// The form of the names that artifacts get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// A tag, or the digest of what has none.
    Layout,
    /// Always a tag. K3s reads names as `repository:tag`, and makes those with digests of the content
    /// itself (pkg/agent/containerd, `retagImages`); another name is an error in its log at each start,
    /// after which it labels and pins nothing more.
    K3s,
}

impl Names {
    /// The name of what has no tag.
    fn untagged(self, repository: &str, digest: Digest) -> String {
        match self {
            Self::Layout => format!("{repository}@{digest}"),
            Self::K3s => format!("{repository}:digest-{}", &digest.hex()[..12]),
        }
    }
}

/// The names of an artifact: that of its source, as the bundle itself has it, if the signer has a
/// say in it; and that of its target. A source whose digest is another's, since platforms were chosen from it,
/// names nothing: a runtime that has an image by a digest never asks what is in it.
fn names_of(bundle: &Bundle, artifact: &Artifact, names: NamesFor<'_>, form: Names) -> Vec<String> {
    let (source, target, digest) = (&artifact.source, &artifact.target, artifact.digest);
    let is_itself = source.digest().is_none_or(|pinned| pinned == digest);
    let named = bundle.trusted().speaks_for_sources() && is_itself;
    let source = named.then(|| match (form, source.digest()) {
        // The runtime looks up a pinned image without the tag, which another image may have.
        (Names::K3s, Some(_)) => {
            form.untagged(&format!("{}/{}", source.registry(), source.repository()), digest)
        }
        _ => source.runtime_name(),
    });
    let target = names.registry.map(|registry| match target.tag {
        Some(_) => format!("{registry}/{target}"),
        None => form.untagged(&format!("{registry}/{}/{}", target.project, target.repository), digest),
    });
    source.into_iter().chain(target).collect()
}

pub(crate) enum CopyError {
    Damage(Damage),
    Write(io::Error),
}

impl CopyError {
    pub(crate) fn at(self, path: &Path) -> ExtractError {
        match self {
            Self::Damage(damage) => damage.into(),
            Self::Write(source) => ExtractError::Io { path: path.to_owned(), source },
        }
    }
}

/// Copies a blob out of an archive, and hashes it on the way.
pub(crate) fn copy(
    archive: &Archive<Medium>,
    blob: Blob,
    out: &mut impl Write,
    progress: &(dyn Fn(Blob, u64) -> io::Result<()> + Sync),
) -> Result<(), CopyError> {
    let absent = || CopyError::Damage(Damage::BlobList(blob.digest));
    let mut reader = archive.blob_reader(blob.digest).ok_or_else(absent)?;
    let mut buffer = vec![0; PIECE.min(usize::try_from(blob.size).unwrap_or(PIECE))];
    loop {
        let length = reader.next(&mut buffer).map_err(CopyError::Damage)?;
        if length == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..length]).map_err(CopyError::Write)?;
        progress(blob, length as u64).map_err(CopyError::Write)?;
    }
}

/// Writes an entry: header, content, padding.
fn entry<W: Write>(
    out: &mut W,
    entry: Entry,
    content: impl FnOnce(&mut W) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(&entry.header())?;
    content(out)?;
    out.write_all(&[0; bundle_format::BLOCK as usize][..entry.padding() as usize])
}

/// A file beside its final name, which no other user can write to.
pub(crate) struct PartialFile(pub(crate) NamedTempFile);

impl PartialFile {
    pub(crate) fn new(path: &Path) -> Result<Self, ExtractError> {
        let failed = |source| ExtractError::Io { path: path.to_owned(), source };
        if path.symlink_metadata().is_ok() {
            return Err(ExtractError::Exists(path.to_owned()));
        }
        let parent = parent_of(path);
        std::fs::create_dir_all(parent).map_err(failed)?;
        partial().tempfile_in(parent).map(Self).map_err(failed)
    }

    /// Syncs it and gives it its name, if nothing else has got that meanwhile.
    fn finish(self, path: &Path) -> Result<(), ExtractError> {
        self.finish_as(path, Access::Everyone)
    }

    /// As [`PartialFile::finish`], with this access.
    pub(crate) fn finish_as(self, path: &Path, access: Access) -> Result<(), ExtractError> {
        let failed = |source| ExtractError::Io { path: path.to_owned(), source };
        set_file_access(self.0.as_file(), access).map_err(failed)?;
        self.0.as_file().sync_all().map_err(failed)?;
        self.0.persist_noclobber(path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => ExtractError::Exists(path.to_owned()),
            _ => failed(error.error),
        })?;
        sync_directory(parent_of(path)).map_err(failed)
    }
}

/// `.*.partial`: K3s takes files whose names end otherwise.
fn partial() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".bundle-").suffix(".partial");
    builder
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    create_new(path, Access::Everyone)?.write_all(content)
}

/// Gives a directory its name, replacing an empty one of that name.
fn rename_directory(partial: TempDir, to: &Path) -> io::Result<()> {
    std::fs::rename(partial.path(), to)?;
    // It is no longer where it would be removed.
    let _ = partial.keep();
    Ok(())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
