//! Why a request gets no content, with the distribution specification's error codes.
//! Takes the cause, gives a status and a JSON body.

use bundle_oci::{ParseRepositoryError, ParseTagError};
use hyper::StatusCode;
use serde::Serialize;

use crate::route::NoDigest;

/// Why a request gets no content, with the code that clients know (distribution-spec §Error
/// Codes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Errors<'a> {
            errors: [Error<'a>; 1],
        }
        #[derive(Serialize)]
        struct Error<'a> {
            code: &'a str,
            message: &'a str,
        }
        let errors = Errors { errors: [Error { code: self.code, message: &self.message }] };
        serde_json::to_vec(&errors).expect("texts are valid JSON")
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this path")
    }

    pub(crate) fn read_only() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry can only be read")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "a user and password are needed")
    }

    pub(crate) fn name_invalid(error: &ParseRepositoryError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", error.to_string())
    }

    pub(crate) fn name_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "no bundle here has this repository")
    }

    pub(crate) fn unknown_registry() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "'ns' names no registry")
    }

    pub(crate) fn tag_invalid(error: &ParseTagError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "TAG_INVALID", error.to_string())
    }

    pub(crate) fn page_size() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", "'n' must be a number")
    }

    pub(crate) fn manifest_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "this repository has no such manifest")
    }

    pub(crate) fn blob_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "this repository has no such blob")
    }

    pub(crate) fn manifest(error: NoDigest) -> Self {
        match error {
            NoDigest::OtherAlgorithm => Self::manifest_unknown(),
            NoDigest::Invalid => Self::digest_invalid(),
        }
    }

    pub(crate) fn blob(error: NoDigest) -> Self {
        match error {
            NoDigest::OtherAlgorithm => Self::blob_unknown(),
            NoDigest::Invalid => Self::digest_invalid(),
        }
    }

    pub(crate) fn no_such_range() -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", "the content ends before this range")
    }

    pub(crate) fn precondition() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", "the content is another one")
    }

    /// Clients try again later, or elsewhere.
    pub(crate) fn unreadable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "the bundle cannot be read at the moment, or is damaged",
        )
    }

    fn digest_invalid() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "DIGEST_INVALID",
            "digest is not of the form algorithm:hexadecimal",
        )
    }

    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}
