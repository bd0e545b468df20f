//! One SBOM: CycloneDX or SPDX 2 as JSON, by itself, in an in-toto statement, or in an envelope around one.
//! Takes bytes of publishers and reads them in one pass, keeping nothing but licences; gives these with their numbers.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::licence::{of_expression, says_nothing};
use crate::Limits;
use crate::finding::cut;

/// What an SBOM says of licences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sbom {
    /// Its packages.
    pub packages: u64,
    /// Those of them of which it names no licence.
    pub without: u64,
    /// The licences, each with the number of packages that have it.
    pub licences: BTreeMap<String, u64>,
    /// Whether there are more licences than are counted.
    pub cut: bool,
}

/// Why what is attached as an SBOM cannot be read as one.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// No JSON.
    #[error("it is not JSON")]
    Json(#[source] serde_json::Error),
    /// A form of SPDX that is not read.
    #[error("it is SPDX of version 3, which is not read")]
    Spdx3,
    /// An envelope whose content cannot be read.
    #[error("its envelope has no base64")]
    Envelope(#[source] base64::DecodeError),
}

/// Reads a document; none if it is JSON and no SBOM, such as a statement on how an image was made.
///
/// # Errors
/// Any [`SbomError`].
pub fn read_sbom(bytes: &[u8], limits: &Limits) -> Result<Option<Sbom>, SbomError> {
    let mut reading = read(bytes, limits)?;
    // DSSE (secure-systems-lab/dsse, envelope.md): the statement is base64 in an envelope.
    if let Some(payload) = reading.payload.take() {
        let bytes = BASE64_STANDARD.decode(payload).map_err(SbomError::Envelope)?;
        reading = read(&bytes, limits)?;
    }
    match reading {
        Reading { spdx3: true, .. } => Err(SbomError::Spdx3),
        Reading { is_sbom: true, sbom, .. } => Ok(Some(sbom)),
        _ => Ok(None),
    }
}

fn read<'a>(bytes: &[u8], limits: &'a Limits) -> Result<Reading<'a>, SbomError> {
    let mut reading = Reading {
        sbom: Sbom::default(),
        is_sbom: false,
        spdx3: false,
        payload: None,
        open: Vec::new(),
        limits,
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Node { place: Place::Document, reading: &mut reading }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(SbomError::Json)?;
    Ok(reading)
}

/// What components of CycloneDX and packages of SPDX are that have no licence of their own.
const NO_PACKAGES: [&str; 7] =
    ["file", "FILE", "container", "CONTAINER", "data", "operating-system", "OPERATING-SYSTEM"];

/// What is known so far.
struct Reading<'a> {
    sbom: Sbom,
    is_sbom: bool,
    spdx3: bool,
    payload: Option<String>,
    /// The packages that are being read: one of CycloneDX may have others in it.
    open: Vec<Package>,
    limits: &'a Limits,
}

/// A package that is being read.
#[derive(Default)]
struct Package {
    licences: Vec<String>,
    /// SPDX's second choice.
    declared: Vec<String>,
    /// Whether it is none: the image itself, or a file of one.
    is_none: bool,
}

/// Where in a document a value is, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A document, or what a statement or an envelope has in its place.
    Document,
    /// CycloneDX's `bomFormat` (CycloneDX 1.6, bom-1.6.schema.json).
    BomFormat,
    /// SPDX's `spdxVersion` (SPDX 2.3, §6.1).
    SpdxVersion,
    /// SPDX 3's `@context`.
    Context,
    /// DSSE's `payload`.
    Payload,
    /// CycloneDX's `components`, or SPDX's `packages`.
    Packages,
    /// One of them.
    Package,
    /// What kind of package: CycloneDX's `type`, or SPDX's `primaryPackagePurpose`.
    Purpose,
    /// CycloneDX's `licenses`.
    Choices,
    /// One of them.
    Choice,
    /// Its `license`.
    Licence,
    /// A licence's `id` or `name`.
    Name,
    /// CycloneDX's `expression`, or SPDX's `licenseConcluded`.
    Expression,
    /// SPDX's `licenseDeclared`.
    Declared,
    /// Anything else.
    Other,
}

