//! Every bound on what a chart may ask of its reader, each with its unit and reason.
//! [`Budget`] is what is left of them during one rendering.

use std::cell::Cell;
use std::time::Instant;

/// Every bound on what a chart may ask of its reader. Charts are programs of strangers: without
/// these a template could run for ever or fill the memory.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Steps of evaluation in one rendering: actions, function calls, elements visited, and every 64
    /// bytes of text that a function goes through. The largest popular charts take a hundred thousand.
    pub steps: u64,
    /// Bytes that the texts and values of one rendering take, those that are gone included, for a
    /// template can double a text with every line. One that prints its files takes 60 million, others 15.
    pub bytes: u64,
    /// Bytes of one template's text.
    pub template: usize,
    /// How deep templates may include each other. Helm allows a template a thousand times inside
    /// itself.
    pub include_depth: usize,
    /// How deep a template's source may nest (blocks and parentheses).
    pub syntax_depth: usize,
    /// Nodes and operands of all templates together. They take a hundred times the room of their text.
    pub syntax_nodes: usize,
    /// How deep a value may nest where it is read, compared, copied or written.
    pub value_depth: usize,
    /// Values in one YAML text, those that aliases repeat included: a page of aliases can mean
    /// billions.
    pub yaml_nodes: usize,
    /// Bytes of a chart's archive. The largest popular charts have two million.
    pub archive: u64,
    /// Bytes of one file in a chart. Helm refuses larger ones.
    pub file: u64,
    /// Bytes of all files of a chart and of the charts inside it, unpacked: stops archives that
    /// unpack without end. Helm allows as much.
    pub unpacked: u64,
    /// Files of a chart and of the charts inside it.
    pub files: usize,
    /// Bytes of a file's path inside its chart.
    pub path: usize,
    /// How deep charts may lie inside charts.
    pub chart_depth: usize,
    /// Steps that compare parts of a schema with parts of the values: definitions that each name the next one
    /// twice would go on for ever. A warning reports a check that was cut short.
    pub schema_steps: u64,
    /// How often a chart is rendered to find the values that name its images. Each image takes a few
    /// renderings, and a hundred if no value is right.
    pub trials: usize,
    /// How many switches of a chart are turned. Most charts have a dozen, the largest a thousand with
    /// the charts inside them.
    pub switches: usize,
}

impl Limits {
    /// The bounds that the program uses.
    pub const DEFAULT: Self = Self {
        steps: 20_000_000,
        bytes: 96 << 20,
        template: 16 << 20,
        include_depth: 1_000,
        syntax_depth: 200,
        syntax_nodes: 2_000_000,
        value_depth: 200,
        yaml_nodes: 1_000_000,
        archive: 32 << 20,
        file: 5 << 20,
        unpacked: 100 << 20,
        files: 20_000,
        path: 1_024,
        chart_depth: 16,
        schema_steps: 1_000_000,
        trials: 5_000,
        switches: 3_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

// Bounds outside `Limits`: they follow from Helm and Go, or need no other value.

/// How deep schemas may refer to each other without going down in the value.
pub(crate) const SCHEMA_REFERENCES: usize = 200;

/// The largest width or precision of a format that Go reads.
pub(crate) const FORMAT_WIDTH: usize = 1_000_000;

/// After so many digits a float has only zeros; Rust writes at most 65,535.
pub(crate) const FLOAT_DIGITS: usize = 1_100;

/// The longest version in bytes that Helm's library reads.
pub(crate) const LONGEST_VERSION: usize = 256;

/// The longest range of versions in bytes that Helm's library reads.
pub(crate) const LONGEST_CONSTRAINT: usize = 512;

/// How many alternatives of a range of versions Helm's library reads.
pub(crate) const VERSION_GROUPS: usize = 32;

/// How deep directories of a chart may lie inside each other; links can make them endless.
pub(crate) const DIRECTORY_DEPTH: usize = 64;

/// The largest index in `--set` that Helm takes.
pub(crate) const SET_INDEX: usize = 65_536;

/// How deep keys of `--set` may nest: Helm's bound.
pub(crate) const SET_DEPTH: usize = 30;

/// Images that are only mentioned in one chart; honest charts name a few.
pub(crate) const MENTIONS: usize = 1_000;

/// The longest line in bytes that is searched for mentions; longer ones are data.
pub(crate) const MENTION_LINE: usize = 4_096;

/// How many switches may stand inside each other: one shows a part of the chart that has others.
pub(crate) const SWITCH_DEPTH: usize = 3;

/// The most assignments of one text that are compared with each other.
pub(crate) const ASSIGNMENTS: usize = 2_000;

/// The longest text in bytes that may be an image's name, with its tag and digest.
pub(crate) const IMAGE_NAME: usize = 600;

/// How deep texts are read as documents inside each other.
pub(crate) const TEXT_DEPTH: usize = 3;

/// The largest text in bytes that is read as a document.
pub(crate) const TEXT_DOCUMENT: usize = 4 << 20;

/// The bytes that a compiled regular expression may take, and as many again while it searches.
pub(crate) const REGEX_BYTES: usize = 2 << 20;

/// Compiled regular expressions that are kept.
pub(crate) const KEPT_REGEXES: usize = 50;

/// How many ways the alternatives of one glob may combine, and how many parts all of them may have.
pub(crate) const GLOB_WAYS: usize = 256;

/// The most API versions that are noted of one file; charts ask for a few.
pub(crate) const ABSENT_APIS: usize = 32;

/// The stack in bytes that [`EVALUATION_DEPTH`] levels fit into, in debug builds too.
pub(crate) const STACK: usize = 128 << 20;

/// How many blocks, pipelines and templates may be inside each other at once.
pub(crate) const EVALUATION_DEPTH: usize = 8_000;

/// Approximate memory of a value in a list or map, in bytes: the value, its key, and its part of the map.
const VALUE: usize = 64;

/// What a map costs besides its values, in bytes: no less than it takes with room for its first ones.
const MAP: usize = 512;

/// Which bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// [`Limits::steps`].
    #[error("more than {0} steps")]
    Steps(u64),
    /// [`Limits::bytes`].
    #[error("more than {0} bytes of texts and values")]
    Bytes(u64),
    /// [`Limits::template`].
    #[error("a template of more than {0} bytes")]
    Template(usize),
    /// [`Limits::include_depth`].
    #[error("more than {0} templates inside each other")]
    IncludeDepth(usize),
    /// [`Limits::syntax_depth`].
    #[error("more than {0} blocks or parentheses inside each other")]
    SyntaxDepth(usize),
    /// [`Limits::syntax_nodes`].
    #[error("more than {0} expressions in the templates")]
    SyntaxNodes(usize),
    /// [`Limits::value_depth`].
    #[error("a value that nests deeper than {0}")]
    ValueDepth(usize),
    /// [`Limits::yaml_nodes`].
    #[error("more than {0} values in one YAML text")]
    YamlNodes(usize),
    /// The time that the caller gave.
    #[error("the time is over")]
    Time,
}

/// The rest of the limits during one rendering.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    steps: Cell<u64>,
    bytes: Cell<u64>,
    deadline: Option<Instant>,
}

