//! A Sigstore of its own: a certificate authority as Fulcio, a log of certificates, and a transparency log as Rekor.
//! Takes the digest of a manifest and who signs it; gives a bundle in the form that cosign writes, and the trusted root
//! by which it is right (sigstore/protobuf-specs, protos/sigstore_bundle.proto and sigstore_trustroot.proto).

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// When everything is signed: 2026-06-01T12:00:00Z. Certificates are valid for ten minutes around it.
const SIGNED: i64 = 1_780_315_200;

/// An authority with its logs.
pub struct Sigstore {
    authority: Key,
    certificates: Key,
    log: Key,
}

/// What a signature says, each part of which a test may choose.
#[derive(Clone, Debug)]
pub struct KeylessSignature {
    /// The name in the certificate: an address, or a URI.
    pub identity: String,
    /// Who vouches for it.
    pub issuer: String,
    /// The type of the statement.
    pub predicate: String,
    /// Seconds between the start of the certificate's validity and the log's entry.
    pub after: i64,
    /// Whether the log of certificates has the certificate.
    pub logged: bool,
}

impl Default for KeylessSignature {
    fn default() -> Self {
        Self {
            identity: "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1".to_owned(),
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            predicate: "https://sigstore.dev/cosign/sign/v1".to_owned(),
            after: 5,
            logged: true,
        }
    }
}

/// A signature in the form of cosign before version 3: the content of a layer, and its annotations.
#[derive(Clone, Debug)]
pub struct OlderSignature {
    /// The content.
    pub payload: String,
    /// `dev.cosignproject.cosign/signature`.
    pub signature: String,
    /// `dev.sigstore.cosign/certificate`.
    pub certificate: String,
    /// `dev.sigstore.cosign/bundle`.
    pub log: String,
}

struct Key {
    pair: EcdsaKeyPair,
    /// Its SubjectPublicKeyInfo.
    public: Vec<u8>,
}

impl Key {
    fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let public = der.as_ref().to_vec();
        Self { pair, public }
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec()
    }

    /// The identifier of a log (RFC 6962 §3.2).
    fn id(&self) -> Vec<u8> {
        hash(&self.public)
    }
}

impl Default for Sigstore {
    fn default() -> Self {
        Self::new()
    }
}

impl Sigstore {
    /// One with new keys.
    pub fn new() -> Self {
        Self { authority: Key::generate(), certificates: Key::generate(), log: Key::generate() }
    }

