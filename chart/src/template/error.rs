/// A template that cannot be read or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{template}:{line}:{column}: {message}")]
pub struct Error {
    /// The template's name, like `harbor/templates/core/core-dpl.yaml`.
    pub template: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The function that failed, if it was one.
    pub function: Option<String>,
    /// What is wrong. The chart's own words where `required` or `fail` stopped the rendering.
    pub message: String,
    /// The `include`s that led here, outermost first: template, line and the name included.
    pub includes: Vec<String>,
}
