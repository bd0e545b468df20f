//! The requests of one project of a `bundle.yaml`.
//! Takes the fields of the project and the settings around it; gives image and chart requests, each with the
//! line that asks for it.

use std::sync::Arc;

use bundle_chart::Rules;
use bundle_oci::ProjectName;
use serde_saphyr::{Location, Spanned};

use super::document::Project;
use super::error::{ConfigError, FieldError, wrong};
use super::image::Image;
use crate::chart::{ChartRequest, manifests};
use crate::list::from_list;
use crate::policy::ImagePolicy;
use crate::{CacheLayout, Item, ItemError, Limits, LocalRequest, Platforms, Reason, Request};

/// Makes requests of the fields of one project.
pub(super) struct ProjectReader<'a> {
    pub(super) name: &'a str,
    pub(super) field: &'a str,
    pub(super) project: &'a ProjectName,
    pub(super) platforms: &'a Platforms,
    pub(super) policy: ImagePolicy,
    pub(super) layout: &'a CacheLayout,
    pub(super) rules: &'a Arc<Rules>,
}

impl ProjectReader<'_> {
    /// Adds the requests of this project to `requests` and `charts`, in the order of the file.
    pub(super) fn read(
        &self,
        wanted: Project,
        read_list: &impl Fn(&str) -> Result<(String, String), ConfigError>,
        requests: &mut Vec<Request>,
        charts: &mut Vec<ChartRequest>,
        locals: &mut Vec<LocalRequest>,
    ) -> Result<(), ConfigError> {
        for (position, chart) in wanted.charts.into_iter().enumerate() {
            let field = format!("{}.charts[{position}]", self.field);
            let wanted = (self.project, self.layout, self.platforms, self.policy);
            charts.push(chart.value.read(
                self.name,
                &field,
                chart.referenced,
                wanted,
                self.rules,
                read_list,
            )?);
        }
        if let Some(paths) = wanted.manifests {
            let wanted = (self.project, self.layout, self.platforms, self.policy);
            let empty = paths.value.iter().position(|path| path.value.is_empty());
            if let Some(position) = empty {
                let field = format!("{}.manifests[{position}]", self.field);
                return Err(wrong(self.name, paths.referenced, field, FieldError::NoManifests));
            }
            charts.push(manifests(paths.value, self.name, paths.referenced, wanted, self.rules));
        }
        self.files(wanted.files, locals)?;
        let place = |place: Option<Location>| place.map(|place| (place.line(), place.column()));
        let images_first = place(wanted.images.as_ref().map(|images| images.referenced))
            < place(wanted.lists.as_ref().map(|lists| lists.referenced));
        let images = wanted.images.map(|images| images.value).unwrap_or_default();
        let lists = wanted.lists.map(|lists| lists.value).unwrap_or_default();
        if images_first {
            self.images(images, requests, locals)?;
            self.lists(lists, read_list, requests)
        } else {
            self.lists(lists, read_list, requests)?;
            self.images(images, requests, locals)
        }
    }

    fn images(
        &self,
        images: Vec<Spanned<Image>>,
        requests: &mut Vec<Request>,
        locals: &mut Vec<LocalRequest>,
    ) -> Result<(), ConfigError> {
        for (position, image) in images.into_iter().enumerate() {
            let name = self.name;
            let field = format!("{}.images[{position}]", self.field);
            let at = image.referenced;
            let (item, platforms, policy) = match image.value {
                Image::Line(line) => {
                    if let Some(local) = self.local(&line, None, at, &field, (None, self.policy))? {
                        locals.push(local);
                        continue;
                    }
                    let item =
                        line.parse().map_err(|error: ItemError| wrong(name, at, field.clone(), error))?;
                    (item, None, self.policy)
                }
                Image::Map(map) => {
                    let parent = format!("{field}.");
                    let policy = self.policy.with(map.settings().policy(name, &parent)?);
                    let platforms = map.settings().platforms(name, &parent)?;
                    let rename = map.r#as.as_ref().map(|rename| {
                        let parsed = rename.value.trim().parse();
                        parsed.map_err(|error: ItemError| {
                            wrong(name, rename.referenced, format!("{field}.as"), error)
                        })
                    });
                    let rename = rename.transpose()?;
                    let (text, of_ref) = (&map.r#ref.value, format!("{field}.ref"));
                    let settings = (platforms.clone(), policy);
                    if let Some(local) = self.local(text, rename.clone(), at, &of_ref, settings)? {
                        locals.push(local);
                        continue;
                    }
                    let reference = text.parse().map_err(ItemError::Reference);
                    let reference =
                        reference.map_err(|error| wrong(name, map.r#ref.referenced, of_ref, error))?;
                    let item = Item { reference, rename };
                    (item, platforms, policy)
                }
            };
            let target =
                item.place_by(self.project, self.layout).map_err(|error| wrong(name, at, field, error))?;
            requests.push(Request {
                reference: item.reference,
                local: None,
                target,
                platforms: platforms.unwrap_or_else(|| self.platforms.clone()),
                policy,
                reasons: vec![Reason::File { name: name.to_owned(), line: at.line() }],
            });
            self.bounded(requests)?;
        }
        Ok(())
    }

    fn lists(
        &self,
        lists: Vec<Spanned<String>>,
        read_list: &impl Fn(&str) -> Result<(String, String), ConfigError>,
        requests: &mut Vec<Request>,
    ) -> Result<(), ConfigError> {
        for (position, list) in lists.into_iter().enumerate() {
            let field = format!("{}.lists[{position}]", self.field);
            if list.value.is_empty() {
                return Err(wrong(self.name, list.referenced, field, FieldError::NoList));
            }
            let (name, text) = read_list(&list.value).map_err(|source| ConfigError::NamedList {
                name: self.name.to_owned(),
                line: list.referenced.line(),
                column: list.referenced.column(),
                field,
                source: Box::new(source),
            })?;
            requests.extend(from_list(&text, &name, self.project, self.layout, self.platforms, self.policy)?);
            self.bounded(requests)?;
        }
        Ok(())
    }

    fn bounded(&self, requests: &[Request]) -> Result<(), ConfigError> {
        if requests.len() > Limits::DEFAULT.images {
            return Err(ConfigError::TooMany(self.name.to_owned()));
        }
        Ok(())
    }
}
