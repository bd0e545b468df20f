//! From an entry of `images` with settings to an image, or to a choice of tags.
//! Takes the fields `ref`, `as`, `tags`, `semver`, `newest`, `maxTags` and `exclude`; gives an item and what is
//! excluded from it, or an error with line, column and field.

use std::num::NonZeroUsize;

use bundle_oci::Reference;
use serde_saphyr::Spanned;

use super::error::{ConfigError, FieldError, wrong};
use super::image::ImageMap;
use super::settings::Number;
use crate::{
    Exclude, Item, ItemError, Limits, ListItem, ParseTagItemError, Reason, Rename, TagGlob, TagItem,
    TagSelection, VersionRange,
};

/// The most versions that `newest` may ask for.
const MOST_NEWEST: u32 = 1_000;

impl ImageMap {
    /// The new name. `field` is the path of this map in the file called `name`.
    pub(super) fn rename(&self, name: &str, field: &str) -> Result<Option<Rename>, ConfigError> {
        let read = |rename: &Spanned<String>| {
            let parsed = rename.value.trim().parse::<Rename>();
            parsed.map_err(|error| wrong(name, rename.referenced, format!("{field}.as"), error))
        };
        self.r#as.as_ref().map(read).transpose()
    }

    /// Whether it chooses among tags.
    pub(super) fn chooses(&self) -> bool {
        self.tags.is_some()
            || self.semver.is_some()
            || self.newest.is_some()
            || self.max_tags.is_some()
            || self.exclude.is_some()
    }

    /// The image, or the choice of tags; `name` and `field` as for the new name.
    pub(super) fn item(
        self,
        name: &str,
        field: &str,
        rename: Option<Rename>,
    ) -> Result<(ListItem, Vec<Exclude>), ConfigError> {
        let (place, reference) = (self.r#ref.referenced, &self.r#ref.value);
        let tags = self.selection(name, field)?;
        if tags.is_empty() && !TagItem::is_meant(reference) {
            for (is_there, option) in
                [(self.exclude.is_some(), "exclude"), (self.max_tags.is_some(), "maxTags")]
            {
                if is_there {
                    return Err(wrong(name, place, format!("{field}.{option}"), FieldError::NoChoice));
                }
            }
            let reference = reference.parse::<Reference>().map_err(ItemError::Reference);
            let reference = reference.map_err(|error| wrong(name, place, format!("{field}.ref"), error))?;
            return Ok((ListItem::Image(Item { reference, rename }), Vec::new()));
        }
        let item = TagItem::new(reference, tags, rename);
        let item = item.map_err(|error: ParseTagItemError| {
            wrong(name, place, format!("{field}.ref"), ItemError::Tags(error))
        })?;
        let mut excludes = Vec::new();
        for (position, tags) in self.exclude.into_iter().flatten().enumerate() {
            let reason = Reason::File { name: name.to_owned(), line: tags.referenced.line() };
            let of = (item.registry.clone(), item.repository.clone());
            let field = || format!("{field}.exclude[{position}]");
            let exclude = Exclude::of_tags(&tags.value, of, reason);
            excludes.push(exclude.map_err(|error| wrong(name, tags.referenced, field(), error))?);
        }
        Ok((ListItem::Tags(item), excludes))
    }

    fn selection(&self, name: &str, field: &str) -> Result<TagSelection, ConfigError> {
        let number = |written: &Option<Spanned<Number>>, option: &str, most: u32| {
            let Some(written) = written else { return Ok(None) };
            let refuse =
                || wrong(name, written.referenced, format!("{field}.{option}"), FieldError::Number(most));
            let Number(number) = written.value;
            if number > most {
                return Err(refuse());
            }
            NonZeroUsize::new(number as usize).map(Some).ok_or_else(refuse)
        };
        let most = u32::try_from(Limits::DEFAULT.most_tags).unwrap_or(u32::MAX);
        let mut selection = TagSelection {
            newest: number(&self.newest, "newest", MOST_NEWEST)?,
            most: number(&self.max_tags, "maxTags", most)?,
            ..TagSelection::default()
        };
        if let Some(written) = &self.tags {
            let field = || format!("{field}.tags");
            let refuse = |error: FieldError| wrong(name, written.referenced, field(), error);
            let globs: Result<Vec<TagGlob>, _> = written.value.0.iter().map(|text| text.parse()).collect();
            selection.globs = globs.map_err(|error| refuse(FieldError::Glob(error)))?;
            if selection.globs.is_empty() {
                return Err(refuse(FieldError::NoTags));
            }
        }
        if let Some(written) = &self.semver {
            let range: Result<VersionRange, _> = written.value.parse();
            let field = || format!("{field}.semver");
            selection.range = Some(range.map_err(|error| wrong(name, written.referenced, field(), error))?);
        }
        Ok(selection)
    }
}
