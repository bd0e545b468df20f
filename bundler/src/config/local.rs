//! Images and files of this machine in a `bundle.yaml`: `docker-archive:PATH` in the place of a reference, and the
//! entries of `files`. Takes what is written, gives [`LocalRequest`]s or an error with the path of the field.

use bundle_input::schema;
use bundle_oci::Digest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::error::{ConfigError, FieldError, wrong};
use super::project::ProjectReader;
use super::settings::present;
use crate::local::{FileOrigin, LocalFile, LocalItem, LocalRequest, LocalSource};
use crate::policy::ImagePolicy;
use crate::request::Rename;
use crate::{ItemError, Platforms, Reason};

/// A file that is carried as an OCI artifact
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["path"]}, {"required": ["url", "sha256"]}]))]
pub(super) struct FileMap {
    /// A file beside this one
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    path: Option<Spanned<String>>,
    /// The address of a file on a web server
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    url: Option<Spanned<String>>,
    /// The SHA-256 of the file at url, 64 hexadecimal digits
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Sha256Word")]
    sha256: Option<Spanned<String>>,
    /// The name below files/ inside the project, and a tag [default: the file's name, and latest]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    r#as: Option<Spanned<String>>,
    /// The file's name when it is taken out [default: that of path or url]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    title: Option<Spanned<String>>,
    /// The file's mode when it is taken out [default: that of path]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ModeWord")]
    mode: Option<Spanned<String>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Sha256Word(#[schemars(regex(pattern = "^[0-9a-f]{64}$"))] String);

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum ModeWord {
    #[serde(rename = "0644")]
    Plain,
    #[serde(rename = "0755")]
    Executable,
}

impl ProjectReader<'_> {
    /// The request for an image of this machine; `None` if the text is a reference.
    pub(super) fn local(
        &self,
        text: &str,
        rename: Option<Rename>,
        at: Location,
        field: &str,
        (platforms, policy): (Option<Platforms>, ImagePolicy),
    ) -> Result<Option<LocalRequest>, ConfigError> {
        let Some(item) = LocalItem::parse(text) else { return Ok(None) };
        let item = item.map_err(|error| wrong(self.name, at, field.to_owned(), error))?;
        let rename = rename.or(item.rename);
        let platforms = platforms.unwrap_or_else(|| self.around.platforms.clone());
        Ok(Some(self.request(LocalSource::Images(item.address), rename, at, platforms, policy)))
    }

    /// The requests for files.
    pub(super) fn files(
        &self,
        files: Vec<Spanned<FileMap>>,
        locals: &mut Vec<LocalRequest>,
    ) -> Result<(), ConfigError> {
        for (position, file) in files.into_iter().enumerate() {
            let field = format!("{}.files[{position}]", self.field);
            let at = file.referenced;
            let FileMap { path, url, sha256, r#as, title, mode } = file.value;
            let origin = match (path, url, sha256) {
                (Some(path), None, None) => {
                    FileOrigin::Path { path: path.value.clone().into(), written: path.value }
                }
                (None, Some(url), Some(sha256)) => {
                    let digest: Digest = format!("sha256:{}", sha256.value).parse().map_err(|_| {
                        let field = format!("{field}.sha256");
                        wrong(self.name, sha256.referenced, field, FieldError::Sha256)
                    })?;
                    FileOrigin::Web { address: url.value, sha256: digest }
                }
                (None, Some(url), None) => {
                    return Err(wrong(
                        self.name,
                        url.referenced,
                        format!("{field}.url"),
                        FieldError::NoSha256,
                    ));
                }
                _ => return Err(wrong(self.name, at, field, FieldError::FilePlace)),
            };
            let mode = mode.map(|mode| {
                let parsed = mode.value.parse();
                parsed.map_err(|error: crate::local::ParseModeError| {
                    wrong(self.name, mode.referenced, format!("{field}.mode"), error)
                })
            });
            let rename = r#as.map(|rename| {
                let parsed = rename.value.trim().parse();
                parsed.map_err(|error: ItemError| {
                    wrong(self.name, rename.referenced, format!("{field}.as"), error)
                })
            });
            let title_at = title.as_ref().map_or(at, |title| title.referenced);
            let file = LocalFile { origin, title: title.map(|title| title.value), mode: mode.transpose()? };
            file.title().map_err(|error| wrong(self.name, title_at, format!("{field}.title"), error))?;
            let source = LocalSource::File(file);
            locals.push(self.request(source, rename.transpose()?, at, Platforms::All, self.around.policy));
        }
        Ok(())
    }

    fn request(
        &self,
        source: LocalSource,
        rename: Option<Rename>,
        at: Location,
        platforms: Platforms,
        policy: ImagePolicy,
    ) -> LocalRequest {
        LocalRequest {
            source,
            rename,
            project: self.around.project.clone(),
            layout: self.around.layout.clone(),
            platforms,
            policy,
            reason: Reason::File { name: self.name.to_owned(), line: at.line() },
        }
    }
}
