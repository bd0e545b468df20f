//! A compact encoding, read at any place as the archive that it encodes. Blobs are made of their recipes
//! when they are asked for, in scratch files; what is not a blob is in frames of Zstandard.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bundle_oci::Hasher;
use bundle_recompress::Recipe;
use zstd::bulk::Decompressor;

use crate::compact::error::CompactError;
use crate::compact::form::{
    BasePlace, END, FOOTER, Header, MAGIC, Part, RecipeBase, RecipeHead, SECTION_HEAD, SectionHead,
    SectionKind, u64_at,
};
use crate::compact::make::{make, recipe_of};
use crate::compact::plain::{Plain, Tokens};
use crate::compact::scratch::Kept;
use crate::{Bases, CompactBase, Layer, Limits, NoBases, ScratchSpace};

/// How long a chain of blobs may be that are each the difference to the one before.
pub(crate) const MOST_LINKS: usize = 16;
/// How much is read at once, in bytes.
const PIECE: usize = 128 << 10;

/// A compact encoding that is read as the archive that it encodes.
pub struct Compact {
    stored: Arc<dyn Layer>,
    bases: Arc<Vec<CompactBase>>,
    sections: Arc<Vec<Section>>,
    /// Where the table begins in what is stored.
    end: u64,
    content: u64,
    outer: RwLock<Arc<dyn Bases>>,
    scratch: RwLock<ScratchSpace>,
    made: Kept<usize>,
    plains: Kept<(BasePlace, Tokens), Plain>,
    frame: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
    limits: Limits,
}

/// A section, by where it begins.
#[derive(Clone, Copy, Debug)]
struct Section {
    kind: SectionKind,
    /// In the archive.
    start: u64,
    content: u64,
    /// In what is stored, behind its head.
    at: u64,
    stored: u64,
}

impl Compact {
    /// The most bytes that a copy of the table may have.
    pub fn largest_table(limits: &Limits) -> u64 {
        SECTION_HEAD * (1 + limits.frames as u64) + FOOTER
    }