impl Budget {
    pub(crate) const fn new(limits: Limits, deadline: Option<Instant>) -> Self {
        Self { steps: Cell::new(limits.steps), bytes: Cell::new(limits.bytes), limits, deadline }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes one step.
    pub(crate) fn step(&self) -> Result<(), Limit> {
        self.steps(1)
    }

    /// Takes many steps at once, before the work that they stand for.
    pub(crate) fn steps(&self, count: usize) -> Result<(), Limit> {
        let before = self.steps.get();
        let left = before.checked_sub(count as u64).ok_or(Limit::Steps(self.limits.steps))?;
        self.steps.set(left);
        // The clock is asked every 4096 steps only.
        if before >> 12 != left >> 12 && self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Limit::Time);
        }
        Ok(())
    }

    /// Pays for text, before or as it is made.
    pub(crate) fn bytes(&self, count: usize) -> Result<(), Limit> {
        let left = self.bytes.get().checked_sub(count as u64);
        self.bytes.set(left.ok_or(Limit::Bytes(self.limits.bytes))?);
        Ok(())
    }

    /// Pays for values that are put into a new list or map, before they are.
    pub(crate) fn values(&self, count: usize) -> Result<(), Limit> {
        self.steps(count)?;
        self.bytes(count.saturating_mul(VALUE))
    }

    /// Pays for new maps, before they are made.
    pub(crate) fn maps(&self, count: usize) -> Result<(), Limit> {
        self.bytes(count.saturating_mul(MAP))
    }

    /// One level further down in a value; `depth` is that of its parent.
    pub(crate) fn descend(&self, depth: usize) -> Result<usize, Limit> {
        self.step()?;
        match depth < self.limits.value_depth {
            true => Ok(depth + 1),
            false => Err(Limit::ValueDepth(self.limits.value_depth)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_once() {
        let limits = Limits { steps: 3, bytes: 10, ..Limits::DEFAULT };
        let budget = Budget::new(limits, None);
        assert_eq!(budget.steps(3), Ok(()));
        assert_eq!(budget.step(), Err(Limit::Steps(3)));
        assert_eq!(budget.bytes(10), Ok(()));
        assert_eq!(budget.bytes(1), Err(Limit::Bytes(10)));
    }

    #[test]
    fn a_deadline_that_is_over_ends_the_work() {
        let budget = Budget::new(Limits::DEFAULT, Some(Instant::now()));
        assert!((0..10_000).any(|_| budget.step() == Err(Limit::Time)));
    }
}
