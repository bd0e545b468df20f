//! JSON Schemas of people's files, made from the types that read them. Gives the grammar of texts that
//! several files have, for `#[schemars(with = "…")]`, and [`schema_of`], which makes the document.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The JSON Schema (draft 2020-12) of the file that `T` reads, under a title.
pub fn schema_of<T: JsonSchema>(title: &str, description: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(Plain);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.insert("description".to_owned(), description.into());
    schema.to_value()
}

/// Takes out what says nothing to a person or an editor: formats of Rust's numbers, defaults that mean
/// "not set", and the lines in which comments are wrapped.
#[derive(Clone, Debug)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        let Some(object) = schema.as_object_mut() else { return };
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
        if object.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
            object.remove("format");
        }
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        transform_subschemas(self, schema);
    }
}

macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident = $pattern:expr, $longest:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "maxLength": $longest})
            }
        }
    )*};
}

/// A text of at least one character.
#[derive(Debug)]
pub struct NonEmpty;

impl JsonSchema for NonEmpty {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NonEmpty".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1})
    }
}

/// RFC 3339, or seconds since 1970 as text.
const TIME: &str = "-?[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)";

texts! {
    /// A stream's name.
    Stream = "^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$", 64;
    /// A project's name.
    Project = "^[a-z0-9]+([._-][a-z0-9]+)*$", 255;
    /// A project's name, in which `*` stands for any characters.
    ProjectPattern = "^[a-z0-9*]+([._-][a-z0-9*]+)*$", 255;
    /// The prefix of projects' names in robots' names.
    RobotPrefix = "^([a-z0-9]+([._-][a-z0-9]+)*[._-]?)?$", 254;
    /// `OS/ARCHITECTURE`, with a variant, or a version of the system.
    Platform = "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?(:[A-Za-z0-9_.-]+)?$", 512;
    /// The name of a site.
    Site = "^[^\\s\\u0000-\\u001f]([^\\u0000-\\u001f]*[^\\s\\u0000-\\u001f])?$", 128;
    /// A time in its one spelling, `2026-11-24T09:00:00Z`.
    Time = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", 32;
    /// A time, or how long after the creation.
    Expires = format!("^(0*[1-9][0-9]*[hdw]|{TIME})$"), 64;
    /// How long: `90s`, `10m`, `2h`.
    Span = "^[0-9]+[smh]$", 24;
    /// How large a volume may be.
    VolumeSize = "^([Ff][Aa][Tt]32|[0-9]+ *(KiB|MiB|GiB|TiB|kB|MB|GB|TB)?)$", 64;
    /// How much parity there is: `10%`, `1/10`.
    ParityShare = "^(([1-9][0-9]?|100)%|1/([1-9][0-9]?|100))$", 5;
    /// How much may be stored.
    Quota = "^(unlimited|0*[1-9][0-9]* *(KiB|MiB|GiB|TiB))$", 64;
    /// A Kubernetes namespace.
    Namespace = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", 63;
    /// A pattern of tags, as Harbor reads it.
    TagPattern = "^[A-Za-z0-9._*?{},\\[\\]^!-]{1,128}$", 128;
    /// A pattern of tags: `1.27.*`, `*-alpine`.
    TagGlob = "^[A-Za-z0-9_.*?-]+$", 128;
    /// The names of images in the project `cache`.
    CacheLayout = "^(?=.*\\{(path|name)\\})([a-z0-9]+|\\{(host|path|name)\\})(([._/-]|__|-+)?([a-z0-9]+|\\{(host|path|name)\\}))*$", 255;
    /// A registry: HOST or HOST:PORT.
    Host = "^[^@/\\s]+$", 320;
    /// A registry, and a path on it.
    HostPath = "^[^@/\\s]+(/[a-z0-9][a-z0-9._/-]*)?$", 640;
    /// The name of a file with secrets, and no secret.
    FileName = "^[^:@\\n]+$", 4096;
    /// A chart's repository.
    ChartRepository = "^(https?|oci)://(?![^/]*@)", 4096;
    /// A chart's name.
    ChartName = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$", 250;
    /// A version of Kubernetes.
    KubeVersion = "^\\s*v?[0-9]+\\.[0-9]+", 64;
}
