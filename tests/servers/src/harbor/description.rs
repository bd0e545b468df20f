//! Harbor's own description of its API, and the check of answers against it.
//!
//! The description is an OpenAPI 2.0 document that lies beside the checkout, in `shared/data`. It is written by
//! hand and incomplete where errors are concerned: what Harbor's middleware refuses it does not repeat for every
//! operation. So an answer must be described, or be an error that Harbor can give for a reason named here.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::answer::{Answer, Content};
use super::server::API;
use crate::http::RequestHead;

/// Errors that any operation can end with, described or not.
const EVERYWHERE: [u16; 5] = [
    // `handler/base.go RequireAuthenticated`
    401, // `middleware/readonly`, `middleware/csrf`, `handler/base.go RequireProjectAccess`
    403, // `lib/orm AsNotFoundError`, for whatever a path names
    404, // `handler/handler.go serveError`, for parameters and bodies that do not bind
    422, // `lib/http/error.go`
    500,
];

/// Errors of single operations that the description forgets: method, path, status. The reason follows each.
const FORGOTTEN: [(&str, &str, u16); 12] = [
    // `handler/retention.go checkRuleConflict`
    ("POST", "/retentions", 409),
    // `pkg/immutable/dao`: "immutable rule already exists"
    ("POST", "/projects/{project_name_or_id}/immutabletagrules", 409),
    // `pkg/robot/dao`: "robot account … already exists"
    ("POST", "/robots", 409),
    // `handler/base.go BuildQuery`
    ("GET", "/projects", 400),
    // `handler/user.go`: "get current user not available for security context"
    ("GET", "/users/current", 412),
    // `controller/scan`: "no available scanner for project"
    ("POST", "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan", 412),
    // `pkg/scan/vulnerability`: "a previous scan process is …"
    ("POST", "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan", 409),
    // `controller/artifact`: "the deleting artifact is referenced by others"; `controller/tag`: immutable
    ("DELETE", "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}", 412),
    (
        "DELETE",
        "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/tags/{tag_name}",
        412,
    ),
    ("DELETE", "/projects/{project_name}/repositories/{repository_name}", 412),
    // `pkg/quota`: a copy that the quota has no room for is 403; a conflict of two is 409
    ("POST", "/projects/{project_name}/repositories/{repository_name}/artifacts", 409),
    // `middleware/quota`
    ("PUT", "/configurations", 400),
];

/// Operations that answer 200 with no body where the description has an object: go-swagger writes nothing for
/// a model that is nil.
const NOTHING: [&str; 2] = ["/projects/{project_name_or_id}/scanner", "/system/gc/schedule"];

/// The description.
pub(super) struct Description {
    document: Value,
}

