//! The maps of a `bundle.yaml` as they are written: the file, its projects, one project.
//! The reader and the JSON Schema are made from the same types. Values are text at first: only when requests
//! are made of them is the path of their field known.

use std::fmt;

use bundle_chart::Rules;
use bundle_input::{schema, schema_of};
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::image::{Image, ImageWord};
use super::list::{ListEntry, ListWord};
use super::local::FileMap;
use super::settings::{Number, present, with_image_settings};
use super::sources::Mirrors;
use super::upstream::RuleMap;
use crate::chart::ChartEntry;

/// The JSON Schema of `bundle.yaml`.
pub fn bundle_schema() -> serde_json::Value {
    schema_of::<File>("bundle.yaml", "The images and charts of a bundle, and their Harbor projects")
}

with_image_settings! {
    struct File {
        first {
            /// The version of this file's form
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "u32", extend("const" = 1))]
            pub(super) version: Option<Spanned<Number>>,
            /// The stream: the importer accepts only newer bundles of the same stream
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "schema::Stream")]
            pub(super) name: Option<Spanned<String>>,
        }
        /// OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT; without it, all platforms are carried
        platforms
        then {
            /// The names of images in the project cache; {host}, {path} and {name} are parts of the source's
            /// reference [default: {host}/{path}]
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "schema::CacheLayout")]
            pub(super) cache_layout: Option<Spanned<String>>,
            /// Rules for charts and operators, added to the built-in rules
            #[serde(default)]
            pub(super) rules: Rules,
            /// Files beside this one with such rules
            #[serde(default)]
            #[schemars(with = "Vec<schema::NonEmpty>")]
            pub(super) rule_files: Vec<Spanned<String>>,
            /// Registries that are read through a mirror first: docker.io: harbor.example/dockerhub
            #[serde(default, deserialize_with = "present")]
            #[schemars(
                with = "std::collections::BTreeMap<schema::Host, schema::HostPath>",
                extend("propertyNames" = {"pattern": "^[^@/]+$"})
            )]
            pub(super) mirrors: Option<Mirrors>,
            /// Registries to reach by plain HTTP: HOST or HOST:PORT
            #[serde(default)]
            #[schemars(with = "Vec<schema::Host>")]
            pub(super) plain_http: Vec<Spanned<String>>,
            /// A PEM file beside this one: CA certificates to trust besides the system's
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "schema::NonEmpty")]
            pub(super) ca_file: Option<Spanned<String>>,
            /// A file beside this one with the logins at registries, in the form of Docker's config.json
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "schema::FileName")]
            pub(super) credentials: Option<Spanned<String>>,
            /// A directory beside this file with SBOMs, as bundle scan --sbom writes them: they are attached to the images that
            /// carry none
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "schema::NonEmpty")]
            pub(super) sboms: Option<Spanned<String>>,
            /// Images to exclude, whatever asks for them; without a tag, all tags; a tag may have `*` and `?`; HOST/*
            /// excludes all images of a host
            #[serde(default)]
            #[schemars(with = "Vec<schema::NonEmpty>")]
            pub(super) exclude: Vec<Spanned<String>>,
            /// Publishers' signatures that are checked before images are packed: the first rule that matches an image
            /// counts
            #[serde(default)]
            #[schemars(with = "Vec<RuleMap>")]
            pub(super) policy: Vec<Spanned<RuleMap>>,
            /// Harbor's projects; at least one of them asks for something
            pub(super) projects: Projects,
        }
    }
}

/// Harbor's projects
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    {"required": ["cache"], "properties": {"cache": {"$ref": "#/$defs/Project/$defs/asking"}}},
    {"required": ["platform"], "properties": {"platform": {"$ref": "#/$defs/Project/$defs/asking"}}},
    {
        "required": ["tenants"],
        "properties": {
            "tenants": {"not": {"additionalProperties": {"not": {"$ref": "#/$defs/Project/$defs/asking"}}}},
        },
    },
]))]
pub(super) struct Projects {
    /// Mirrored upstream images, under their source's name
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Project")]
    pub(super) cache: Option<Spanned<Project>>,
    /// The platform team's own images
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Project")]
    pub(super) platform: Option<Spanned<Project>>,
    /// One project for each tenant
    #[serde(default, deserialize_with = "present")]
    #[schemars(
        with = "std::collections::BTreeMap<String, Project>",
        extend("propertyNames" = {
            "pattern": "^[a-z0-9]+([._-][a-z0-9]+)*$",
            "maxLength": 255,
            "not": {"enum": ["cache", "platform"]},
        })
    )]
    pub(super) tenants: Option<Tenants>,
}

with_image_settings! {
    /// Settings and requests of one project
    #[schemars(extend("$defs" = {
        "asking": {
            "anyOf": [
                {"required": ["images"], "properties": {"images": {"minItems": 1}}},
                {"required": ["lists"], "properties": {"lists": {"minItems": 1}}},
                {"required": ["charts"], "properties": {"charts": {"minItems": 1}}},
                {"required": ["manifests"]},
                {"required": ["files"], "properties": {"files": {"minItems": 1}}},
            ],
        },
    }))]
    struct Project {
        first {}
        /// The platforms of its images, in place of those at the top
        platforms
        then {
            /// References, and local sources such as docker-archive:PATH; `ref => new-name` renames
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "Vec<ImageWord>")]
            pub(super) images: Option<Spanned<Vec<Spanned<Image>>>>,
            /// Files beside this one, with one reference a line
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "Vec<ListWord>")]
            pub(super) lists: Option<Spanned<Vec<Spanned<ListEntry>>>>,
            /// Helm charts: carried with every image that they can ask for
            #[serde(default)]
            #[schemars(with = "Vec<ChartEntry>")]
            pub(super) charts: Vec<Spanned<ChartEntry>>,
            /// Files and directories of Kubernetes manifests beside this one: their images are carried, and the charts
            /// that HelmChart, HelmRelease and Application objects name
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "Vec<schema::NonEmpty>")]
            pub(super) manifests: Option<Spanned<Vec<Spanned<String>>>>,
            /// Files, such as programs and installers: carried as OCI artifacts below files/, and taken out with
            /// bundle extract --file
            #[serde(default)]
            #[schemars(with = "Vec<FileMap>")]
            pub(super) files: Vec<Spanned<FileMap>>,
            /// Images to exclude from this project, as at the top
            #[serde(default)]
            #[schemars(with = "Vec<schema::NonEmpty>")]
            pub(super) exclude: Vec<Spanned<String>>,
        }
    }
}

/// Tenants in the order of the file.
pub(super) struct Tenants(pub(super) Vec<(Spanned<String>, Spanned<Project>)>);

impl<'de> Deserialize<'de> for Tenants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TenantsVisitor;

        impl<'de> Visitor<'de> for TenantsVisitor {
            type Value = Tenants;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tenants to their images")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tenants, A::Error> {
                let mut tenants = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    tenants.push(entry);
                }
                Ok(Tenants(tenants))
            }
        }

        deserializer.deserialize_map(TenantsVisitor)
    }
}