impl Place {
    /// The place of an object's field.
    fn field(self, name: &str) -> Self {
        match (self, name) {
            (Self::Document, "bomFormat") => Self::BomFormat,
            (Self::Document, "spdxVersion") => Self::SpdxVersion,
            (Self::Document, "@context") => Self::Context,
            (Self::Document, "payload") => Self::Payload,
            // in-toto's statement (in-toto/attestation, spec/v1/statement.md), and sigstore's bundle.
            (Self::Document, "predicate" | "dsseEnvelope") => Self::Document,
            (Self::Document | Self::Package, "components") | (Self::Document, "packages") => Self::Packages,
            (Self::Package, "type" | "primaryPackagePurpose") => Self::Purpose,
            (Self::Package, "licenses") => Self::Choices,
            (Self::Package, "licenseConcluded") | (Self::Choice, "expression") => Self::Expression,
            (Self::Package, "licenseDeclared") => Self::Declared,
            (Self::Choice, "license") => Self::Licence,
            (Self::Licence, "id" | "name") => Self::Name,
            _ => Self::Other,
        }
    }

    /// The place of an array's item.
    fn item(self) -> Self {
        match self {
            Self::Packages => Self::Package,
            Self::Choices => Self::Choice,
            _ => Self::Other,
        }
    }
}

impl Reading<'_> {
    fn text(&mut self, place: Place, text: &str) {
        match place {
            Place::BomFormat => self.is_sbom |= text == "CycloneDX",
            Place::SpdxVersion => self.is_sbom |= text.starts_with("SPDX-2."),
            Place::Context => self.spdx3 |= text.starts_with("https://spdx.org/rdf/3."),
            Place::Payload => self.payload = Some(text.to_owned()),
            _ => {}
        }
        let (limits, most) = (self.limits, self.limits.package_licences);
        let Some(package) = self.open.last_mut() else { return };
        let (names, into) = match place {
            Place::Purpose => {
                // syft lists files, Trivy the distribution, and SPDX's lists have the image itself.
                package.is_none |= NO_PACKAGES.contains(&text);
                return;
            }
            Place::Name => (vec![text.to_owned()], &mut package.licences),
            Place::Expression => (of_expression(&cut(text, limits)), &mut package.licences),
            Place::Declared => (of_expression(&cut(text, limits)), &mut package.declared),
            _ => return,
        };
        for name in names.iter().filter(|name| !says_nothing(name)) {
            let name = cut(name.trim(), limits);
            if into.len() < most && !into.contains(&name) {
                into.push(name);
            }
        }
    }

    fn end_package(&mut self) {
        let Some(package) = self.open.pop().filter(|package| !package.is_none) else { return };
        self.sbom.packages += 1;
        let licences = if package.licences.is_empty() { package.declared } else { package.licences };
        if licences.is_empty() {
            self.sbom.without += 1;
        }
        for licence in licences {
            match self.sbom.licences.len() < self.limits.licences {
                true => *self.sbom.licences.entry(licence).or_default() += 1,
                false => match self.sbom.licences.get_mut(&licence) {
                    Some(number) => *number += 1,
                    None => self.sbom.cut = true,
                },
            }
        }
    }
}