    /// Whether these are the first bytes of a compact encoding; the first four are enough.
    pub fn starts(bytes: &[u8]) -> bool {
        bytes.len() >= 4 && MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())])
    }

    /// Reads the header and the table. Until [`Self::lend`] is called, there are no bases.
    ///
    /// # Errors
    /// Any [`CompactError`] but those of blobs.
    pub(crate) fn open(
        stored: Arc<dyn Layer>,
        copy: Option<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Self, CompactError> {
        let length = stored.size().map_err(CompactError::of)?;
        let tail = Tail::of(&stored, copy, length);
        let mut start = Part::of(&*stored, length);
        let (header, mut at) = Header::read(&mut start, limits)?;
        let mut footer = [0; FOOTER as usize];
        let footer_at = length.checked_sub(FOOTER).ok_or(CompactError::Cut)?;
        tail.read_exact_at(&mut footer, footer_at).map_err(CompactError::of)?;
        if footer[8..] != END[..] {
            return Err(CompactError::Cut);
        }
        let number = u64_at(&footer, 0);
        if number > limits.frames as u64 {
            return Err(CompactError::Table);
        }
        let table = footer_at.checked_sub(number * SECTION_HEAD).ok_or(CompactError::Table)?;
        let mut piece = Vec::new();
        let mut sections = Vec::with_capacity(number as usize);
        let mut content = 0_u64;
        for position in 0..number {
            // A thousand at a time.
            if position % 1000 == 0 {
                piece.resize(((number - position).min(1000) * SECTION_HEAD) as usize, 0);
                let read = tail.read_exact_at(&mut piece, table + position * SECTION_HEAD);
                read.map_err(CompactError::of)?;
            }
            let mut bytes = [0; SECTION_HEAD as usize];
            let from = (position % 1000 * SECTION_HEAD) as usize;
            bytes.copy_from_slice(&piece[from..from + SECTION_HEAD as usize]);
            let head = SectionHead::parse(&bytes, limits)?;
            if head.kind == SectionKind::End {
                return Err(CompactError::Table);
            }
            at += SECTION_HEAD;
            sections.push(Section {
                kind: head.kind,
                start: content,
                content: head.content,
                at,
                stored: head.stored,
            });
            at = at.checked_add(head.stored).ok_or(CompactError::Table)?;
            content = content.checked_add(head.content).ok_or(CompactError::Table)?;
        }
        if at.checked_add(SECTION_HEAD) != Some(table) {
            return Err(CompactError::Table);
        }
        let mut last = [0; SECTION_HEAD as usize];
        tail.read_exact_at(&mut last, at).map_err(CompactError::of)?;
        let end = SectionHead { kind: SectionKind::End, content: number, stored: number * SECTION_HEAD };
        if last != end.to_bytes() {
            return Err(CompactError::Table);
        }
        Ok(Self::of(stored, header, sections, content, table - SECTION_HEAD, limits))
    }

    /// An encoding of which nothing is known but the header.
    pub(crate) fn begin(stored: Arc<dyn Layer>, header: Header, limits: &Limits) -> Self {
        Self::of(stored, header, Vec::new(), 0, 0, limits)
    }

    fn of(
        stored: Arc<dyn Layer>,
        header: Header,
        sections: Vec<Section>,
        content: u64,
        end: u64,
        limits: &Limits,
    ) -> Self {
        Self {
            stored,
            bases: Arc::new(header.bases),
            sections: Arc::new(sections),
            end,
            content,
            outer: RwLock::new(Arc::new(NoBases)),
            scratch: RwLock::default(),
            made: Kept::new(limits.scratch),
            plains: Kept::new(limits.scratch),
            frame: Mutex::default(),
            limits: *limits,
        }
    }

    /// Adds the next section, which is stored from `at` on, behind its head.
    pub(crate) fn push(&mut self, head: SectionHead, at: u64) -> Result<Range<u64>, CompactError> {
        let start = self.content;
        self.content = start.checked_add(head.content).ok_or(CompactError::Section)?;
        if self.sections.len() >= self.limits.frames {
            return Err(CompactError::Table);
        }
        let section = Section { kind: head.kind, start, content: head.content, at, stored: head.stored };
        Arc::make_mut(&mut self.sections).push(section);
        Ok(start..self.content)
    }

    /// The blobs that recipes may take from the other side.
    pub fn bases(&self) -> &[CompactBase] {
        &self.bases
    }

    /// Says where bases come from, and where scratch files may lie.
    pub fn lend(&self, bases: Arc<dyn Bases>, scratch: ScratchSpace) {
        *self.outer.write().unwrap_or_else(PoisonError::into_inner) = bases;
        *self.scratch.write().unwrap_or_else(PoisonError::into_inner) = scratch;
    }

    /// The same encoding of other stored bytes.
    pub(crate) fn over(&self, stored: Arc<dyn Layer>) -> Self {
        Self {
            stored,
            bases: self.bases.clone(),
            sections: self.sections.clone(),
            end: self.end,
            content: self.content,
            outer: RwLock::new(self.outer()),
            scratch: RwLock::new(self.scratch()),
            made: Kept::new(self.limits.scratch),
            plains: Kept::new(self.limits.scratch),
            frame: Mutex::default(),
            limits: self.limits,
        }
    }

    /// Where the table begins in what is stored.
    pub(crate) fn stored_size(&self) -> u64 {
        self.end
    }

    /// The sections, as they are stored, that these bytes are read of; `None` beyond the end.
    pub(crate) fn stored_of(&self, bytes: &Range<u64>) -> Option<Range<u64>> {
        if bytes.end > self.content || bytes.is_empty() {
            return None;
        }
        let (first, last) = (self.section_at(bytes.start)?, self.section_at(bytes.end - 1)?);
        let (first, last) = (self.sections[first], self.sections[last]);
        Some(first.at..last.at + last.stored)
    }

    /// The length of the encoding in bytes.
    pub(crate) fn size_stored(&self) -> u64 {
        self.stored.size().unwrap_or_default()
    }

    /// How many stored bytes the sections have that these bytes are read of.
    pub(crate) fn stored_bytes_of(&self, bytes: &Range<u64>) -> u64 {
        let Some(first) = self.section_at(bytes.start) else { return 0 };
        let sections = self.sections[first..].iter().take_while(|section| section.start < bytes.end);
        // Of a frame that others share, its part.
        let share = |section: &Section| match section.kind {
            SectionKind::Recipe | SectionKind::Opened => section.stored,
            _ => {
                let (start, end) =
                    (section.start.max(bytes.start), (section.start + section.content).min(bytes.end));
                let part = u128::from(end.saturating_sub(start)) * u128::from(section.stored);
                (part / u128::from(section.content.max(1))) as u64
            }
        };
        sections.map(share).sum()
    }

    fn outer(&self) -> Arc<dyn Bases> {
        self.outer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn scratch(&self) -> ScratchSpace {
        self.scratch.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn section_at(&self, offset: u64) -> Option<usize> {
        if offset >= self.content {
            return None;
        }
        self.sections.partition_point(|section| section.start <= offset).checked_sub(1)
    }

    /// Makes sure that a section has the head that the table says: a pipe is read by heads, a file by the table, and
    /// both must mean the same.
    fn check_head(&self, position: usize) -> Result<(), CompactError> {
        let section = self.sections[position];
        // In a pipe, heads are not kept.
        let Some(at) = section.at.checked_sub(SECTION_HEAD).filter(|_| self.end > 0) else { return Ok(()) };
        let mut found = [0; SECTION_HEAD as usize];
        self.stored.read_exact_at(&mut found, at).map_err(CompactError::of)?;
        let expected = SectionHead { kind: section.kind, content: section.content, stored: section.stored };
        if found == expected.to_bytes() { Ok(()) } else { Err(CompactError::Content(position)) }
    }

    fn head_of(&self, section: &Section) -> Result<(RecipeHead, u64), CompactError> {
        let part = Part::new(&*self.stored, section.at..section.at + section.stored);
        let mut reader = io::BufReader::with_capacity(4 << 10, part);
        let head = RecipeHead::read(
            &mut reader,
            section.kind,
            section.start,
            section.content,
            &self.bases,
            &self.limits,
        )?;
        let buffered = reader.buffer().len() as u64;
        let part = reader.into_inner();
        Ok((head, part.position() - buffered))
    }

    /// The blob that a recipe makes.
    fn blob(&self, position: usize, links: usize) -> Result<Arc<File>, CompactError> {
        let section = self.sections[position];
        self.made.get(position, section.content, || {
            self.check_head(position)?;
            let (head, at) = self.head_of(&section)?;
            let recipe = recipe_of(&head)?;
            let has_runs = recipe.as_ref().is_some_and(Recipe::has_runs);
            let tokens = if has_runs { Tokens::Read } else { Tokens::Unread };
            let plains = head.bases.iter().map(|base| self.plain(base, tokens, links));
            let plains: Vec<Arc<Plain>> = plains.collect::<Result<_, _>>()?;
            let end = section.at + section.stored;
            let cut =
                at.checked_add(head.corrections).filter(|cut| *cut <= end).ok_or(CompactError::Recipe)?;
            let corrections = Part::new(&*self.stored, at..cut);
            let mut difference = io::BufReader::with_capacity(PIECE, Part::new(&*self.stored, cut..end));
            let (recipe, scratch) = (recipe.as_ref(), self.scratch());
            let made = make(&head, recipe, section.content, corrections, &mut difference, &plains, &scratch)?;
            made.ok_or(CompactError::Content(position))
        })
    }

    /// The uncompressed bytes of a base.
    fn plain(&self, base: &RecipeBase, tokens: Tokens, links: usize) -> Result<Arc<Plain>, CompactError> {
        let plain = self.plains.get((base.place, tokens), base.plain, || {
            let scratch = self.scratch();
            let blob = match base.place {
                BasePlace::Earlier { offset, size } => self.copy(offset, size, links + 1, &scratch)?,
                BasePlace::Outer(index) => self.outer_blob(&self.bases[index as usize], &scratch)?,
            };
            let size = blob.metadata().map_err(CompactError::Io)?.len();
            Plain::of(&blob, size, tokens, &scratch)
        })?;
        if plain.size == base.plain { Ok(plain) } else { Err(CompactError::Recipe) }
    }

    fn outer_blob(&self, base: &CompactBase, scratch: &ScratchSpace) -> Result<File, CompactError> {
        let file = scratch.file().map_err(CompactError::Io)?;
        copy_base(&*self.outer(), base, &file)?;
        Ok(file)
    }

    /// Bytes of this archive in a file.
    fn copy(
        &self,
        offset: u64,
        size: u64,
        links: usize,
        scratch: &ScratchSpace,
    ) -> Result<File, CompactError> {
        if links > MOST_LINKS {
            return Err(CompactError::Recipe);
        }
        let file = scratch.file().map_err(CompactError::Io)?;
        let mut piece = vec![0; PIECE];
        let mut done = 0;
        while done < size {
            let length = (size - done).min(PIECE as u64) as usize;
            self.fill(&mut piece[..length], offset + done, links)?;
            io::Write::write_all(&mut &file, &piece[..length]).map_err(CompactError::Io)?;
            done += length as u64;
        }
        Ok(file)
    }

    fn frame(&self, position: usize) -> Result<Arc<Vec<u8>>, CompactError> {
        let mut kept = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, content)) = &*kept
            && *known == position
        {
            return Ok(content.clone());
        }
        self.check_head(position)?;
        let section = self.sections[position];
        let lies = || CompactError::Content(position);
        let mut packed = vec![0; usize::try_from(section.stored).map_err(|_| lies())?];
        self.stored.read_exact_at(&mut packed, section.at).map_err(CompactError::of)?;
        if zstd::zstd_safe::find_frame_compressed_size(&packed) != Ok(packed.len()) {
            return Err(lies());
        }
        // There is room for exactly as much as the head says: what would be more is an error.
        let mut content = Vec::with_capacity(section.content as usize);
        let unpacked = Decompressor::new()
            .and_then(|mut decompressor| decompressor.decompress_to_buffer(&packed, &mut content))
            .map_err(|_| lies())?;
        if unpacked as u64 != section.content {
            return Err(lies());
        }
        let content = Arc::new(content);
        *kept = Some((position, content.clone()));
        Ok(content)
    }

    fn fill(&self, buffer: &mut [u8], offset: u64, links: usize) -> Result<(), CompactError> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.checked_add(done as u64).ok_or(CompactError::Cut)?;
            let position = self.section_at(at).ok_or(CompactError::Cut)?;
            let section = self.sections[position];
            let from = at - section.start;
            let length = (section.content - from).min((buffer.len() - done) as u64) as usize;
            let part = &mut buffer[done..done + length];
            match section.kind {
                SectionKind::Frame => {
                    let content = self.frame(position)?;
                    part.copy_from_slice(&content[from as usize..from as usize + length]);
                }
                SectionKind::Recipe | SectionKind::Opened => {
                    let file = self.blob(position, links)?;
                    bundle_os::read_exact_at(&file, part, from).map_err(CompactError::of)?;
                }
                SectionKind::Bytes | SectionKind::End => {
                    self.check_head(position)?;
                    self.stored.read_exact_at(part, section.at + from).map_err(CompactError::of)?;
                }
            }
            done += length;
        }
        Ok(())
    }

    /// Whether a section's bytes can be had: it is stored, and its bases are here.
    fn has_section(&self, position: usize, links: usize) -> bool {
        let section = self.sections[position];
        if links > MOST_LINKS || !self.stored.has(&(section.at..section.at + section.stored)) {
            return false;
        }
        if !section.kind.is_recipe() {
            return true;
        }
        // What is no recipe is damage, which is told when it is read.
        let Ok((head, _)) = self.head_of(&section) else { return true };
        let outer = self.outer();
        head.bases.iter().all(|base| match base.place {
            BasePlace::Earlier { offset, size } => self.has_range(&(offset..offset + size), links + 1),
            BasePlace::Outer(index) => outer.has(&self.bases[index as usize]),
        })
    }

    fn has_range(&self, bytes: &Range<u64>, links: usize) -> bool {
        if bytes.is_empty() {
            return true;
        }
        match (self.section_at(bytes.start), self.section_at(bytes.end - 1)) {
            (Some(first), Some(last)) => (first..=last).all(|position| self.has_section(position, links)),
            _ => false,
        }
    }

    #[cfg(test)]
    pub(crate) fn recipes(&self) -> Vec<(SectionKind, RecipeHead)> {
        let recipes = self.sections.iter().filter(|section| section.kind.is_recipe());
        recipes.filter_map(|section| Some((section.kind, self.head_of(section).ok()?.0))).collect()
    }

    /// The bases of some bytes of the archive that cannot be had.
    pub fn missing_bases_of(&self, bytes: &Range<u64>) -> Vec<CompactBase> {
        let mut missing = Vec::new();
        self.find_missing(bytes, 0, &mut missing);
        missing
    }

    fn find_missing(&self, bytes: &Range<u64>, links: usize, missing: &mut Vec<CompactBase>) {
        let (false, Some(first)) = (bytes.is_empty() || links > MOST_LINKS, self.section_at(bytes.start))
        else {
            return;
        };
        let sections = self.sections[first..].iter().take_while(|section| section.start < bytes.end);
        let outer = self.outer();
        for section in sections.filter(|section| section.kind.is_recipe()) {
            let Ok((head, _)) = self.head_of(section) else { continue };
            for base in head.bases {
                match base.place {
                    BasePlace::Earlier { offset, size } => {
                        self.find_missing(&(offset..offset + size), links + 1, missing);
                    }
                    BasePlace::Outer(index) => {
                        let base = &self.bases[index as usize];
                        if !missing.contains(base) && !outer.has(base) {
                            missing.push(base.clone());
                        }
                    }
                }
            }
        }
    }
}

