//! Reads the documents of a chart's files while further files are rendered.
//! Takes texts in any order, each with its place; gives their documents in the order of the places.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::definition::shortened;
use super::document::{Document, Origin};
use super::rendering::Definitions;
use super::{RenderError, RenderOptions};

/// A text with documents, and its file.
pub(super) struct Text<'a> {
    pub(super) file: String,
    pub(super) origin: Origin,
    pub(super) text: Cow<'a, str>,
}

/// The texts of one rendering that wait to be read, and the documents of those that were.
pub(super) struct Reading<'a> {
    options: &'a RenderOptions,
    /// Whether a document's text is known; it is passed over then.
    known: &'a (dyn Fn(&str) -> bool + Sync),
    waiting: Mutex<Waiting<'a>>,
    changed: Condvar,
    done: Mutex<Vec<(usize, Read)>>,
}

/// What was read of one or more texts.
type Read = Result<Vec<Document>, RenderError>;

struct Waiting<'a> {
    /// Texts that were rendered. They come first, for their memory is their own.
    rendered: VecDeque<(usize, Text<'a>)>,
    /// Files that are no templates.
    definitions: VecDeque<(usize, Text<'a>)>,
    /// The place of the next text.
    next: usize,
    /// Whether no more texts come.
    is_over: bool,
}

/// So many rendered texts wait at most: all of them together may be large.
const MOST: usize = 32;

impl<'a> Reading<'a> {
    pub(super) fn new(
        options: &'a RenderOptions,
        known: &'a (dyn Fn(&str) -> bool + Sync),
        definitions: Vec<Text<'a>>,
    ) -> Self {
        let next = definitions.len();
        let definitions = definitions.into_iter().enumerate().collect();
        let waiting = Waiting { rendered: VecDeque::new(), definitions, next, is_over: false };
        let (waiting, changed, done) = (Mutex::new(waiting), Condvar::new(), Mutex::default());
        Self { options, known, waiting, changed, done }
    }

    /// Leaves a text to the other threads, or reads it if too many wait.
    pub(super) fn leave(&self, text: Text<'a>) {
        let mut waiting = self.waiting();
        let at = waiting.next;
        waiting.next += 1;
        if waiting.rendered.len() < MOST {
            waiting.rendered.push_back((at, text));
            drop(waiting);
            self.changed.notify_one();
        } else {
            drop(waiting);
            self.read(at, &text);
        }
    }

    /// Reads a text.
    pub(super) fn take(&self, text: &Text<'_>) {
        let mut waiting = self.waiting();
        let at = waiting.next;
        waiting.next += 1;
        drop(waiting);
        self.read(at, text);
    }

    /// Says that no more texts come as soon as what it returns is dropped, in a panic too.
    pub(super) const fn open(&self) -> Open<'_, 'a> {
        Open(self)
    }

    /// Reads texts until there are none and no more come.
    pub(super) fn work(&self) {
        let mut waiting = self.waiting();
        loop {
            let next = waiting.rendered.pop_front().or_else(|| waiting.definitions.pop_front());
            match next {
                Some((at, text)) => {
                    drop(waiting);
                    self.read(at, &text);
                    waiting = self.waiting();
                }
                None if waiting.is_over => return,
                None => waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The documents of the first `definitions` texts, and of the others.
    ///
    /// # Errors
    /// The first text of each that is no YAML.
    pub(super) fn finish(self, definitions: usize) -> [Read; 2] {
        let mut done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(at, _)| *at);
        let rest = done.split_off(done.partition_point(|(at, _)| *at < definitions));
        [done, rest].map(|texts| {
            let mut documents = Vec::new();
            for (_, read) in texts {
                documents.append(&mut read?);
            }
            Ok(documents)
        })
    }

    fn read(&self, at: usize, Text { file, origin, text }: &Text<'_>) {
        // What is no UTF-8 in a file stays as it is.
        let is_changed = *origin == Origin::Definition && matches!(text, Cow::Owned(_));
        let text = match self.options.definitions {
            Definitions::Search if !is_changed => shortened(text),
            _ => Cow::Borrowed(&**text),
        };
        let mut documents = Vec::new();
        let read = Document::all(file, *origin, &text, self.options, self.known, &mut documents)
            .map(|()| documents)
            .map_err(|error| RenderError::Yaml { file: file.clone(), error });
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push((at, read));
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<'a>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as it is there, more texts come.
pub(super) struct Open<'r, 'a>(&'r Reading<'a>);

impl Drop for Open<'_, '_> {
    fn drop(&mut self) {
        self.0.waiting().is_over = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> Text<'static> {
        let text = if number == 70 { "a: [".to_owned() } else { format!("a: {number}\n") };
        Text { file: format!("c/{number}.yaml"), origin: Origin::Template, text: Cow::Owned(text) }
    }

    #[test]
    fn documents_are_in_the_order_of_their_texts_whoever_reads_them() {
        let options = RenderOptions::default();
        for (count, readers) in [(0, 1), (3, 0), (60, 0), (60, 1), (60, 3), (80, 2)] {
            let reading = Reading::new(&options, &|text| text == "a: 5\n", vec![text(0), text(1)]);
            std::thread::scope(|scope| {
                (0..readers).for_each(|_| drop(scope.spawn(|| reading.work())));
                let open = reading.open();
                (2..count).for_each(|number| reading.leave(text(number)));
                drop(open);
                reading.work();
            });
            let [definitions, rendered] = reading.finish(2);
            let files = |documents: Vec<Document>| -> Vec<String> {
                documents.into_iter().map(|document| document.file).collect()
            };
            assert_eq!(files(definitions.unwrap()), ["c/0.yaml", "c/1.yaml"]);
            if count > 70 {
                assert!(matches!(rendered, Err(RenderError::Yaml { file, .. }) if file == "c/70.yaml"));
                continue;
            }
            let expected: Vec<String> =
                (2..count).filter(|number| *number != 5).map(|number| format!("c/{number}.yaml")).collect();
            assert_eq!(files(rendered.unwrap()), expected);
        }
    }
}
