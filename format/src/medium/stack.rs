//! Opens what a bundle lies on: looks at what exists, and builds the layers that give the archive's
//! bytes. A file or volumes at the bottom; what is lost or damaged of these is rebuilt from parity, if there
//! is some; what is compressed is unpacked above; and where volumes are missing, the head and what was kept
//! of others on top.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_oci::Digest;

use crate::medium::error::open_regular;
use crate::medium::packed::Packed;
use crate::medium::patched::Patched;
use crate::medium::settled::Settled;
use crate::parity::layer::Rebuilding;
use crate::{
    Compact, CompactBase, Compressed, Layer, Lent, Limits, MediumError, ParityShare, Rebuilt, VolumeNames,
    Volumes,
};

/// A bundle's medium, as the bytes of its archive.
pub struct Medium {
    bytes: Bytes,
    set: Option<Set>,
    parity: Option<Settled>,
    /// Parity that is there and of no use, and why.
    no_parity: Option<(PathBuf, String)>,
    /// What makes blobs of recipes, if the archive is encoded so.
    compact: Option<Arc<Compact>>,
}

/// Notes on a bundle's parity for the user.
#[derive(Clone, Debug, Default)]
pub struct ParityNotes {
    rebuilding: Option<Arc<Rebuilding>>,
    useless: Option<(PathBuf, String)>,
}

impl ParityNotes {
    /// The blocks rebuilt so far, or later when they are read.
    pub fn rebuilt(&self) -> Option<Rebuilt> {
        self.rebuilding.as_ref()?.rebuilt()
    }

    /// Where more is damaged than can be rebuilt, if that was met.
    pub fn too_little(&self) -> Option<String> {
        self.rebuilding.as_ref()?.too_little()
    }

    /// Whether some of the bundle is not there at all, as while it is being copied, and is rebuilt.
    pub fn is_cut(&self) -> bool {
        self.rebuilding.as_ref().is_some_and(|rebuilding| rebuilding.is_cut())
    }

    /// The volumes of parity that are missing.
    pub fn absent(&self) -> Vec<PathBuf> {
        self.rebuilding.as_ref().map(|rebuilding| rebuilding.absent()).unwrap_or_default()
    }

    /// Parity that is there and of no use, and why.
    pub fn useless(&self) -> Option<(&Path, &str)> {
        self.useless.as_ref().map(|(path, why)| (path.as_path(), why.as_str()))
    }
}

/// The layer at the top.
enum Bytes {
    Whole(Arc<dyn Layer>),
    Patched(Patched),
}

/// A set of volumes.
struct Set {
    names: VolumeNames,
    /// The statement that the set's index names.
    statement: Option<Digest>,
}