impl Description {
    /// The description, where it is at hand. It is read once.
    pub(super) fn at_hand() -> Option<&'static Description> {
        static DESCRIPTION: OnceLock<Option<Description>> = OnceLock::new();
        DESCRIPTION.get_or_init(Description::read).as_ref()
    }

    fn path() -> PathBuf {
        let crate_directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        crate_directory.join("../../../shared/data/harbor-v2.15.2-swagger.yaml")
    }

    fn read() -> Option<Description> {
        let text = std::fs::read_to_string(Description::path()).ok()?;
        // A file that exists and cannot be read is a mistake to be seen, not a reason to check nothing.
        let document = serde_saphyr::from_str(&text).expect("the description is YAML");
        Some(Description { document })
    }

    /// Whether the description allows that answer to that request. Paths outside the description must not be
    /// found by the double either.
    pub(super) fn check(&self, head: &RequestHead, answer: &Answer) -> Result<(), String> {
        let Some(path) = head.path().strip_prefix(API) else { return Ok(()) };
        let wrong = |why: String| {
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            Err(format!(
                "{} {} answered {}: {why}\n    {body}",
                head.method, head.path_and_query, answer.status
            ))
        };
        let described = self
            .operation(&head.method, path)
            .ok_or(())
            .and_then(|(template, operation)| self.response(template, operation, head, answer.status));
        let schema = match described {
            Ok(schema) => schema,
            Err(()) if answer.status == 404 && self.operation(&head.method, path).is_none() => {
                self.document.pointer("/definitions/Errors")
            }
            Err(()) => return wrong("the description has no such answer".to_owned()),
        };
        if head.method == "HEAD" {
            return Ok(());
        }
        match self.check_body(path, schema, answer) {
            Ok(()) => Ok(()),
            Err(why) => wrong(why),
        }
    }

    fn check_body(&self, path: &str, schema: Option<&Value>, answer: &Answer) -> Result<(), String> {
        let Content::Bytes(body) = &answer.content else { return Err("a file".to_owned()) };
        let Some(schema) = schema else {
            return if body.is_empty() { Ok(()) } else { Err("a body where none is described".to_owned()) };
        };
        let nothing = || NOTHING.iter().any(|template| captures(template, path));
        if body.is_empty() && answer.status == 200 && nothing() {
            return Ok(());
        }
        // Text, or JSON that the description does not look into.
        if schema.get("type").and_then(Value::as_str) == Some("string") {
            return std::str::from_utf8(body).map(drop).map_err(|error| error.to_string());
        }
        let document: Value =
            serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
        self.validate(schema, &document, "body")
    }

    /// The path's template with the fewest parameters, and its operation.
    fn operation<'a>(&'a self, method: &str, path: &str) -> Option<(&'a str, &'a Value)> {
        let paths = self.document.get("paths")?.as_object()?;
        paths
            .iter()
            .filter(|(template, _)| captures(template, path))
            .filter_map(|(template, operations)| {
                Some((template.as_str(), operations.get(method.to_ascii_lowercase())?))
            })
            .min_by_key(|(template, _)| template.matches('{').count())
    }

    /// The schema of an answer with that status, if it has a body; an error where there is no such answer.
    fn response<'a>(
        &'a self,
        template: &str,
        operation: &'a Value,
        head: &RequestHead,
        status: u16,
    ) -> Result<Option<&'a Value>, ()> {
        match operation.pointer(&format!("/responses/{status}")) {
            Some(response) => {
                let schema = self.resolved(response).get("schema");
                // Some errors are described without the body that all of them have.
                let errors = || self.document.pointer("/definitions/Errors");
                Ok(if status >= 400 { schema.or_else(errors) } else { schema })
            }
            None => {
                let known = EVERYWHERE.contains(&status)
                    || FORGOTTEN.iter().any(|&(method, path, s)| {
                        (method, path, s) == (head.method.as_str(), template, status)
                    });
                if known { Ok(self.document.pointer("/definitions/Errors")) } else { Err(()) }
            }
        }
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        target.and_then(|pointer| self.document.pointer(pointer)).unwrap_or(schema)
    }

    fn validate(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = self.resolved(schema);
        let wrong = |what: &str| Err(format!("{at}: {value} is no {what}"));
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            return wrong("member of the enumeration");
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => match value.as_object() {
                Some(members) => self.validate_object(schema, members, at),
                None => wrong("object"),
            },
            Some("array") => match (value.as_array(), schema.get("items")) {
                (Some(items), Some(of)) => items
                    .iter()
                    .enumerate()
                    .try_for_each(|(i, item)| self.validate(of, item, &format!("{at}[{i}]"))),
                _ => wrong("array"),
            },
            Some("string") => match (value.as_str(), schema.get("format").and_then(Value::as_str)) {
                (Some(text), Some("date-time")) if !is_date_time(text) => wrong("date and time"),
                (Some(_), _) => Ok(()),
                (None, _) => wrong("string"),
            },
            Some("integer") if value.is_i64() || value.is_u64() => Ok(()),
            Some("boolean") if value.is_boolean() => Ok(()),
            Some("number") if value.is_number() => Ok(()),
            Some(kind) => wrong(kind),
            // No type is any.
            None => Ok(()),
        }
    }

    fn validate_object(&self, schema: &Value, members: &Map<String, Value>, at: &str) -> Result<(), String> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        if properties.is_none() && others.is_none() {
            // go-swagger makes an `interface{}` of an object without properties.
            return Ok(());
        }
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if required.as_str().is_some_and(|name| !members.contains_key(name)) {
                return Err(format!("{at}: {required} is missing"));
            }
        }
        for (name, value) in members {
            let at = format!("{at}.{name}");
            match (properties.and_then(|properties| properties.get(name)), others) {
                (Some(property), _) => self.validate(property, value, &at)?,
                (None, Some(Value::Object(other))) => {
                    let other = Value::Object(other.clone());
                    let is_any = self.resolved(&other).get("type").and_then(Value::as_str) == Some("object")
                        && self.resolved(&other).get("properties").is_none();
                    // As above: an "object" without a description may be any value.
                    if !is_any {
                        self.validate(&other, value, &at)?;
                    }
                }
                (None, Some(Value::Bool(true))) => {}
                (None, _) => return Err(format!("{at}: not described")),
            }
        }
        Ok(())
    }
}

/// Whether the path is one of the template's.
fn captures(template: &str, path: &str) -> bool {
    let (template, path) = (template.trim_matches('/'), path.trim_matches('/'));
    template.split('/').count() == path.split('/').count()
        && template.split('/').zip(path.split('/')).all(|(t, p)| t.starts_with('{') || t == p)
}

/// RFC 3339 as Harbor writes it.
fn is_date_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}
