//! Helm charts without helm: load, render, find images.
//!
//! Start at [`Chart`], which comes from an archive or a directory. [`render`] makes documents of it
//! with a [`ValueSet`], as `helm template` does, and [`discover`] finds the images that its
//! renderings, values and annotations name; an [`Overlay`] points them elsewhere. Below them are [`Engine`], Go's template language with
//! Helm's functions, and [`Value`], the values of templates.
//!
//! Nothing here touches a network, a clock of its own or a file that it was not given.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod artifact;
mod chart;
mod dependency;
mod discover;
mod functions;
mod go;
mod limits;
mod load;
mod metadata;
mod metered;
mod overlay;
mod parallel;
mod render;
mod schema;
mod table;
mod template;
mod value;
mod values;
mod version;
mod warning;
pub mod yaml;

pub use artifact::{ChartArtifact, MANIFEST, chart_tag};
pub use chart::{Chart, File, MissingDependency};
pub use discover::{
    Certainty, Discovery, Find, Grade, NamedChart, OperatorRule, Place, Rules, SwitchOptions, Switched,
    discover, discover_by, discover_manifests, named_charts, read_manifests, render_switched,
};
pub use functions::Lookup;
pub use go::time::Time;
pub use limits::{Limit, Limits};
pub use load::{LoadCause, LoadError};
pub use metadata::{Dependency, ImportValues, Maintainer, Metadata, MetadataError};
pub use overlay::{IngressError, Overlay, OverlayError, Placed, Placement, Proof, Resources};
pub use render::{
    Definitions, Document, KubeVersion, Operation, Origin, ParseKubeVersionError, RenderError, RenderOptions,
    Rendering, render,
};
pub use schema::SchemaError;
pub use template::{Engine, Error, Include, Rendered, TemplateCache, TemplateSource};
pub use value::{Field, IntType, List, ListType, Map, MapType, Struct, Value};
pub use values::{Purpose, SetCause, SetError, ValueSet, ValuesError, ValuesFile};
pub use version::{Constraint, ParseVersionError, Version};
pub use warning::Warning;