/// A value at a place. A value of a type that has no place there says nothing: publishers' tools are many.
struct Node<'a, 'b> {
    place: Place,
    reading: &'a mut Reading<'b>,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.place {
            Place::Other => IgnoredAny::deserialize(json).map(|_| ()),
            _ => json.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.reading.text(self.place, text);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let place = self.place.item();
        while items.next_element_seed(Node { place, reading: &mut *self.reading })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        if self.place == Place::Package {
            self.reading.open.push(Package::default());
        }
        while let Some(name) = fields.next_key::<String>()? {
            let place = self.place.field(&name);
            fields.next_value_seed(Node { place, reading: &mut *self.reading })?;
        }
        if self.place == Place::Package {
            self.reading.end_package();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sbom(document: &serde_json::Value) -> Option<Sbom> {
        read_sbom(document.to_string().as_bytes(), &Limits::DEFAULT).unwrap()
    }

    fn licences(sbom: &Sbom) -> Vec<(&str, u64)> {
        sbom.licences.iter().map(|(name, number)| (name.as_str(), *number)).collect()
    }

    /// Of the form of Trivy 0.74 and syft 1.57 with `cyclonedx-json`.
    fn cyclonedx() -> serde_json::Value {
        json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": {"component": {"type": "container", "name": "a", "licenses": [{"license": {"id": "0BSD"}}]}},
            "components": [
                {"type": "library", "name": "a", "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "GPL-2+"}}]},
                {"type": "library", "name": "b", "licenses": [{"expression": "MIT OR (Apache-2.0 AND MIT)"}],
                 "components": [{"type": "library", "name": "c", "licenses": [{"license": {"id": "BSD-3-Clause"}}]}]},
                {"type": "operating-system", "name": "debian"},
                {"type": "file", "name": "/bin/x"}]})
    }

    fn spdx() -> serde_json::Value {
        json!({"SPDXID": "SPDXRef-DOCUMENT", "packages": [
                {"name": "image", "primaryPackagePurpose": "CONTAINER", "licenseDeclared": "0BSD"},
                {"name": "a", "licenseConcluded": "NOASSERTION", "licenseDeclared": "MIT AND LicenseRef-x"},
                {"name": "b", "licenseConcluded": "Apache-2.0", "licenseDeclared": "MIT"},
                {"name": "c", "licenseConcluded": "NONE"}],
            "spdxVersion": "SPDX-2.3"})
    }

    #[test]
    fn the_licences_of_packages_are_counted_and_not_those_of_the_image_or_its_files() {
        let read = sbom(&cyclonedx()).unwrap();
        assert_eq!((read.packages, read.without, read.cut), (3, 0, false));
        assert_eq!(licences(&read), [("Apache-2.0", 1), ("BSD-3-Clause", 1), ("GPL-2+", 1), ("MIT", 2)]);
        let read = sbom(&spdx()).unwrap();
        assert_eq!((read.packages, read.without), (3, 1));
        assert_eq!(licences(&read), [("Apache-2.0", 1), ("LicenseRef-x", 1), ("MIT", 1)]);
    }

    #[test]
    fn statements_and_envelopes_around_an_sbom_are_opened_and_other_statements_are_none() {
        let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": [],
            "predicateType": "https://spdx.dev/Document", "predicate": spdx()});
        assert_eq!(sbom(&statement), sbom(&spdx()));
        let payload = BASE64_STANDARD.encode(statement.to_string());
        let envelope =
            json!({"payloadType": "application/vnd.in-toto+json", "payload": payload, "signatures": []});
        assert_eq!(sbom(&envelope), sbom(&spdx()));
        assert_eq!(sbom(&json!({"mediaType": "a", "dsseEnvelope": envelope})), sbom(&spdx()));
        let provenance =
            json!({"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"components": []}});
        assert_eq!(sbom(&provenance), None);
        for nothing in [json!({}), json!([]), json!("a"), json!({"packages": 1, "spdxVersion": 2})] {
            assert_eq!(sbom(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn hostile_documents_are_errors_or_are_cut() {
        let read = |text: &str, limits: &Limits| read_sbom(text.as_bytes(), limits);
        let limits = Limits { licences: 2, package_licences: 2, text: 10, ..Limits::DEFAULT };
        for text in ["", "{", "<bom/>", "SPDXVersion: SPDX-2.3", "{} {}"] {
            assert!(matches!(read(text, &limits), Err(SbomError::Json(_))), "{text}");
        }
        let deep = format!("{}{}", r#"{"components":"#, r#"[{"components":"#.repeat(10_000));
        assert!(matches!(read(&deep, &limits), Err(SbomError::Json(_))));
        let context = r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}"#;
        assert!(matches!(read(context, &limits), Err(SbomError::Spdx3)));
        assert!(matches!(read(r#"{"payload": "?"}"#, &limits), Err(SbomError::Envelope(_))));
        let package = |names: &[&str]| {
            let licences: Vec<_> = names.iter().map(|name| json!({"license": {"name": name}})).collect();
            json!({"type": "library", "licenses": licences})
        };
        let many = json!({"bomFormat": "CycloneDX", "components": [
            package(&["a", "b", "c"]), package(&["d"]), package(&["b"]), package(&["d", &"ä".repeat(99)])]});
        let cut = read(&many.to_string(), &limits).unwrap().unwrap();
        assert_eq!((licences(&cut), cut.cut), (vec![("a", 1), ("b", 2)], true));
        // Values of other types say nothing.
        let odd = json!({"bomFormat": "CycloneDX", "components": [1, null, {"licenses": {"license": 1}}, {"licenses": [
            {"license": "MIT"}, [], {"license": {"id": ["MIT"]}}]}]});
        assert_eq!(sbom(&odd).unwrap(), Sbom { packages: 2, without: 2, ..Sbom::default() });
    }
}
