//! Makes recipes of blobs: finds how a blob was compressed, and writes its uncompressed bytes as a difference to
//! bases. Takes files, gives a section's body; a blob that does not come back exactly, or not smaller, gets none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bundle_delta::{BaseIndex, EncodeError, Level, Options, PlainFile, ReadAt};
use bundle_oci::Digest;
use bundle_recompress::{BaseTokens, ExamineError, examine_beside};

use crate::compact::error::CompactError;
use crate::compact::form::{BasePlace, Part, RecipeBase, RecipeHead, SectionKind};
use crate::compact::layer::copy_base;
use crate::compact::make::{Bounded, Packing, decode_closed};
use crate::compact::opened::{Near, Opened, OpenedBase, open_archives};
use crate::compact::plain::{Plain, Tokens};
use crate::compact::scratch::Kept;
use crate::{Bases, CompactBase, Layer, Limits, ScratchSpace};

/// How hard corrections are compressed: they are small.
const CORRECTIONS_LEVEL: i32 = 9;

/// How hard an encoder works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Fast enough for a nightly job.
    #[default]
    Default,
    /// Several times slower and smaller, for slow lines and dear media.
    Smallest,
}

impl std::str::FromStr for Effort {
    type Err = ParseEffortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(Self::Default),
            "smallest" => Ok(Self::Smallest),
            _ => Err(ParseEffortError),
        }
    }
}

/// A text that names no effort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected default or smallest")]
pub struct ParseEffortError;

/// A base that the other side has and this side could not read: what is the difference to it goes without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadBase {
    /// The blob.
    pub base: CompactBase,
    /// What its source said.
    pub why: String,
}

impl std::fmt::Display for UnreadBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CompactBase { digest, repository, .. } = &self.base;
        write!(
            f,
            "layer {digest} of {repository}, which the other side has, could not be read here ({}): what is like it \
             is sent in full; keep earlier bundles in a directory, and name it with --base-dir",
            self.why
        )
    }
}

/// Those bases of an encoder, each once. An encoder's copies share them.
#[derive(Clone, Debug, Default)]
pub struct UnreadBases(Arc<Mutex<BTreeMap<Digest, UnreadBase>>>);

