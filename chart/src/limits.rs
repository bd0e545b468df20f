/// Every bound on what a chart may ask of its reader. Charts are programs of strangers: without
/// these a template could run for ever or fill the memory.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Steps of evaluation in one rendering: actions, function calls, elements visited. A hundred
    /// times what the largest popular charts need.
    pub steps: u64,
    /// Bytes of text that one rendering may make, intermediate texts included, for a template can
    /// double a text with every line.
    pub bytes: u64,
    /// How deep templates may include each other. Helm allows a template a thousand times inside
    /// itself.
    pub include_depth: usize,
    /// How deep a template's source may nest (blocks and parentheses).
    pub syntax_depth: usize,
    /// How deep a value may nest where it is read, compared, copied or written.
    pub value_depth: usize,
    /// Values in one YAML text, those that aliases repeat included: a page of aliases can mean
    /// billions.
    pub yaml_nodes: usize,
}

impl Limits {
    /// The bounds that the program uses.
    pub const DEFAULT: Self = Self {
        steps: 50_000_000,
        bytes: 1 << 30,
        include_depth: 1_000,
        syntax_depth: 200,
        value_depth: 200,
        yaml_nodes: 2_000_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