/// Copies a base into a file, and makes sure that it is the one.
pub(crate) fn copy_base(bases: &dyn Bases, base: &CompactBase, file: &File) -> Result<(), CompactError> {
    let mut out = Hashed { file, hasher: Hasher::new(), left: base.size };
    match bases.copy(base, &mut out) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CompactError::NoBase(base.clone()));
        }
        Err(error) => return Err(CompactError::Io(error)),
    }
    if out.left != 0 || out.hasher.finish() != base.digest {
        return Err(CompactError::WrongBase(base.clone()));
    }
    Ok(())
}

/// The end of what is stored: read from there, or where that is missing from a copy beside it.
struct Tail<'a> {
    stored: &'a Arc<dyn Layer>,
    copy: Vec<u8>,
    from: u64,
}

impl<'a> Tail<'a> {
    fn of(stored: &'a Arc<dyn Layer>, copy: Option<Vec<u8>>, length: u64) -> Self {
        let copy = copy.unwrap_or_default();
        let from = length.saturating_sub(copy.len() as u64);
        Self { stored, copy, from }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset < self.from || self.stored.has(&(offset..offset + buffer.len() as u64)) {
            return self.stored.read_exact_at(buffer, offset);
        }
        Layer::read_exact_at(&self.copy, buffer, offset - self.from)
    }
}