    /// Its `trusted_root.json`.
    pub fn trusted_root(&self) -> Value {
        let valid = json!({"start": "2026-01-01T00:00:00Z"});
        let log = |key: &Key, url: &str| {
            json!({"baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": base64(&key.id())},
                "publicKey": {"rawBytes": base64(&key.public), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid}})
        };
        json!({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.log, "https://rekor.test")],
            "certificateAuthorities": [{"subject": {"organization": "test", "commonName": "fulcio.test"},
                "uri": "https://fulcio.test", "validFor": valid,
                "certChain": {"certificates": [{"rawBytes": base64(&self.root())}]}}],
            "ctlogs": [log(&self.certificates, "https://ctfe.test")]})
    }

    /// The signature of the manifest with this digest (`sha256:…`), as a Sigstore bundle of version 0.3.
    pub fn sign(&self, digest: &str, signature: &KeylessSignature) -> Value {
        let key = Key::generate();
        let certificate = self.certificate(&key, signature);
        let statement = json!({"_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": digest.trim_start_matches("sha256:")}}],
            "predicateType": signature.predicate, "predicate": {}})
        .to_string();
        let kind = "application/vnd.in-toto+json";
        // The pre-authentication encoding (secure-systems-lab/dsse, protocol.md).
        let head = format!("DSSEv1 {} {kind} {} ", kind.len(), statement.len());
        let signed = base64(&key.sign(format!("{head}{statement}").as_bytes()));
        let envelope = json!({"payload": base64(statement.as_bytes()), "payloadType": kind, "signatures": [{"sig": signed}]});
        let pem = pem(&certificate);
        // An entry of the type dsse, version 0.0.1 (sigstore/rekor, pkg/types/dsse/v0.0.1), as canonical JSON.
        let body = format!(
            "{{\"apiVersion\":\"0.0.1\",\"kind\":\"dsse\",\"spec\":{{\"envelopeHash\":{{\"algorithm\":\"sha256\",\"value\":\
             \"{}\"}},\"payloadHash\":{{\"algorithm\":\"sha256\",\"value\":\"{}\"}},\"signatures\":[{{\"signature\":\"{signed}\",\
             \"verifier\":\"{}\"}}]}}}}",
            hex(&hash(envelope.to_string().as_bytes())),
            hex(&hash(statement.as_bytes())),
            base64(pem.as_bytes())
        );
        let entry = self.entry(body.as_bytes(), SIGNED + signature.after);
        json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"certificate": {"rawBytes": base64(&certificate)}, "tlogEntries": [entry]},
            "dsseEnvelope": envelope})
    }

    /// The same as cosign wrote it before version 3 (cosign, specs/SIGNATURE_SPEC.md).
    pub fn sign_older(&self, digest: &str, signature: &KeylessSignature) -> OlderSignature {
        let key = Key::generate();
        let certificate = pem(&self.certificate(&key, signature));
        let payload = json!({"critical": {"identity": {"docker-reference": "r.example/team/app"},
            "image": {"docker-manifest-digest": digest}, "type": "cosign container image signature"}, "optional": null})
        .to_string();
        let signed = base64(&key.sign(payload.as_bytes()));
        // An entry of the type hashedrekord, version 0.0.1, as canonical JSON.
        let body = format!(
            "{{\"apiVersion\":\"0.0.1\",\"kind\":\"hashedrekord\",\"spec\":{{\"data\":{{\"hash\":{{\"algorithm\":\"sha256\",\
             \"value\":\"{}\"}}}},\"signature\":{{\"content\":\"{signed}\",\"publicKey\":{{\"content\":\"{}\"}}}}}}}}",
            hex(&hash(payload.as_bytes())),
            base64(certificate.as_bytes())
        );
        let (time, identifier) = (SIGNED + signature.after, hex(&self.log.id()));
        let promise = self.promise(body.as_bytes(), time);
        let log = json!({"SignedEntryTimestamp": promise, "Payload": {"body": base64(body.as_bytes()),
            "integratedTime": time, "logIndex": 1, "logID": identifier}});
        OlderSignature { payload, signature: signed, certificate, log: log.to_string() }
    }

    /// The log's promise that it will have an entry (sigstore/rekor, pkg/api/entries.go), in base64.
    fn promise(&self, body: &[u8], time: i64) -> String {
        let promised = format!(
            "{{\"body\":\"{}\",\"integratedTime\":{time},\"logID\":\"{}\",\"logIndex\":1}}",
            base64(body),
            hex(&self.log.id())
        );
        base64(&self.log.sign(promised.as_bytes()))
    }

    /// The second entry of a log of two, with its promise, its proof and the log's checkpoint.
    fn entry(&self, body: &[u8], time: i64) -> Value {
        let leaf = |content: &[u8]| hash(&[&[0], content].concat());
        let (first, second) = (leaf(b"another entry"), leaf(body));
        // RFC 6962 §2.1.
        let root = hash(&[&[1], first.as_slice(), &second].concat());
        let note = format!("rekor.test - 1\n2\n{}\n", base64(&root));
        let mark = [&self.log.id()[..4], &self.log.sign(note.as_bytes())].concat();
        json!({"logIndex": "1", "logId": {"keyId": base64(&self.log.id())},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"}, "integratedTime": time.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": self.promise(body, time)},
            "inclusionProof": {"logIndex": "1", "treeSize": "2", "rootHash": base64(&root), "hashes": [base64(&first)],
                "checkpoint": {"envelope": format!("{note}\n\u{2014} rekor.test {}\n", base64(&mark))}},
            "canonicalizedBody": base64(body)})
    }

    /// The authority's own certificate.
    fn root(&self) -> Vec<u8> {
        let extensions = [
            extension("551d13", true, &sequence(&[&tlv(1, &[0xff])])),
            // keyCertSign and cRLSign.
            extension("551d0f", true, &tlv(3, &[1, 6])),
        ];
        let validity = (1_767_225_600, 1_900_000_000);
        signed(&to_be_signed(&name(), validity, &self.authority.public, &extensions), &self.authority)
    }

    /// A certificate as Fulcio gives it (sigstore/fulcio, docs/certificate-specification.md).
    fn certificate(&self, key: &Key, signature: &KeylessSignature) -> Vec<u8> {
        let name_of_signer = match signature.identity.contains("://") {
            true => tlv(0x86, signature.identity.as_bytes()),
            false => tlv(0x81, signature.identity.as_bytes()),
        };
        let mut extensions = vec![
            // digitalSignature, and the use codeSigning.
            extension("551d0f", true, &tlv(3, &[7, 0x80])),
            extension("551d25", false, &sequence(&[&tlv(6, &bytes("2b06010505070303"))])),
            extension("551d11", true, &sequence(&[&name_of_signer])),
            // 1.3.6.1.4.1.57264.1.1 and .8: the issuer, in the form of before and of today.
            extension("2b0601040183bf300101", false, signature.issuer.as_bytes()),
            extension("2b0601040183bf300108", false, &tlv(0x0c, signature.issuer.as_bytes())),
        ];
        let make = |extensions: &[Vec<u8>]| {
            to_be_signed(&sequence(&[]), (SIGNED, SIGNED + 600), &key.public, extensions)
        };
        if signature.logged {
            let logged = self.logged(&make(&extensions));
            // 1.3.6.1.4.1.11129.2.4.2: what the log of certificates signed (RFC 6962 §3.3).
            extensions.push(extension("2b06010401d679020402", false, &tlv(4, &logged)));
        }
        signed(&make(&extensions), &self.authority)
    }

    /// The list with the one timestamp of a certificate (RFC 6962 §3.2 and §3.3).
    fn logged(&self, to_be_signed: &[u8]) -> Vec<u8> {
        let time = (SIGNED as u64 * 1000).to_be_bytes();
        let length = u32::try_from(to_be_signed.len()).unwrap().to_be_bytes();
        let issuer = hash(&self.authority.public);
        let entry = [&[0, 0], &time[..], &[0, 1], &issuer, &length[1..], to_be_signed, &[0, 0]].concat();
        let mark = self.certificates.sign(&entry);
        let one = [&[0], &self.certificates.id()[..], &time, &[0, 0], &[4, 3], &short(&mark)].concat();
        short(&short(&one))
    }
}

