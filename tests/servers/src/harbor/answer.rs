//! The double's answers, and the refusals of Harbor and its registry. Takes a status, a code and a text;
//! gives the JSON body of that part of Harbor that would answer.

use std::fs::File;
use std::io::{Cursor, Read, Seek as _, SeekFrom};

use serde_json::{Value, json};

use crate::fault_proxy::Served;
use crate::http::Headers;

/// An answer on its way out.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// `length` bytes of a file from its current position.
    File {
        file: File,
        length: u64,
    },
}

impl Answer {
    pub(super) fn empty(status: u16) -> Answer {
        Answer { status, headers: Headers::new(), content: Content::Bytes(Vec::new()) }
    }

    pub(super) fn json(status: u16, document: &Value) -> Answer {
        Answer::empty(status).with_header("Content-Type", "application/json").with_body(document.to_string())
    }

    /// go-swagger's `Created`: no body, and where the new thing is.
    pub(super) fn created(location: &str) -> Answer {
        Answer::empty(201).with_header("Location", location)
    }

    /// A part of a file, for a blob.
    pub(super) fn file(status: u16, mut file: File, from: u64, length: u64) -> std::io::Result<Answer> {
        file.seek(SeekFrom::Start(from))?;
        Ok(Answer { content: Content::File { file, length }, ..Answer::empty(status) })
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Answer {
        self.headers.set(name, value);
        self
    }

    pub(super) fn with_body(mut self, body: impl Into<Vec<u8>>) -> Answer {
        self.content = Content::Bytes(body.into());
        self
    }

    pub(super) fn body(&self) -> &[u8] {
        match &self.content {
            Content::Bytes(bytes) => bytes,
            Content::File { .. } => &[],
        }
    }

    pub(super) fn into_served(self) -> Served {
        let (length, body): (u64, Box<dyn Read>) = match self.content {
            Content::Bytes(bytes) => (bytes.len() as u64, Box::new(Cursor::new(bytes))),
            Content::File { file, length } => (length, Box::new(file.take(length))),
        };
        Served { status: self.status, headers: self.headers, length, body }
    }
}

/// Why Harbor refuses: its error codes, and the status that each of them is sent with (Harbor
/// `lib/http/error.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    BadRequest,
    ManifestInvalid,
    Unsupported,
    Unauthorized,
    Forbidden,
    Denied,
    NotFound,
    MethodNotAllowed,
    Conflict,
    Precondition,
    ForeignKey,
    PolicyViolation,
    /// go-openapi's, for parameters and bodies that do not fit the description.
    Unprocessable,
    Unknown,
}

impl Code {
    fn wire(self) -> (u16, &'static str) {
        match self {
            Code::BadRequest => (400, "BAD_REQUEST"),
            Code::ManifestInvalid => (400, "MANIFEST_INVALID"),
            Code::Unsupported => (400, "UNSUPPORTED"),
            Code::Unauthorized => (401, "UNAUTHORIZED"),
            Code::Forbidden => (403, "FORBIDDEN"),
            Code::Denied => (403, "DENIED"),
            Code::NotFound => (404, "NOT_FOUND"),
            Code::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED"),
            Code::Conflict => (409, "CONFLICT"),
            Code::Precondition => (412, "PRECONDITION"),
            Code::ForeignKey => (412, "VIOLATE_FOREIGN_KEY_CONSTRAINT"),
            Code::PolicyViolation => (412, "PROJECTPOLICYVIOLATION"),
            Code::Unprocessable => (422, "UNPROCESSABLE_ENTITY"),
            Code::Unknown => (500, "UNKNOWN"),
        }
    }
}

/// A refusal by Harbor's core. Harbor's registry refuses with a [`RegistryError`].
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal::new(Code::BadRequest, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Refusal {
        Refusal::new(Code::NotFound, message)
    }

    pub(super) fn unauthorized() -> Refusal {
        Refusal::new(Code::Unauthorized, "unauthorized")
    }

    pub(super) fn forbidden() -> Refusal {
        Refusal::new(Code::Forbidden, "forbidden")
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let (status, code) = refusal.code.wire();
        // The detail of what is the server's fault stays in its log.
        let message = if status >= 500 { "internal server error" } else { &refusal.message };
        let body = json!({"errors": [{"code": code, "message": message}]});
        Answer::empty(status)
            .with_header("Content-Type", "application/json; charset=utf-8")
            .with_body(format!("{body}\n"))
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Refusal {
        Refusal::new(Code::Unknown, error.to_string())
    }
}

/// The errors of the registry behind Harbor's core (distribution 2.8 `registry/api/v2/errors.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegistryError {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    /// An OCI manifest for a client that does not accept one.
    ManifestNotAccepted,
    /// An OCI index for a client that does not accept one.
    IndexNotAccepted,
    MethodNotAllowed,
    Unknown,
}

impl RegistryError {
    fn wire(self) -> (u16, &'static str, &'static str) {
        match self {
            RegistryError::BlobUnknown => (404, "BLOB_UNKNOWN", "blob unknown to registry"),
            RegistryError::BlobUploadInvalid => (404, "BLOB_UPLOAD_INVALID", "blob upload invalid"),
            RegistryError::BlobUploadUnknown => {
                (404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
            }
            RegistryError::DigestInvalid => {
                (400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            }
            RegistryError::ManifestBlobUnknown => (400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"),
            RegistryError::ManifestInvalid => (400, "MANIFEST_INVALID", "manifest invalid"),
            RegistryError::ManifestUnknown => (404, "MANIFEST_UNKNOWN", "manifest unknown"),
            RegistryError::ManifestNotAccepted => (
                404,
                "MANIFEST_UNKNOWN",
                "OCI manifest found, but accept header does not support OCI manifests",
            ),
            RegistryError::IndexNotAccepted => {
                (404, "MANIFEST_UNKNOWN", "OCI index found, but accept header does not support OCI indexes")
            }
            RegistryError::MethodNotAllowed => (405, "UNSUPPORTED", "The operation is unsupported."),
            RegistryError::Unknown => (500, "UNKNOWN", "unknown error"),
        }
    }

    /// The answer with one error, and in it what it is about.
    pub(super) fn about(self, detail: Value) -> Answer {
        self.about_each([detail])
    }

    /// The answer with one error per detail.
    pub(super) fn about_each(self, details: impl IntoIterator<Item = Value>) -> Answer {
        let (status, code, message) = self.wire();
        let errors: Vec<Value> = details
            .into_iter()
            .map(|detail| match detail {
                Value::Null => json!({"code": code, "message": message}),
                detail => json!({"code": code, "message": message, "detail": detail}),
            })
            .collect();
        Answer::empty(status)
            .with_header("Content-Type", "application/json; charset=utf-8")
            .with_body(format!("{}\n", json!({"errors": errors})))
    }
}

impl From<RegistryError> for Answer {
    fn from(error: RegistryError) -> Answer {
        error.about(Value::Null)
    }
}
