//! The images that run: from `kubectl get … -o json`, or a plain list of references. Takes a file, says whether
//! an image of Harbor may be one of them; where names differ by a mirror, it says so rather once too often.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bundle_oci::{Digest, Reference, Tag};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{Limits, Repository};

/// The references of what runs.
#[derive(Clone, Debug, Default)]
pub struct InUse {
    /// By their tags.
    names: BTreeMap<Tag, Vec<Reference>>,
    /// What is pinned, or what a node says it runs.
    digests: HashMap<Digest, String>,
    count: usize,
}

/// Why a list of what runs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InUseError {
    /// The file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// It is no JSON.
    #[error("{}: not valid JSON", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A line of a list is no reference.
    #[error("{}:{line}: not an image reference", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        source: bundle_oci::ParseReferenceError,
    },
    /// More than [`Limits`] allow.
    #[error("{} has more than the {limit} {what} allowed", .path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// There is nothing in it, so that it says nothing of what runs.
    #[error("{} names no image", .0.display())]
    Empty(PathBuf),
}

impl InUse {
    /// Adds the references of a file: JSON of Kubernetes, in which every `image` and `imageID` counts, or one
    /// reference a line.
    ///
    /// # Errors
    /// Any [`InUseError`].
    pub fn add_file(&mut self, path: &Path, limits: &Limits) -> Result<(), InUseError> {
        let read = |source| InUseError::Read { path: path.to_owned(), source };
        let file = bundle_os::open(path).map_err(read)?;
        if file.metadata().map_err(read)?.len() > limits.in_use {
            return Err(InUseError::TooMany { path: path.to_owned(), what: "bytes", limit: limits.in_use });
        }
        let mut reader = BufReader::new(file.take(limits.in_use));
        let first = first_letter(&mut reader).map_err(read)?;
        let before = self.count;
        match first {
            Some(b'{' | b'[') => self.add_json(path, reader, limits)?,
            _ => self.add_list(path, reader, limits)?,
        }
        if self.count == before {
            return Err(InUseError::Empty(path.to_owned()));
        }
        Ok(())
    }

    fn add_json(
        &mut self,
        path: &Path,
        reader: BufReader<std::io::Take<File>>,
        limits: &Limits,
    ) -> Result<(), InUseError> {
        let mut found = Found { texts: BTreeSet::new(), most: limits.references };
        let mut deserializer = serde_json::Deserializer::from_reader(reader);
        let json = |source| InUseError::Json { path: path.to_owned(), source };
        Anything(&mut found).deserialize(&mut deserializer).map_err(json)?;
        deserializer.end().map_err(json)?;
        if found.texts.len() >= found.most {
            let limit = found.most as u64;
            return Err(InUseError::TooMany { path: path.to_owned(), what: "references", limit });
        }
        // A pod can name an image that is none; it runs none then.
        found.texts.iter().for_each(|text| {
            let _ = self.add(text);
        });
        Ok(())
    }

    fn add_list(
        &mut self,
        path: &Path,
        reader: BufReader<std::io::Take<File>>,
        limits: &Limits,
    ) -> Result<(), InUseError> {
        for (line, text) in reader.lines().enumerate() {
            let text = text.map_err(|source| InUseError::Read { path: path.to_owned(), source })?;
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            if self.count >= limits.references {
                let limit = limits.references as u64;
                return Err(InUseError::TooMany { path: path.to_owned(), what: "references", limit });
            }
            self.add(text).map_err(|source| InUseError::Line {
                path: path.to_owned(),
                line: line + 1,
                source,
            })?;
        }
        Ok(())
    }

    /// Adds one reference as a person or a node writes it.
    ///
    /// # Errors
    /// It is none.
    pub fn add(&mut self, text: &str) -> Result<(), bundle_oci::ParseReferenceError> {
        // Docker's shim writes `docker-pullable://…`.
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        // By its ID alone: of the config, or of the manifest.
        if let Ok(digest) = text.parse::<Digest>() {
            self.digests.entry(digest).or_insert_with(|| text.to_owned());
            self.count += 1;
            return Ok(());
        }
        let reference: Reference = text.parse()?;
        self.count += 1;
        if let Some(digest) = reference.digest() {
            self.digests.entry(digest).or_insert_with(|| text.to_owned());
        }
        if let Some(tag) = reference.tag().cloned() {
            self.names.entry(tag).or_default().push(reference);
        }
        Ok(())
    }

    /// How many references there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What may run under this tag: a reference with the tag whose repository is this one, or the end of its path.
    /// Nodes that pull through a mirror know an image by its upstream name.
    pub fn tag(&self, repository: &Repository, tag: &Tag) -> Option<String> {
        let whole = repository.to_string();
        let named = self.names.get(tag)?;
        let is_it = |reference: &&Reference| {
            let name = reference.repository().as_str();
            whole.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        named.iter().find(is_it).map(ToString::to_string)
    }

    /// What runs with this digest: of an index, a manifest or a config.
    pub fn digest(&self, digest: Digest) -> Option<&str> {
        self.digests.get(&digest).map(String::as_str)
    }
}

/// The first letter that is no white space, which stays unread.
fn first_letter(reader: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        match bytes.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => {
                let first = bytes.get(at).copied();
                reader.consume(at);
                return Ok(first);
            }
            None => {
                let length = bytes.len();
                reader.consume(length);
            }
        }
    }
}

