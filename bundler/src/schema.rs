use serde_json::{Value, json};

/// The JSON Schema (draft 2020-12) of `bundle.yaml`.
pub fn schema() -> Value {
    let platforms = json!({
        "description": "OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT; without it, all platforms are carried",
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "pattern": "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?(:[A-Za-z0-9_.-]+)?$"},
    });
    let values = json!({
        "description": "Values files beside this one; later ones win",
        "type": "array",
        "items": {"type": "string", "minLength": 1},
    });
    let set = json!({
        "description": "Values as after helm's --set: a.b=1,c[0]=x",
        "type": "array",
        "items": {"type": "string", "minLength": 1},
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bundle.yaml",
        "description": "What a bundle carries, and into which Harbor project",
        "type": "object",
        "additionalProperties": false,
        "required": ["projects"],
        "properties": {
            "name": {
                "description": "The stream: the importer accepts only newer bundles of the same stream",
                "type": "string",
                "pattern": "^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$",
            },
            "platforms": platforms,
            "cacheLayout": {
                "description": "The names of images in the project cache; {host}, {path} and {name} are parts of the source's reference",
                "type": "string",
                "default": "{host}/{path}",
                "pattern": "^([a-z0-9._/-]|\\{(host|path|name)\\})*\\{(path|name)\\}([a-z0-9._/-]|\\{(host|path|name)\\})*$",
            },
            "rules": {"$ref": "#/$defs/rules", "description": "What only you know of charts and operators; added to the rules that come with the program"},
            "ruleFiles": {"description": "Files beside this one with such rules", "type": "array", "items": {"type": "string", "minLength": 1}},
            "projects": {
                "description": "Harbor's projects",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "cache": {"$ref": "#/$defs/project", "description": "Mirrored upstream images, under their source's name"},
                    "platform": {"$ref": "#/$defs/project", "description": "The platform team's own images"},
                    "tenants": {
                        "description": "One project for each tenant",
                        "type": "object",
                        "propertyNames": {"pattern": "^[a-z0-9]+([._-][a-z0-9]+)*$", "maxLength": 255, "not": {"enum": ["cache", "platform"]}},
                        "additionalProperties": {"$ref": "#/$defs/project"},
                    },
                },
            },
        },
        "$defs": {
            "project": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "images": {
                        "description": "References; `ref => new-name` renames",
                        "type": "array",
                        "items": {"oneOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/image"}]},
                    },
                    "lists": {
                        "description": "Files beside this one, with one reference a line",
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                    },
                    "manifests": {
                        "description": "Files and directories of Kubernetes manifests beside this one: their images travel, and the charts that HelmChart, HelmRelease and Application objects name",
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                    },
                    "charts": {
                        "description": "Helm charts: carried with every image that they can ask for",
                        "type": "array",
                        "items": {"$ref": "#/$defs/chart"},
                    },
                },
            },
            "chart": {
                "type": "object",
                "additionalProperties": false,
                "oneOf": [{"required": ["repo", "name"]}, {"required": ["path"]}],
                "dependentSchemas": {"path": {"properties": {"repo": false, "name": false, "version": false}}},
                "properties": {
                    "repo": {"description": "The repository: https://… with an index.yaml, or oci://…", "type": "string", "pattern": "^(https?|oci)://[^@]+$"},
                    "name": {"description": "The chart's name in the repository", "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"},
                    "version": {"description": "A version or a range such as 1.x; the newest release if left out", "type": "string", "minLength": 1},
                    "path": {"description": "A directory or a .tgz beside this file", "type": "string", "minLength": 1},
                    "values": values,
                    "set": set,
                    "valueSets": {
                        "description": "Further values to render with, each on top of values and set",
                        "type": "object",
                        "propertyNames": {"minLength": 1, "not": {"enum": ["defaults", "values"]}},
                        "additionalProperties": {
                            "type": "object",
                            "additionalProperties": false,
                            "properties": {"values": values, "set": set},
                        },
                    },
                    "kubeVersion": {"description": "The version of Kubernetes to render for", "type": "string", "pattern": "^v?[0-9]+\\.[0-9]+"},
                    "apiVersions": {"description": "What Kubernetes serves besides its own, such as monitoring.coreos.com/v1", "type": "array", "items": {"type": "string"}},
                    "exclude": {"description": "Images of the chart that are left out; without a tag, whatever their tag; HOST/* all below", "type": "array", "items": {"type": "string", "minLength": 1}},
                    "carry": {"description": "Which images travel: rendered with these values; also once a switch is turned; also named in values; or all that are named anywhere and exist", "enum": ["rendered", "switched", "declared", "all"], "default": "all"},
                    "root": {"description": "A directory around that of path, such as the checkout: links may lead as far", "type": "string", "minLength": 1},
                    "allowEmpty": {"description": "Whether the chart may have no image", "type": "boolean"},
                },
            },
            "rules": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "registries": {"description": "Hosts that are registries and nothing else: quay.io, *.gcr.io", "type": "array", "items": {"type": "string"}},
                    "operators": {
                        "description": "Operators that make an image of the version in their custom resource",
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["kind", "image", "tag"],
                            "properties": {
                                "kind": {"type": "string"},
                                "apiGroup": {"type": "string"},
                                "image": {"description": "Registry and repository", "type": "string"},
                                "tag": {"description": "The path of the field with the tag: spec.version", "type": "string"},
                            },
                        },
                    },
                    "nodeImages": {"description": "Images whose tags end with what the nodes are", "type": "array", "items": {"type": "string"}},
                    "operatingSystems": {"description": "What your nodes are, as such tags spell it: ubuntu22.04", "type": "array", "items": {"type": "string"}},
                    "imageFields": {"description": "Further names of fields that hold images, a * at one end or none", "type": "array", "items": {"type": "string"}},
                    "ignore": {"description": "What looks like an image and is none, without its tag; a * at the end or none", "type": "array", "items": {"type": "string"}},
                },
            },
            "image": {
                "type": "object",
                "additionalProperties": false,
                "required": ["ref"],
                "properties": {
                    "ref": {"description": "The reference", "type": "string", "minLength": 1},
                    "as": {"description": "The name inside the project", "type": "string", "minLength": 1},
                    "platforms": platforms,
                },
            },
        },
    })
}
