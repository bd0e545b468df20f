//! The requests of one project of a `bundle.yaml`.
//! Takes the fields of the project and the settings around it; gives image and chart requests, each with the
//! line that asks for it.

use serde_saphyr::{Location, Spanned};

use super::document::Project;
use super::error::{ConfigError, FieldError, wrong};
use super::image::Image;
use super::list::{ListEntry, read_excludes};
use crate::chart::{Around, ChartRequest, manifests};
use crate::list::{Listed, Wanted, from_list};
use crate::{Exclude, ItemError, Limits, LocalRequest, Reason};

/// What the projects of a file ask for.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) listed: Listed,
    pub(super) charts: Vec<ChartRequest>,
    pub(super) locals: Vec<LocalRequest>,
    /// Every entry of an `exclude`, wherever it stands.
    pub(super) excludes: Vec<Exclude>,
}

impl Gathered {
    pub(super) fn asks_for_nothing(&self) -> bool {
        let Listed { requests, patterns } = &self.listed;
        requests.is_empty() && patterns.is_empty() && self.charts.is_empty() && self.locals.is_empty()
    }
}

/// Makes requests of the fields of one project.
pub(super) struct ProjectReader<'a> {
    /// The file's name.
    pub(super) name: &'a str,
    /// The project's path in the file.
    pub(super) field: &'a str,
    pub(super) around: Around<'a>,
}

impl ProjectReader<'_> {
    /// Adds the requests of this project, in the order of the file.
    pub(super) fn read(
        &self,
        wanted: Project,
        read_list: &impl Fn(&str) -> Result<(String, String), ConfigError>,
        gathered: &mut Gathered,
    ) -> Result<(), ConfigError> {
        for (position, chart) in wanted.charts.into_iter().enumerate() {
            let field = format!("{}.charts[{position}]", self.field);
            let chart = chart.value.read(self.name, &field, chart.referenced, &self.around, read_list)?;
            let around = self.around.exclude;
            gathered.excludes.extend(chart.exclude.iter().filter(|own| !around.contains(own)).cloned());
            gathered.charts.push(chart);
        }
        if let Some(paths) = wanted.manifests {
            let empty = paths.value.iter().position(|path| path.value.is_empty());
            if let Some(position) = empty {
                let field = format!("{}.manifests[{position}]", self.field);
                return Err(wrong(self.name, paths.referenced, field, FieldError::NoManifests));
            }
            gathered.charts.push(manifests(paths.value, self.name, paths.referenced, &self.around));
        }
        self.files(wanted.files, &mut gathered.locals)?;
        let place = |place: Option<Location>| place.map(|place| (place.line(), place.column()));
        let images_first = place(wanted.images.as_ref().map(|images| images.referenced))
            < place(wanted.lists.as_ref().map(|lists| lists.referenced));
        let images = wanted.images.map(|images| images.value).unwrap_or_default();
        let lists = wanted.lists.map(|lists| lists.value).unwrap_or_default();
        if images_first {
            self.images(images, gathered)?;
            self.lists(lists, read_list, gathered)
        } else {
            self.lists(lists, read_list, gathered)?;
            self.images(images, gathered)
        }
    }

    fn images(&self, images: Vec<Spanned<Image>>, gathered: &mut Gathered) -> Result<(), ConfigError> {
        for (position, image) in images.into_iter().enumerate() {
            let name = self.name;
            let field = format!("{}.images[{position}]", self.field);
            let at = image.referenced;
            let mut with = self.wanted();
            let (platforms, exclude);
            let item = match image.value {
                Image::Line(line) => {
                    let settings = (None, self.around.policy);
                    if let Some(local) = self.local(&line, None, at, &field, settings)? {
                        gathered.locals.push(local);
                        continue;
                    }
                    line.parse().map_err(|error: ItemError| wrong(name, at, field.clone(), error))?
                }
                Image::Map(map) => {
                    let parent = format!("{field}.");
                    with.policy = with.policy.with(map.settings().policy(name, &parent)?);
                    if let Some(chosen) = map.settings().platforms(name, &parent)? {
                        platforms = chosen;
                        with.platforms = &platforms;
                    }
                    let own = map.settings().platforms(name, &parent)?;
                    let (rename, of_ref) = (map.rename(name, &field)?, format!("{field}.ref"));
                    if let Some(local) =
                        self.local(&map.r#ref.value, rename.clone(), at, &of_ref, (own, with.policy))?
                    {
                        if map.chooses() {
                            return Err(wrong(name, at, of_ref, FieldError::LocalChoice));
                        }
                        gathered.locals.push(local);
                        continue;
                    }
                    let (item, own) = map.item(name, &field, rename)?;
                    gathered.excludes.extend_from_slice(&own);
                    if !own.is_empty() {
                        exclude = [own.as_slice(), with.exclude].concat();
                        with.exclude = &exclude;
                    }
                    item
                }
            };
            let reason = Reason::File { name: name.to_owned(), line: at.line() };
            let added = gathered.listed.add(item, reason, &with);
            added.map_err(|error| wrong(name, at, field, error))?;
            self.bounded(gathered)?;
        }
        Ok(())
    }

    fn lists(
        &self,
        lists: Vec<Spanned<ListEntry>>,
        read_list: &impl Fn(&str) -> Result<(String, String), ConfigError>,
        gathered: &mut Gathered,
    ) -> Result<(), ConfigError> {
        for (position, list) in lists.into_iter().enumerate() {
            let mut field = format!("{}.lists[{position}]", self.field);
            let mut place = list.referenced;
            let mut with = self.wanted();
            let (platforms, exclude);
            let file = match list.value {
                ListEntry::File(file) => file,
                ListEntry::Map(mut map) => {
                    let parent = format!("{field}.");
                    with.policy = with.policy.with(map.settings().policy(self.name, &parent)?);
                    if let Some(chosen) = map.settings().platforms(self.name, &parent)? {
                        platforms = chosen;
                        with.platforms = &platforms;
                    }
                    let own = read_excludes(self.name, &parent, std::mem::take(&mut map.exclude))?;
                    gathered.excludes.extend_from_slice(&own);
                    exclude = [own.as_slice(), with.exclude].concat();
                    with.exclude = &exclude;
                    field.push_str(".file");
                    place = map.file.referenced;
                    map.file.value
                }
            };
            if file.is_empty() {
                return Err(wrong(self.name, place, field, FieldError::NoList));
            }
            let (name, text) = read_list(&file).map_err(|source| ConfigError::NamedList {
                name: self.name.to_owned(),
                line: place.line(),
                column: place.column(),
                field,
                source: Box::new(source),
            })?;
            let Listed { requests, patterns } = from_list(&text, &name, &with)?;
            gathered.listed.requests.extend(requests);
            gathered.listed.patterns.extend(patterns);
            self.bounded(gathered)?;
        }
        Ok(())
    }

    /// What holds for the project's images, if nothing nearer to them is said.
    fn wanted(&self) -> Wanted<'_> {
        let Around { project, layout, platforms, policy, exclude, .. } = self.around;
        Wanted { project, layout, platforms, policy, exclude }
    }

    fn bounded(&self, gathered: &Gathered) -> Result<(), ConfigError> {
        let Listed { requests, patterns } = &gathered.listed;
        if requests.len() + patterns.len() > Limits::DEFAULT.images {
            return Err(ConfigError::TooMany(self.name.to_owned()));
        }
        Ok(())
    }
}