/// Writes what is hashed, and no more than was asked for.
struct Hashed<'a> {
    file: &'a File,
    hasher: Hasher,
    left: u64,
}

impl io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a base is longer than its name says"));
        }
        io::Write::write_all(&mut self.file, bytes)?;
        self.hasher.update(bytes);
        self.left -= bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Layer for Compact {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.fill(buffer, offset, 0).map_err(CompactError::into_io)
    }

    fn read_at_once(&self, _: &mut [u8], _: u64) -> bool {
        // To make a blob takes longer than a reader that must not wait has.
        false
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.content)
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        bytes.end <= self.content && self.has_range(bytes, 0)
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        let Some(first) = self.section_at(bytes.start) else { return Vec::new() };
        let mut parts: Vec<Range<u64>> = Vec::new();
        for position in first..self.sections.len() {
            let section = self.sections[position];
            let (start, end) =
                (section.start.max(bytes.start), (section.start + section.content).min(bytes.end));
            if start >= end {
                break;
            }
            if !self.has_section(position, 0) {
                continue;
            }
            match parts.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => parts.push(start..end),
            }
        }
        parts
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        self.stored_of(bytes).map(|stored| self.stored.files_of(&stored)).unwrap_or_default()
    }

    fn missing(&self) -> Vec<PathBuf> {
        self.stored.missing()
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        self.stored.place(&self.stored_of(bytes)?)
    }

    fn settle(&self, _: &Range<u64>, _: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        false
    }
}

impl std::fmt::Debug for Compact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compact({} sections, {} bases)", self.sections.len(), self.bases.len())
    }
}
