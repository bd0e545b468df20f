//! What was done of the whole: bytes, images, and which of them are moving. Takes the events of the libraries with
//! the time of each; gives a [`Snapshot`], in which nothing is ever more than the whole.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bundle_oci::Digest;
use bundle_registry::ImageExtent;

use crate::progress::rate::Rate;

/// What is known of a run at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The stage, as a verb: `fetching`.
    pub(crate) stage: &'static str,
    /// Bytes that are where they belong, those included that were there before.
    pub(crate) bytes: u64,
    /// The bytes in all, if that is known.
    pub(crate) all_bytes: Option<u64>,
    /// Bytes that need not move, because they are there.
    pub(crate) present: u64,
    pub(crate) images: usize,
    /// The images in all; 0 if they are not known.
    pub(crate) all_images: usize,
    /// The images whose bytes move, the latest first.
    pub(crate) current: Vec<Current>,
    /// Bytes per second.
    pub(crate) rate: Option<u64>,
    pub(crate) left: Option<Duration>,
    /// The time in this stage.
    pub(crate) elapsed: Duration,
}

/// An image whose bytes move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) all_bytes: u64,
}

/// The counts of one stage.
#[derive(Debug)]
pub(crate) struct Tally {
    stage: &'static str,
    started: Instant,
    done: u64,
    all: Option<u64>,
    /// Whether there is work of which nothing can be counted.
    begun: bool,
    present: u64,
    /// So many were looked up of so many.
    looked_up: Option<(usize, usize)>,
    images: Vec<Image>,
    blobs: HashMap<Digest, Blob>,
    rate: Rate,
}

#[derive(Debug)]
struct Image {
    name: String,
    bytes: u64,
    all_bytes: u64,
    /// Blobs that are not in place yet.
    open: usize,
    /// When a byte of it moved last.
    moved: Option<Instant>,
}

#[derive(Debug, Default)]
struct Blob {
    /// Nothing is known of it before it begins to move.
    size: Option<u64>,
    done: u64,
    ended: bool,
    /// The images that consist of it.
    images: Vec<usize>,
}

impl Tally {
    /// Nothing is known yet.
    pub(crate) fn new(stage: &'static str, now: Instant) -> Self {
        Self {
            stage,
            started: now,
            done: 0,
            all: None,
            begun: false,
            present: 0,
            looked_up: None,
            images: Vec::new(),
            blobs: HashMap::new(),
            rate: Rate::new(now),
        }
    }

