//! The report of `completion`.
//! Takes a shell's script, gives a model whose text is that script.

use schemars::JsonSchema;
use serde::Serialize;

use crate::Report;

/// `completion`: what a shell reads to complete the program's arguments.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CompletionReport {
    /// The shell: bash, fish or zsh.
    pub shell: String,
    /// The name under which the program is called.
    pub name: String,
    /// The script. Without `--json`, it is the whole output.
    pub script: String,
}

impl Report for CompletionReport {
    fn text(&self) -> String {
        self.script.clone()
    }
}
