//! One file of another tool, converted.
//! Takes its text; gives a [`Converted`], whose [`Remark`]s say what has no place in a bundle.yaml.

use super::document::{Document, documents};
use super::draft::Draft;
use super::{ConvertError, Tool, dt, hauler, imageset, imgpkg, lines, regsync, skopeo, write, zarf};
use crate::Limits;

/// A bundle.yaml that was made of another tool's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The tool whose form the file has.
    pub tool: Tool,
    /// The text of the bundle.yaml.
    pub yaml: String,
    /// What it does not express, in the order of the file.
    pub remarks: Vec<Remark>,
}

impl Converted {
    /// Whether every image, chart and file of the original is in the bundle.yaml.
    pub fn is_complete(&self) -> bool {
        self.remarks.iter().all(|remark| remark.weight == Weight::Setting)
    }
}

/// Something of the original that the bundle.yaml does not express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where in the original, such as `spec.images[2].key`.
    pub place: String,
    /// What is not expressed, and what to do instead.
    pub text: String,
    /// Whether content is missing for it.
    pub weight: Weight,
}

/// What the bundle lacks for a [`Remark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// An image, chart or file.
    Content,
    /// A setting; the content is the same, or more.
    Setting,
}

/// Converts the file called `name`. Without `tool`, its form is recognised by its fields.
///
/// # Errors
/// Any [`ConvertError`].
pub fn convert(text: &str, name: &str, tool: Option<Tool>) -> Result<Converted, ConvertError> {
    let asked = tool.is_some();
    let tool = match tool {
        Some(tool) => tool,
        None => Tool::recognise(text, name)?,
    };
    let mut draft = Draft::default();
    match tool {
        Tool::List => lines::read(text, name, &mut draft)?,
        Tool::Hauler => each(text, name, (tool, asked), &mut draft, hauler::read)?,
        Tool::Zarf => each(text, name, (tool, asked), &mut draft, zarf::read)?,
        Tool::OcMirror => each(text, name, (tool, asked), &mut draft, imageset::read)?,
        Tool::Skopeo => each(text, name, (tool, asked), &mut draft, skopeo::read)?,
        Tool::Regsync => each(text, name, (tool, asked), &mut draft, regsync::read)?,
        Tool::Imgpkg => each(text, name, (tool, asked), &mut draft, imgpkg::read)?,
        Tool::HelmDt => each(text, name, (tool, asked), &mut draft, dt::read)?,
    }
    let limit = Limits::DEFAULT.images;
    if draft.images.len() > limit || draft.remarks.len() > limit {
        return Err(ConvertError::TooMany { name: name.to_owned(), limit });
    }
    draft.finish();
    if draft.is_empty() && draft.remarks.iter().all(|remark| remark.weight == Weight::Setting) {
        return Err(ConvertError::Nothing { name: name.to_owned(), tool });
    }
    let yaml = write::yaml(&draft, name, tool);
    Ok(Converted { tool, yaml, remarks: draft.remarks })
}

/// Reads the documents of the tool, and remarks on others.
fn each(
    text: &str,
    name: &str,
    (tool, asked): (Tool, bool),
    draft: &mut Draft,
    read: fn(&Document, &mut Draft) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    for document in documents(text, name)? {
        let place = format!("document at line {}", document.line);
        match Tool::of(&document)? {
            Some(other) if other != tool => {
                draft.lost(
                    &place,
                    format!("is a file of {other}, which is not converted here: convert it by itself"),
                );
            }
            // People who name the tool know better.
            None if !asked && !document.head()?.kind.is_empty() => {
                let kind = document.head()?.kind;
                let text = format!(
                    "is not converted: {tool} has no '{kind}'; Kubernetes' own kinds go below 'manifests:'"
                );
                draft.lost(&place, text);
            }
            Some(_) | None => read(&document, draft)?,
        }
    }
    Ok(())
}