impl UnreadBases {
    fn add(&self, base: &CompactBase, error: &CompactError) {
        let why = match error {
            CompactError::NoBase(_) => "not found".to_owned(),
            CompactError::WrongBase(_) => "its source gives other bytes".to_owned(),
            error => error.to_string(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(base.digest).or_insert_with(|| UnreadBase { base: base.clone(), why });
    }

    /// All that are known so far, by digest.
    pub fn all(&self) -> Vec<UnreadBase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Makes recipes of the blobs of one bundle, by several threads at once.
pub struct CompactEncoder {
    scratch: ScratchSpace,
    outer: Arc<dyn Bases>,
    effort: Effort,
    limits: Limits,
    plains: Kept<BasePlace, Plain>,
    unread: UnreadBases,
}

/// A base at hand.
#[derive(Clone, Debug)]
pub struct NearBase {
    place: BasePlace,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Outer(CompactBase),
    File(Arc<File>, u64),
}

/// The body of a recipe's section, in a scratch file.
#[derive(Debug)]
pub struct Encoded {
    file: File,
    size: u64,
    kind: SectionKind,
}

/// A blob of `size` bytes of which is known how it is compressed.
struct Examined {
    size: u64,
    plain: PlainFile,
    recipe: Vec<u8>,
    corrections: File,
    corrections_size: u64,
    places: Vec<RecipeBase>,
    near: Vec<Near>,
}

impl Encoded {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn kind(&self) -> SectionKind {
        self.kind
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl CompactEncoder {
    /// An encoder that takes the other side's blobs from `outer`.
    pub fn new(outer: Arc<dyn Bases>, scratch: ScratchSpace, effort: Effort, limits: &Limits) -> Self {
        let plains = Kept::new(limits.scratch);
        Self { scratch, outer, effort, limits: *limits, plains, unread: UnreadBases::default() }
    }

    /// The bases that could not be read, which become known while it encodes.
    pub fn unread(&self) -> UnreadBases {
        self.unread.clone()
    }

    /// Where blobs are collected.
    pub fn scratch(&self) -> &ScratchSpace {
        &self.scratch
    }

    /// The base at this position of the header.
    pub fn outer(&self, index: u32, base: &CompactBase) -> NearBase {
        NearBase { place: BasePlace::Outer(index), source: Source::Outer(base.clone()) }
    }

    /// A blob that lies before in the same archive.
    pub fn earlier(&self, offset: u64, size: u64, blob: Arc<File>) -> NearBase {
        NearBase { place: BasePlace::Earlier { offset, size }, source: Source::File(blob, size) }
    }

    /// The recipe of a blob of `size` bytes; none if it does not come back exactly, or would be no smaller.
    ///
    /// # Errors
    /// Scratch files cannot be written or read.
    pub fn encode(&self, blob: &File, size: u64, bases: &[NearBase]) -> io::Result<Option<Encoded>> {
        let plain = self.scratch.file()?;
        let mut out = Bounded { writer: &plain, left: RecipeHead::most_plain(size) };
        let corrections = self.scratch.file()?;
        let (places, near) = self.plains_of(bases)?;
        let tokens: Vec<Option<Arc<BaseTokens>>> =
            near.iter().map(|near| near.plain.tokens.clone()).collect();
        let recipe = match self.examine(blob, size, &mut out, &corrections, &tokens)? {
            Some(recipe) => recipe,
            None => return Ok(None),
        };
        let corrections_size = corrections.metadata()?.len();
        if recipe.len() as u64 > self.limits.recipe {
            return Ok(None);
        }
        let most = RecipeHead::most_plain(size);
        let opened = open_archives(&plain, &near, most, self.effort, &self.scratch)?;
        let plain = PlainFile::new(plain)?;
        let layer = Examined { size, plain, recipe, corrections, corrections_size, places, near };
        if let Some(opened) = opened
            && let Some(encoded) = self.write(&layer, Some(opened))?
        {
            return Ok(Some(encoded));
        }
        self.write(&layer, None)
    }

    /// Writes a recipe's section, with archives opened or shut; none if the blob does not come back of it, or it would be
    /// no smaller.
    fn write(&self, layer: &Examined, opened: Option<Opened>) -> io::Result<Option<Encoded>> {
        let Examined { size, plain, near, .. } = layer;
        let (opened, mut bases) = match opened {
            Some(Opened { content, members, head, bases }) => (Some((content, members, head)), bases),
            None => (None, Vec::new()),
        };
        let mut files = Vec::with_capacity(near.len());
        for (number, near) in near.iter().enumerate() {
            let streams = bases.get_mut(number).and_then(|base: &mut OpenedBase| base.streams.take());
            files.push(near.plain.reader_with(streams)?);
        }
        let files: Vec<&dyn ReadAt> = files.iter().map(|file| file as &dyn ReadAt).collect();
        let index = match &opened {
            Some(_) => {
                let members = bases.iter().map(|base| &base.members[..]);
                BaseIndex::of_members(&Vec::from_iter(files.iter().copied().zip(members)))?
            }
            None => BaseIndex::of(&files)?,
        };
        let head = RecipeHead {
            plain: plain.size(),
            bases: layer.places.clone(),
            recipe: layer.recipe.clone(),
            opened: opened.as_ref().map(|(_, _, head)| head.clone()),
            corrections: layer.corrections_size,
        };
        let mut file = self.scratch.file()?;
        let level = match self.effort {
            Effort::Default => Level::Default,
            Effort::Smallest => Level::Smallest,
        };
        // What is not smaller is of no use.
        let mut out = io::BufWriter::new(Bounded { writer: &file, left: *size });
        let start = head.to_bytes();
        let mut corrections = Part::of(&layer.corrections, layer.corrections_size);
        let written = out.write_all(&start).and_then(|()| io::copy(&mut corrections, &mut out).map(drop));
        let difference_at = start.len() as u64 + layer.corrections_size;
        let written = written.map_err(EncodeError::Output).and_then(|()| {
            let options = Options { level };
            match &opened {
                Some((content, members, _)) => {
                    bundle_delta::encode_members(content, members, &files, &index, options, &mut out)?
                }
                None => bundle_delta::encode(plain, &files, &index, options, &mut out)?,
            };
            out.flush().map_err(EncodeError::Output)
        });
        drop(out);
        match written {
            Ok(()) => {}
            Err(EncodeError::Output(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Ok(None);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        let length = file.stream_position()?;
        let mut same = Same { plain, at: 0 };
        file.seek(io::SeekFrom::Start(difference_at))?;
        let back = decode_closed(&head, &mut io::BufReader::new(&file), &files, &mut same);
        if back.is_err() || same.at != plain.size() {
            return Ok(None);
        }
        let kind = if head.opened.is_some() { SectionKind::Opened } else { SectionKind::Recipe };
        Ok(Some(Encoded { file, size: length, kind }))
    }

    /// How a blob is compressed, with its uncompressed bytes written; empty if it is not. None if that is not known.
    /// What no model explains goes into `corrections`, compressed.
    fn examine(
        &self,
        blob: &File,
        size: u64,
        plain: &mut Bounded<&File>,
        corrections: &File,
        tokens: &[Option<Arc<BaseTokens>>],
    ) -> io::Result<Option<Vec<u8>>> {
        let mut start = [0; 4];
        blob.read_exact_at(&mut start[..size.min(4) as usize], 0)?;
        if Packing::of(&start) == Packing::Not {
            io::copy(&mut Part::of(blob, size), plain)?;
            return Ok(Some(Vec::new()));
        }
        let out = Bounded { writer: corrections, left: size };
        let mut out = zstd::stream::write::Encoder::new(out, CORRECTIONS_LEVEL)?;
        match examine_beside(&mut Part::of(blob, size), plain, &mut out, tokens) {
            Ok(Some(recipe)) => match out.finish() {
                Ok(_) => Ok(Some(recipe.to_bytes())),
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
                Err(error) => Err(error),
            },
            Ok(None) => Ok(None),
            Err(ExamineError::Write(error)) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
            Err(ExamineError::Read(error) | ExamineError::Write(error) | ExamineError::Tokens(error)) => {
                Err(error)
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// The uncompressed bytes of those bases that can be read. What would be the difference to another goes without.
    fn plains_of(&self, bases: &[NearBase]) -> io::Result<(Vec<RecipeBase>, Vec<Near>)> {
        let (mut places, mut near) = (Vec::new(), Vec::new());
        for base in bases {
            let size = match &base.source {
                Source::Outer(outer) => outer.size,
                Source::File(_, size) => *size,
            };
            match self.plains.get(base.place, size, || self.plain_of(base)) {
                Ok(plain) => {
                    places.push(RecipeBase { place: base.place, plain: plain.size });
                    near.push(Near { size, plain });
                }
                Err(error) => match (&base.source, error) {
                    (Source::File(..), CompactError::Io(error)) => return Err(error),
                    (Source::File(..), _) => {}
                    (Source::Outer(outer), error) => self.unread.add(outer, &error),
                },
            }
        }
        Ok((places, near))
    }

    fn plain_of(&self, base: &NearBase) -> Result<Plain, CompactError> {
        match &base.source {
            Source::Outer(outer) => {
                let file = self.scratch.file().map_err(CompactError::Io)?;
                copy_base(&*self.outer, outer, &file)?;
                Plain::of(&file, outer.size, Tokens::Found, &self.scratch)
            }
            Source::File(file, size) => Plain::of(file, *size, Tokens::Found, &self.scratch),
        }
    }
}

impl std::fmt::Debug for CompactEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompactEncoder({:?})", self.effort)
    }
}

/// Compares what is written with a file.
struct Same<'a> {
    plain: &'a PlainFile,
    at: u64,
}

impl Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut expected = vec![0; bytes.len()];
        self.plain.read_exact_at(&mut expected, self.at)?;
        if expected != bytes {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