impl Medium {
    /// Opens what lies at `path`: a file; a volume, or any name of its set. Volumes of a set may be missing.
    /// Each may be compressed. With parity beside it, what it can rebuild counts as there.
    ///
    /// # Errors
    /// Any [`MediumError`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, MediumError> {
        Self::open_with(path, limits, true)
    }

    /// The same without a look at parity: what stands there is what is read.
    ///
    /// # Errors
    /// Any [`MediumError`].
    pub fn open_as_it_is(path: &Path, limits: &Limits) -> Result<Self, MediumError> {
        Self::open_with(path, limits, false)
    }

    fn open_with(path: &Path, limits: &Limits, with_parity: bool) -> Result<Self, MediumError> {
        let Some(names) = set_of(path) else {
            let stored: Arc<dyn Layer> = Arc::new(open_regular(path)?);
            let names = VolumeNames::of(path);
            let (parity, no_parity) = parity_of(with_parity, &stored, &names, None);
            let (top, compact, parity) = stacked(stored, parity, None, path, limits)?;
            return Ok(Self { bytes: Bytes::Whole(top), set: None, parity, no_parity, compact });
        };
        let (volumes, wrong) = Volumes::open_damaged(names.clone(), limits)?;
        let statement = volumes.index().map(|index| index.statement);
        let ranges = volumes.ranges().to_vec();
        let stored: Arc<dyn Layer> = Arc::new(volumes);
        let (parity, no_parity) = parity_of(with_parity, &stored, &names, Some(&ranges));
        // A volume of the wrong size can only be used if its bytes are not needed.
        if let Some(wrong) = wrong
            && parity.as_ref().is_none_or(|parity| parity.lacks())
        {
            return Err(wrong);
        }
        let frames = read_frames(&names, limits)?;
        let (top, compact, parity) = stacked(stored, parity, frames, &names.frames(), limits)?;
        let is_whole = top.missing().is_empty();
        let head = names.head();
        let set = Some(Set { names, statement });
        if is_whole {
            return Ok(Self { bytes: Bytes::Whole(top), set, parity, no_parity, compact });
        }
        let size = top.size().map_err(|source| MediumError::Open { path: path.to_owned(), source })?;
        let mut patched = Patched::new(top, size);
        patched.add_start(&head)?;
        Ok(Self { bytes: Bytes::Patched(patched), set, parity, no_parity, compact })
    }

    /// Whether there is parity of which use can be made.
    pub fn has_parity(&self) -> bool {
        self.parity.is_some()
    }

    /// The parity's share, and the bytes as they are stored, what is lost of them rebuilt; none if there
    /// is no parity.
    pub fn parity(&self) -> Option<(ParityShare, &dyn Layer)> {
        self.parity.as_ref().map(|settled| settled.stored())
    }

    /// Keeps rebuilt blocks in a file, which must be empty and not shared: reading a badly damaged bundle
    /// twice then rebuilds nothing twice. Nothing happens without parity.
    pub fn keep_rebuilt_in(&self, file: File) {
        if let Some(settled) = &self.parity {
            settled.parity().keep_in(file);
        }
    }

    /// Notes on the parity for the user, now and when the bundle was read.
    pub fn parity_notes(&self) -> ParityNotes {
        let rebuilding = self.parity.as_ref().map(|settled| settled.parity().clone());
        ParityNotes { rebuilding, useless: self.no_parity.clone() }
    }

    /// Adds bytes of the archive that were kept from a volume that is gone. Where no volume is
    /// missing, they are of no use, and not looked at.
    ///
    /// # Errors
    /// The file cannot be opened, or has another length than the range.
    pub fn add(&mut self, range: Range<u64>, path: &Path) -> Result<(), MediumError> {
        match &mut self.bytes {
            Bytes::Whole(_) => Ok(()),
            Bytes::Patched(patched) => patched.add(range, path),
        }
    }

    /// The file that the archive's start lies in beside volumes.
    pub fn head(&self) -> Option<PathBuf> {
        self.set.as_ref().map(|set| set.names.head())
    }

    /// Which of the stored bytes each volume has, if there is parity for volumes.
    pub fn ranges(&self) -> Option<Vec<Range<u64>>> {
        self.set.as_ref()?;
        self.parity.as_ref().map(|settled| settled.parity().ranges().to_vec())
    }

    /// Where the table of frames lies in what is stored: all that follows the last frame.
    pub fn table_of_frames(&self) -> Option<Range<u64>> {
        self.parity.as_ref()?.table_of_frames()
    }

    /// Makes sure that the volumes are those of the bundle with this statement.
    ///
    /// # Errors
    /// [`MediumError::OtherIndex`].
    pub fn belongs_to(&self, statement: Digest) -> Result<(), MediumError> {
        match &self.set {
            Some(set) if set.statement.is_some_and(|found| found != statement) => {
                Err(MediumError::OtherIndex(set.names.index()))
            }
            _ => Ok(()),
        }
    }

    /// The blobs of the other side that a compact encoding may need; none if this is no compact encoding, or a
    /// whole one.
    pub fn bases(&self) -> &[CompactBase] {
        self.compact.as_ref().map(|compact| compact.bases()).unwrap_or_default()
    }

    /// The size of a compact encoding in bytes; none if this is not one.
    pub fn compact_size(&self) -> Option<u64> {
        self.compact.as_ref().map(|compact| compact.size_stored())
    }

    /// How many bytes of a compact encoding these bytes of the archive are made of; none if this is not one.
    pub fn compact_size_of(&self, bytes: &Range<u64>) -> Option<u64> {
        self.compact.as_ref().map(|compact| compact.stored_bytes_of(bytes))
    }

    /// Says where the bases of a compact encoding come from, and where blobs may be made. Until then, what
    /// needs a base counts as missing.
    pub fn lend(&self, lent: &Lent) {
        if let Some(compact) = &self.compact {
            compact.lend(lent.bases.clone(), lent.scratch.clone());
        }
    }

    /// The bases without which these bytes of the archive cannot be read, and which are not to be had.
    pub fn missing_bases_of(&self, bytes: &Range<u64>) -> Vec<CompactBase> {
        self.compact.as_ref().map(|compact| compact.missing_bases_of(bytes)).unwrap_or_default()
    }

    /// The name of the bundle at `path`: that of the file, or of the set's volumes together. Its
    /// countersignatures lie beside it.
    pub fn name(path: &Path) -> PathBuf {
        set_of(path).map_or_else(|| path.to_owned(), |names| names.bundle().to_owned())
    }

    fn top(&self) -> &dyn Layer {
        match &self.bytes {
            Bytes::Whole(layer) => layer,
            Bytes::Patched(patched) => patched,
        }
    }
}

/// The set that a path means: one of its files, or what it would be called as one file.
fn set_of(path: &Path) -> Option<VolumeNames> {
    if let Some((names, _, _)) = VolumeNames::read(path) {
        return Some(names);
    }
    let text = path.to_str().unwrap_or_default();
    if let Some(base) = text.strip_suffix(".volumes.json") {
        return Some(VolumeNames::of(Path::new(base)));
    }
    let names = VolumeNames::of(path);
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    (!is_there(path) && (is_there(&names.index()) || is_there(&names.head()))).then_some(names)
}

