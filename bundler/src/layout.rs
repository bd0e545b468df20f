//! The template by which mirrored images are named in a project: `{host}/{path}`.
//! Takes the template and a reference, gives the repository below the project.

use std::fmt;
use std::str::FromStr;

use bundle_format::Target;
use bundle_oci::{ParseRepositoryError, Reference, RepositoryName};

use crate::ItemError;

/// How images that are mirrored into the project `cache` are named there: a template in which
/// `{host}`, `{path}` and `{name}` stand for parts of the source's reference.
///
/// ```
/// use bundle_bundler::CacheLayout;
///
/// let layout: CacheLayout = "mirror/{host}/{path}".parse()?;
/// let reference = "quay.io/coreos/etcd:v3.5.9".parse()?;
/// assert_eq!(layout.place(&reference)?.as_str(), "mirror/quay.io/coreos/etcd");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLayout(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The registry's host, a port's colon as an underscore.
    Host,
    /// The whole path: `library/nginx`.
    Path,
    /// The last part of the path: `nginx`.
    Name,
}

/// Why a text is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseLayoutError {
    /// A placeholder that is not known, or a brace alone.
    #[error("may have the placeholders {{host}}, {{path}} and {{name}}, and no other braces")]
    Placeholder,
    /// All images would get the same name.
    #[error("must have {{path}} or {{name}}")]
    Constant,
    /// The result is no valid repository name.
    #[error("gives no valid repository name: the {0}")]
    Repository(ParseRepositoryError),
}

impl CacheLayout {
    /// The repository inside `cache` of an image from elsewhere.
    ///
    /// # Errors
    /// The name would be too long, or the host cannot be part of a name.
    pub fn place(&self, reference: &Reference) -> Result<RepositoryName, ItemError> {
        let registry = reference.registry();
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Host => {
                    let host = Target::mirror_place(registry);
                    text.push_str(host.ok_or_else(|| ItemError::Host(registry.clone()))?.as_str());
                }
                Piece::Path => text.push_str(reference.repository().as_str()),
                Piece::Name => text.push_str(reference.repository().last_component()),
            }
        }
        text.parse().map_err(ItemError::Target)
    }
}

impl Default for CacheLayout {
    /// `{host}/{path}`: no two sources meet in one name.
    fn default() -> Self {
        Self(vec![Piece::Host, Piece::Text("/".to_owned()), Piece::Path])
    }
}

impl FromStr for CacheLayout {
    type Err = ParseLayoutError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, placeholder) = match rest.split_once('{') {
                Some((literal, after)) => {
                    let (name, after) = after.split_once('}').ok_or(ParseLayoutError::Placeholder)?;
                    rest = after;
                    (literal, Some(name))
                }
                None => (std::mem::take(&mut rest), None),
            };
            if literal.contains('}') {
                return Err(ParseLayoutError::Placeholder);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(literal.to_owned()));
            }
            match placeholder {
                None => {}
                Some("host") => pieces.push(Piece::Host),
                Some("path") => pieces.push(Piece::Path),
                Some("name") => pieces.push(Piece::Name),
                Some(_) => return Err(ParseLayoutError::Placeholder),
            }
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Path | Piece::Name)) {
            return Err(ParseLayoutError::Constant);
        }
        // The name of a sample image shows whether the template's own characters are valid.
        let made: String = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(literal) => literal.as_str(),
                Piece::Host => "a.b",
                Piece::Path => "a/b",
                Piece::Name => "b",
            })
            .collect();
        made.parse::<RepositoryName>().map_err(ParseLayoutError::Repository)?;
        Ok(Self(pieces))
    }
}

impl fmt::Display for CacheLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(literal) => f.write_str(literal),
            Piece::Host => f.write_str("{host}"),
            Piece::Path => f.write_str("{path}"),
            Piece::Name => f.write_str("{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_names_images_by_parts_of_their_reference() {
        for (layout, reference, name) in [
            ("{host}/{path}", "nginx:1.25", "docker.io/library/nginx"),
            ("{path}", "nginx:1.25", "library/nginx"),
            ("{name}", "quay.io/a/b/c", "c"),
            ("proxy-{host}/{path}", "registry.example:5000/app", "proxy-registry.example_5000/app"),
            ("{host}/x/{name}", "quay.io/a/b", "quay.io/x/b"),
        ] {
            let parsed: CacheLayout = layout.parse().unwrap();
            assert_eq!(parsed.to_string(), layout);
            assert_eq!(parsed.place(&reference.parse().unwrap()).unwrap().as_str(), name);
        }
        assert_eq!(CacheLayout::default(), "{host}/{path}".parse().unwrap());
    }

    #[test]
    fn what_makes_no_names_is_refused() {
        for (text, error) in [
            ("", ParseLayoutError::Constant),
            ("{host}", ParseLayoutError::Constant),
            ("mirror", ParseLayoutError::Constant),
            ("{tag}/{path}", ParseLayoutError::Placeholder),
            ("{path", ParseLayoutError::Placeholder),
            ("path}/{name}", ParseLayoutError::Placeholder),
            ("{{path}}", ParseLayoutError::Placeholder),
        ] {
            assert_eq!(text.parse::<CacheLayout>(), Err(error), "{text:?}");
        }
        for text in
            ["/{path}", "{path}/", "A/{path}", "{host}//{path}", "../{path}", "{path}:1", "a b/{path}"]
        {
            assert!(matches!(text.parse::<CacheLayout>(), Err(ParseLayoutError::Repository(_))), "{text:?}");
        }
    }
}
