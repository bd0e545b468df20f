//! Files of other tools as a `bundle.yaml`: hauler, zarf, oc-mirror, skopeo sync, regsync, imgpkg, `helm dt`, and plain
//! lists. Takes the text of one file; gives a [`Converted`]: the bundle.yaml, and what it could not express. Each tool
//! has a file of its own, which fills a [`Draft`]; no file beside the given one is read, and no registry is asked.

mod conversion;
mod document;
mod draft;
mod dt;
mod error;
mod hauler;
mod imageset;
mod imgpkg;
mod lines;
mod pattern;
mod regsync;
mod skopeo;
#[cfg(test)]
mod tests;
mod tool;
mod write;
mod zarf;

pub use conversion::{Converted, Remark, Weight, convert};
pub use error::ConvertError;
pub use tool::Tool;
