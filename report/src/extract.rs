//! The reports of `extract`, `mirror-config`, `harbor values` and `harbor trivy-values`. Takes the files that
//! were written, gives models.

use std::time::Duration;

use bundle_oci::{ByteCount, Printable};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Report, Took, count};

/// `extract`: the files that were written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExtractReport {
    /// The layout, the archive or the charts that were written.
    pub files: Vec<String>,
    /// The number of artifacts.
    pub artifacts: usize,
    /// How long it took.
    pub seconds: f64,
}

impl Report for ExtractReport {
    fn text(&self) -> String {
        let mut text: String = self.files.iter().map(|file| format!("{file}\n")).collect();
        let took = Took(Duration::from_secs_f64(self.seconds.max(0.0)));
        text.push_str(&format!("{} extracted in {took}\n", count(self.artifacts, "artifact")));
        text
    }
}

/// `extract --files`: the single files in a bundle.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FilesReport {
    /// The files.
    pub files: Vec<FileEntry>,
}

/// A single file in a bundle.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// The artifact that has it.
    pub target: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: String,
    /// Whether it gets the mode 0755 when it is taken out, instead of 0644.
    pub executable: bool,
}

impl Report for FilesReport {
    fn text(&self) -> String {
        if self.files.is_empty() {
            return "bundle has no files\n".to_owned();
        }
        let names = self.files.iter().map(|file| Printable(&file.name).to_string()).collect::<Vec<_>>();
        let width = names.iter().map(String::len).max().unwrap_or_default();
        let line = |(file, name): (&FileEntry, &String)| {
            let size = ByteCount(file.size).to_string();
            format!("{name:width$}  {size:>10}  {}  {}\n", file.target, file.digest)
        };
        self.files.iter().zip(&names).map(line).collect()
    }
}

/// `mirror-config`: the files that were written for nodes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MirrorConfigReport {
    /// The registries whose images nodes pull from the mirror.
    pub hosts: Vec<String>,
    /// The mirror.
    pub mirror: String,
    /// The files.
    pub files: Vec<ConfigFile>,
    /// The number of images that nodes do not find by the name of the source.
    pub renamed: usize,
}

/// A file for nodes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigFile {
    /// Its path.
    pub path: String,
    /// Whether it has a password.
    pub secret: bool,
}

impl Report for MirrorConfigReport {
    fn text(&self) -> String {
        let mut text = format!("{} from {}\n", self.hosts.join(", "), self.mirror);
        for file in &self.files {
            let secret = if file.secret { "  (has a password: for root only)" } else { "" };
            text.push_str(&format!("{}{secret}\n", file.path));
        }
        text
    }
}

/// `mirror-config --check`: where a node's files are not as they should be.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NodeReport {
    /// The root of the node's file system.
    pub root: String,
    /// The number of files that were compared.
    pub files: usize,
    /// Those that deviate.
    pub deviations: Vec<NodeDeviation>,
}

/// A file of a node that is not as it should be.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NodeDeviation {
    /// Its path.
    pub path: String,
    /// How it deviates.
    pub what: String,
}

impl Report for NodeReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for NodeDeviation { path, what } in &self.deviations {
            text.push_str(&format!("{path}: {what}\n"));
        }
        let right = self.files.saturating_sub(self.deviations.len());
        text.push_str(&format!(
            "{right} of {} as they should be below {}\n",
            count(self.files, "file"),
            self.root
        ));
        text
    }
}

/// `harbor values`: the Helm values that were written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ValuesReport {
    /// The file, or - for standard output.
    pub output: String,
    /// The chart.
    pub chart: String,
    /// The registry that the values point to.
    pub registry: String,
    /// The number of images that the values name.
    pub images: usize,
    /// The values themselves, as YAML, if the output is standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// The kustomization that was written, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomization: Option<String>,
    /// Notes to read before use.
    pub notes: Vec<String>,
}

impl Report for ValuesReport {
    fn text(&self) -> String {
        match &self.values {
            Some(values) => values.clone(),
            None => format!(
                "{}: {} of {} at {}\n",
                self.output,
                count(self.images, "image"),
                self.chart,
                self.registry
            ),
        }
    }
}

/// Commands whose result is one text: `harbor trivy-values`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FileReport {
    /// The text, as it is printed without --json.
    pub text: String,
}

impl Report for FileReport {
    fn text(&self) -> String {
        self.text.clone()
    }
}
