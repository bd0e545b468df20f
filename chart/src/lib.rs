//! Helm charts without helm: load, render, find images.
//!
//! Start at [`Value`], what templates see, and [`Engine`], which renders them. Nothing here
//! touches a network, a clock of its own or a file that it was not given.

mod limits;
mod template;
mod value;
mod version;
pub mod yaml;

pub use limits::Limits;
pub use template::{Engine, Error, Rendered, TemplateSource};
pub use value::{Field, IntType, List, ListType, Map, MapType, Struct, Value};
pub use version::{Constraint, ParseVersionError, Version};
