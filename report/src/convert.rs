//! The report of `convert`.
//! Takes a bundle.yaml and the parts of the original that it does not express, gives a model.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Report;

/// `convert`: another tool's file as a bundle.yaml.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConvertReport {
    /// The tool whose form the file has: hauler, zarf, oc-mirror, skopeo, regsync, imgpkg, helm-dt or list.
    pub tool: String,
    /// Whether all images, charts and files of the original are in the bundle.yaml.
    pub complete: bool,
    /// The bundle.yaml.
    pub yaml: String,
    /// Parts of the original that the bundle.yaml does not express.
    pub remarks: Vec<ConvertRemark>,
}

/// A part of the original that the bundle.yaml does not express.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConvertRemark {
    /// Where in the original it is.
    pub place: String,
    /// What is not expressed, and what to do instead.
    pub text: String,
    /// Whether an image, chart or file is missing for it.
    pub missing: bool,
}

impl Report for ConvertReport {
    fn text(&self) -> String {
        self.yaml.clone()
    }
}

impl ConvertRemark {
    /// The remark for people, on one line.
    pub fn line(&self) -> String {
        let weight = if self.missing { "missing" } else { "note" };
        format!("{weight}: {}: {}", Printable(&self.place), Printable(&self.text))
    }
}