/// The parity of what is stored, or why what lies there is of no use.
fn parity_of(
    wanted: bool,
    stored: &Arc<dyn Layer>,
    names: &VolumeNames,
    volumes: Option<&[Range<u64>]>,
) -> (Option<Arc<Rebuilding>>, Option<(PathBuf, String)>) {
    if !wanted {
        return (None, None);
    }
    match Rebuilding::open(stored.clone(), names, volumes) {
        Ok(parity) => (parity.map(Arc::new), None),
        Err(error) => (None, Some((names.parity(), error.to_string()))),
    }
}

/// A layer at the top, what makes blobs of recipes in it, and its parity.
type Stack = (Arc<dyn Layer>, Option<Arc<Compact>>, Option<Settled>);

/// The layers above these bytes: parity, if there is any that helps, and decompression, if they are
/// compressed. `frames` is a copy of the table at their end; `path` is named in errors.
fn stacked(
    stored: Arc<dyn Layer>,
    parity: Option<Arc<Rebuilding>>,
    frames: Option<Vec<u8>>,
    path: &Path,
    limits: &Limits,
) -> Result<Stack, MediumError> {
    let Some(parity) = parity else {
        let (top, packed) = on(stored, frames, path, limits)?;
        return Ok((top, compact_of(packed.as_ref()), None));
    };
    match on(parity.clone(), frames.clone(), path, limits) {
        Ok((top, packed)) => {
            let compact = compact_of(packed.as_ref());
            Ok((top, compact, Some(Settled::new(stored, parity, packed))))
        }
        // Parity that lies must not keep out what is right without it.
        Err(error) => {
            let (top, packed) = on(stored, frames, path, limits).map_err(|_| error)?;
            Ok((top, compact_of(packed.as_ref()), None))
        }
    }
}

fn compact_of(packed: Option<&Packed>) -> Option<Arc<Compact>> {
    match packed {
        Some(Packed::Compact(compact)) => Some(compact.clone()),
        _ => None,
    }
}

/// The layer above these bytes, and what unpacks in it, if something does.
fn on(
    stored: Arc<dyn Layer>,
    frames: Option<Vec<u8>>,
    path: &Path,
    limits: &Limits,
) -> Result<(Arc<dyn Layer>, Option<Packed>), MediumError> {
    let mut start = [0; 4];
    // The layer above reports bytes that are too few.
    let starts = stored.has(&(0..4)) && stored.read_exact_at(&mut start, 0).is_ok();
    if starts && Compact::starts(&start) {
        let failed = |source| MediumError::Compact { path: path.to_owned(), source };
        let packed = Packed::Compact(Arc::new(Compact::open(stored, frames, limits).map_err(failed)?));
        return Ok((packed.layer(), Some(packed)));
    }
    let is_compressed = if starts { Compressed::starts(&start) } else { frames.is_some() };
    if !is_compressed {
        return Ok((stored, None));
    }
    let failed = |source| MediumError::Compressed { path: path.to_owned(), source };
    let packed = Packed::Compressed(Arc::new(Compressed::open(stored, frames, limits).map_err(failed)?));
    Ok((packed.layer(), Some(packed)))
}

/// The copy of the table of frames that lies beside compressed volumes.
fn read_frames(names: &VolumeNames, limits: &Limits) -> Result<Option<Vec<u8>>, MediumError> {
    let path = names.frames();
    let file: File = match open_regular(&path) {
        Ok(file) => file,
        Err(MediumError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let read = file
        .take(Compressed::largest_table(limits).max(Compact::largest_table(limits)))
        .read_to_end(&mut bytes);
    read.map_err(|source| MediumError::Open { path, source })?;
    Ok(Some(bytes))
}

impl Layer for Medium {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = offset..offset.saturating_add(buffer.len() as u64);
        if let Some(plain) = self.parity.as_ref().and_then(|parity| parity.believed(&bytes)) {
            return plain.read_exact_at(buffer, offset);
        }
        self.top().read_exact_at(buffer, offset)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        self.top().read_at_once(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.top().size()
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        self.top().has(bytes)
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        self.top().parts_of(bytes)
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        self.top().files_of(bytes)
    }

    fn missing(&self) -> Vec<PathBuf> {
        self.top().missing()
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        self.top().place(bytes)
    }

    fn settle(&self, bytes: &Range<u64>, is_right: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        self.parity.as_ref().is_some_and(|parity| parity.settle(bytes, is_right))
    }
}

impl std::fmt::Debug for Medium {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.set {
            Some(set) => write!(f, "Medium({})", set.names.bundle().display()),
            None => f.write_str("Medium(file)"),
        }
    }
}