/// The texts that were found.
struct Found {
    texts: BTreeSet<String>,
    most: usize,
}

/// Any value of JSON, of which only the images are kept: a list of pods may be larger than the memory.
struct Anything<'a>(&'a mut Found);

/// A value that is an image, or has some in it.
struct Image<'a>(&'a mut Found);

impl<'de> DeserializeSeed<'de> for Anything<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! nothing {
    ($($name:ident: $kind:ty),*) => {
        $(fn $name<E>(self, _: $kind) -> Result<(), E> { Ok(()) })*
    };
}

impl<'de> Visitor<'de> for Anything<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    nothing!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Anything(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                // Managed fields repeat each name many times, and have no value.
                "managedFields" => {
                    map.next_value::<IgnoredAny>()?;
                }
                // Of an image volume it is `image: {reference: …}`.
                "image" | "imageID" | "reference" => map.next_value_seed(Image(self.0))?,
                _ => map.next_value_seed(Anything(self.0))?,
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Image<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Image<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an image")
    }

    nothing!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if !text.is_empty() && self.0.texts.len() < self.0.most {
            self.0.texts.insert(text.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        Anything(self.0).visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Anything(self.0).visit_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::digest;

    fn read(text: &str) -> Result<InUse, InUseError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pods.json");
        std::fs::write(&path, text).unwrap();
        let mut in_use = InUse::default();
        in_use.add_file(&path, &Limits { references: 20, in_use: 10_000, ..Limits::DEFAULT })?;
        Ok(in_use)
    }

    fn repository(text: &str) -> Repository {
        let (project, name) = text.split_once('/').unwrap();
        Repository { project: project.parse().unwrap(), name: name.parse().unwrap() }
    }

    #[test]
    fn pods_name_what_runs_in_every_kind_of_container_and_by_what_the_node_says() {
        let (index, config) = (digest("index"), digest("config"));
        // As `kubectl get pods -A -o json` of Kubernetes 1.33 writes it (core/v1 Pod), cut to what matters.
        let pods = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [{
            "metadata": {"name": "a", "managedFields": [{"fieldsV1": {"f:image": {}}}], "labels": {"image": "x/y:5"}},
            "spec": {
                "containers": [{"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}],
                "initContainers": [{"image": "harbor.example/platform/setup:2"}],
                "ephemeralContainers": [{"image": "quay.io/debug/shell:latest"}],
                "volumes": [{"image": {"reference": "quay.io/models/llm:3", "pullPolicy": "Always"}}],
                "hostNetwork": true, "priority": -1, "x": null, "y": 1.5,
            },
            "status": {"containerStatuses": [
                {"image": "docker.io/library/nginx:1.27", "imageID": format!("docker-pullable://docker.io/library/nginx@{index}")},
                {"image": format!("{config}"), "imageID": ""},
                {"image": "NOT an image"},
            ]},
        }]});
        let in_use = read(&format!("\n {pods}")).unwrap();
        for (name, tag, runs) in [
            ("cache/docker.io/library/nginx", "1.27", true),
            ("cache/docker.io/library/nginx", "1.26", false),
            ("cache/docker.io/other/nginx", "1.27", false),
            ("cache/mylibrary/nginx", "1.27", false),
            ("platform/setup", "2", true),
            ("tenant/setup", "2", false),
            ("cache/quay.io/debug/shell", "latest", true),
            ("cache/quay.io/models/llm", "3", true),
        ] {
            let found = in_use.tag(&repository(name), &tag.parse().unwrap());
            assert_eq!(found.is_some(), runs, "{name}:{tag}");
        }
        assert!(in_use.digest(index).unwrap().contains("library/nginx"));
        assert!(in_use.digest(config).is_some() && in_use.digest(digest("other")).is_none());
    }

    #[test]
    fn a_list_has_one_reference_a_line_and_a_mistake_in_it_is_told_with_its_line() {
        let in_use = read("# what runs\nnginx:1.27  # web\n\nharbor.example/platform/app\n").unwrap();
        assert_eq!(in_use.count(), 2);
        let tag = |text: &str| text.parse().unwrap();
        assert!(in_use.tag(&repository("cache/docker.io/library/nginx"), &tag("1.27")).is_some());
        assert!(in_use.tag(&repository("platform/app"), &tag("latest")).is_some());
        for (text, expected) in [
            ("nginx:1.27\nUpper Case\n", ":2: not an image reference"),
            ("", "names no image"),
            ("{}", "names no image"),
            ("{\"image\": \"a:1\"", "not valid JSON"),
            (&"a".repeat(10_001), "more than the 10000 bytes allowed"),
            (
                &(0..30).map(|at| format!("a:{at}\n")).collect::<String>(),
                "more than the 20 references allowed",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
        let many: Vec<_> = (0..30).map(|at| serde_json::json!({"image": format!("a:{at}")})).collect();
        let error = read(&serde_json::json!(many).to_string()).unwrap_err().to_string();
        assert!(error.ends_with("more than the 20 references allowed"), "{error}");
    }
}