    /// The name of the stage.
    pub(crate) fn stage(&self) -> &'static str {
        self.stage
    }

    /// Whether there is anything to show.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun || self.looked_up.is_some() || self.all.is_some() || self.done > 0
    }

    /// Work has begun of which nothing can be counted yet.
    pub(crate) fn begins(&mut self) {
        self.begun = true;
    }

    /// So many of all images were looked up.
    pub(crate) fn looked_up(&mut self, done: usize, all: usize) {
        self.looked_up = Some((done.min(all), all));
    }

    /// The images of this stage. Those of which no blob moves are in place.
    pub(crate) fn images(&mut self, images: &[ImageExtent]) {
        self.images.clear();
        for (index, image) in images.iter().enumerate() {
            for (digest, size) in &image.blobs {
                let blob = self.blobs.entry(*digest).or_default();
                blob.size = Some(*size);
                blob.images.push(index);
            }
            self.images.push(Image {
                name: image.name.clone(),
                bytes: 0,
                all_bytes: image.blobs.iter().map(|(_, size)| size).sum(),
                open: image.blobs.len(),
                moved: None,
            });
        }
    }

    /// The bytes in all.
    pub(crate) fn total(&mut self, bytes: u64) {
        self.all = Some(bytes);
    }

    /// A blob starts to move, with so many of its bytes in place.
    pub(crate) fn begin(&mut self, digest: Digest, size: u64, done: u64) {
        let blob = self.blobs.entry(digest).or_default();
        blob.size = Some(size);
        self.present(digest, done);
    }

    /// Bytes have moved.
    pub(crate) fn advance(&mut self, digest: Digest, bytes: u64, now: Instant) {
        let counted = self.count(digest, bytes);
        if counted > 0 {
            self.rate.add(now, counted);
            if let Some(blob) = self.blobs.get(&digest) {
                for image in &blob.images {
                    self.images[*image].moved = Some(now);
                }
            }
        }
    }

    /// Bytes need not move, because they are there.
    pub(crate) fn present(&mut self, digest: Digest, bytes: u64) {
        self.present += self.count(digest, bytes);
    }

    /// Bytes moved in vain.
    pub(crate) fn rewind(&mut self, digest: Digest, bytes: u64) {
        let Some(blob) = self.blobs.get_mut(&digest).filter(|blob| !blob.ended) else { return };
        let bytes = bytes.min(blob.done);
        blob.done -= bytes;
        for image in &blob.images {
            self.images[*image].bytes -= bytes;
        }
        self.done -= bytes;
        // What was there before and turned out wrong moves now.
        self.present = self.present.min(self.done);
    }

    /// A blob is where it belongs. Whatever is told of it later was counted.
    pub(crate) fn end(&mut self, digest: Digest) {
        let Some(blob) = self.blobs.get_mut(&digest).filter(|blob| !blob.ended) else { return };
        blob.ended = true;
        for image in &blob.images {
            self.images[*image].open -= 1;
        }
    }

    /// Counts no more bytes of a blob than it has. Bytes of a blob without a size are of one that has no end.
    fn count(&mut self, digest: Digest, bytes: u64) -> u64 {
        let blob = self.blobs.entry(digest).or_default();
        let bytes = match (blob.ended, blob.size) {
            (true, _) => 0,
            (false, Some(size)) => bytes.min(size.saturating_sub(blob.done)),
            (false, None) => bytes,
        };
        blob.done += bytes;
        for image in &blob.images {
            self.images[*image].bytes += bytes;
        }
        self.done += bytes;
        bytes
    }

    /// What is known now.
    pub(crate) fn snapshot(&self, now: Instant) -> Snapshot {
        let bytes = self.all.map_or(self.done, |all| self.done.min(all));
        let (images, all_images) = match self.looked_up.filter(|_| self.all.is_none()) {
            Some(looked_up) => looked_up,
            None => (self.images.iter().filter(|image| image.open == 0).count(), self.images.len()),
        };
        let mut moving: Vec<&Image> =
            self.images.iter().filter(|image| image.open > 0 && image.moved.is_some()).collect();
        moving.sort_by_key(|image| std::cmp::Reverse(image.moved));
        let current = moving.into_iter().map(|image| Current {
            name: image.name.clone(),
            bytes: image.bytes,
            all_bytes: image.all_bytes,
        });
        let moves = self.done > self.present;
        Snapshot {
            stage: self.stage,
            bytes,
            all_bytes: self.all,
            present: self.present.min(bytes),
            images,
            all_images,
            current: current.collect(),
            rate: self.rate.per_second(now).filter(|_| moves),
            left: self.all.and_then(|all| self.rate.left(now, all - bytes)).filter(|_| moves),
            elapsed: now.saturating_duration_since(self.started),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(number: u8) -> Digest {
        Digest::of(&[number])
    }

    fn tally(now: Instant) -> Tally {
        let mut tally = Tally::new("fetching", now);
        tally.images(&[
            ImageExtent { name: "nginx:1.25".to_owned(), blobs: vec![(blob(1), 100), (blob(2), 50)] },
            ImageExtent { name: "redis:7".to_owned(), blobs: vec![(blob(1), 100), (blob(3), 30)] },
            ImageExtent { name: "there:1".to_owned(), blobs: Vec::new() },
        ]);
        tally.total(180);
        tally
    }

    #[test]
    fn images_are_done_when_all_their_blobs_are_and_a_shared_one_counts_once() {
        let now = Instant::now();
        let mut tally = tally(now);
        assert_eq!(tally.snapshot(now).images, 1);
        tally.begin(blob(1), 100, 0);
        tally.advance(blob(1), 100, now);
        let moving = tally.snapshot(now);
        assert_eq!((moving.bytes, moving.images, moving.all_images), (100, 1, 3));
        let names: Vec<&str> = moving.current.iter().map(|image| image.name.as_str()).collect();
        assert_eq!(names, ["nginx:1.25", "redis:7"]);
        assert_eq!((moving.current[1].bytes, moving.current[1].all_bytes), (100, 130));
        tally.end(blob(1));
        tally.begin(blob(3), 30, 0);
        tally.present(blob(3), 30);
        tally.end(blob(3));
        let shown = tally.snapshot(now);
        assert_eq!((shown.bytes, shown.present, shown.images), (130, 30, 2));
        assert_eq!(shown.current.len(), 1);
    }

    #[test]
    fn a_failed_attempt_is_taken_back_and_nothing_exceeds_the_whole() {
        let now = Instant::now();
        let mut tally = tally(now);
        tally.begin(blob(1), 100, 40);
        tally.advance(blob(1), 60, now);
        tally.rewind(blob(1), 100);
        assert_eq!(tally.snapshot(now).bytes, 0);
        for _ in 0..5 {
            tally.advance(blob(1), 70, now);
        }
        assert_eq!(tally.snapshot(now).bytes, 100);
        tally.rewind(blob(1), 1000);
        tally.advance(blob(1), 100, now);
        tally.end(blob(1));
        // It is looked for again, as after a registry's garbage collection.
        tally.begin(blob(1), 100, 0);
        tally.present(blob(1), 100);
        tally.end(blob(1));
        tally.rewind(blob(1), 100);
        let shown = tally.snapshot(now);
        assert_eq!((shown.bytes, shown.current[0].bytes), (100, 100));
        // A blob of no image, of which nobody said a size.
        tally.advance(blob(9), 1_000_000, now);
        assert_eq!(tally.snapshot(now).bytes, 180);
    }

    #[test]
    fn what_was_there_before_is_no_speed() {
        let now = Instant::now();
        let mut tally = tally(now);
        tally.begin(blob(1), 100, 100);
        tally.end(blob(1));
        let later = now + Duration::from_secs(30);
        let shown = tally.snapshot(later);
        assert_eq!((shown.bytes, shown.present, shown.rate, shown.left), (100, 100, None, None));
    }

    #[test]
    fn images_are_looked_up_before_bytes_are_known() {
        let now = Instant::now();
        let mut tally = Tally::new("resolving", now);
        assert!(!tally.has_begun());
        tally.looked_up(3, 12);
        let shown = tally.snapshot(now);
        assert_eq!((shown.images, shown.all_images, shown.all_bytes), (3, 12, None));
        assert!(tally.has_begun());
    }
}