/// A certificate in PEM form.
fn pem(der: &[u8]) -> String {
    let text = base64(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned());
    let lines: Vec<String> = lines.collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// With its length in two bytes before it.
fn short(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

/// A TBSCertificate (RFC 5280 §4.1.2), by the authority.
fn to_be_signed(subject: &[u8], validity: (i64, i64), public: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
    sequence(&[
        &tlv(0xa0, &tlv(2, &[2])),
        &tlv(2, &[1, 2, 3, 4]),
        &algorithm(),
        &name(),
        &sequence(&[&time(validity.0), &time(validity.1)]),
        subject,
        public,
        &tlv(0xa3, &sequence(&extensions)),
    ])
}

fn signed(to_be_signed: &[u8], by: &Key) -> Vec<u8> {
    let signature = [&[0], by.sign(to_be_signed).as_slice()].concat();
    sequence(&[to_be_signed, &algorithm(), &tlv(3, &signature)])
}

/// ecdsa-with-SHA256.
fn algorithm() -> Vec<u8> {
    sequence(&[&tlv(6, &bytes("2a8648ce3d040302"))])
}

/// The authority's name.
fn name() -> Vec<u8> {
    let common = sequence(&[&tlv(6, &bytes("550403")), &tlv(0x0c, b"fulcio.test")]);
    sequence(&[&tlv(0x31, &common)])
}

fn extension(identifier: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let identifier = tlv(6, &bytes(identifier));
    let critical = if critical { tlv(1, &[0xff]) } else { Vec::new() };
    sequence(&[&identifier, &critical, &tlv(4, value)])
}

/// A UTCTime.
fn time(unix: i64) -> Vec<u8> {
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let index = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * index + 2) / 5 + 1;
    let month = if index < 10 { index + 3 } else { index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let text = format!(
        "{:02}{month:02}{date:02}{:02}{:02}{:02}Z",
        year % 100,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    tlv(0x17, text.as_bytes())
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// One value in DER (X.690 §8.1).
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..=127 => vec![tag, length as u8],
        128..=255 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head.as_slice(), content].concat()
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
