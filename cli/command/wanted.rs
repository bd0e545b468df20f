//! The request of a command: references, lists and a bundle.yaml, read into one value. Takes the arguments;
//! gives requests and charts.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::exit::{Code, Failure};
use bundle_bundler::{
    Asked, CacheLayout, Config, ConfigError, Exclude, FileOrigin, ImagePolicy, ItemError, ListItem, Listed,
    LocalFile, LocalItem, LocalRequest, LocalSource, LockBeside, MissingImage, MissingImages, Notice,
    Platforms, Reason, Rename, TagItem, TagSelection, VersionRange, from_list, merge,
};
use bundle_input::read_list;
use bundle_oci::{Platform, Printable, ProjectName};
use bundle_registry::Progress;
use bundle_report::MissingEntry;

/// The images and charts to carry: a bundle.yaml, references, lists.
#[derive(clap::Args)]
pub(crate) struct Wanted {
    /// Images to carry, such as nginx:1.25, or nginx:1.27.* for the tags that match; or from this machine:
    /// docker-archive:FILE, oci-archive:FILE, oci:DIR, dir:DIR, each with :NAME for one of several;
    /// `reference => new-name` renames
    #[arg(value_name = "REFERENCE")]
    references: Vec<String>,

    /// File that lists images and charts by project; repeatable [default: bundle.yaml, if no reference or
    /// list is given]
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// File with one reference per line; - reads standard input; repeatable
    #[arg(long, value_name = "LIST|-")]
    images: Vec<PathBuf>,

    /// Carry a single file too, as the OCI artifact files/NAME [default: files/PATH's name:latest]; repeatable
    #[arg(long = "add-file", value_name = "PATH[=NAME[:TAG]]")]
    add_files: Vec<String>,

    /// Carry this program too, as platform/files/bundle: for its own platform, or the executable at PATH;
    /// repeatable
    #[arg(
        long,
        value_name = "PATH|PLATFORM",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        action = clap::ArgAction::Append
    )]
    with_program: Vec<String>,

    /// Project for the references, lists and files on the command line
    #[arg(long, value_name = "NAME", default_value = "cache")]
    pub(crate) project: ProjectName,

    /// Carry only this platform; repeatable
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all_platforms")]
    platforms: Vec<Platform>,

    /// Carry all platforms, overriding bundle.yaml
    #[arg(long)]
    all_platforms: bool,

    /// Exclude an image, whatever asks for it: a/b with any tag, a/b:1, a/b:*-alpine, or HOST/* for all images of
    /// a host; repeatable
    #[arg(long, value_name = "IMAGE")]
    exclude: Vec<String>,

    /// Carry the tags of each REFERENCE that are versions in this range, such as '>=1.25 <2'
    #[arg(long, value_name = "RANGE", requires = "references")]
    semver: Option<VersionRange>,

    /// Carry the newest N versions of each REFERENCE, a repository without a tag
    #[arg(long, value_name = "N", requires = "references", value_parser = clap::value_parser!(u16).range(1..=1000))]
    newest: Option<u16>,

    /// Fail if a REFERENCE with a choice of tags brings more than N [default: 100]
    #[arg(long, value_name = "N", requires = "references", value_parser = clap::value_parser!(u16).range(1..=10000))]
    max_tags: Option<u16>,

    /// What to do with an image whose tag or repository is gone, overriding bundle.yaml: fail, keep-last (carry the
    /// digest that bundle.lock or the last run has) or skip
    #[arg(long, value_name = "fail|keep-last|skip")]
    missing: Option<MissingImages>,
}

pub(crate) const DEFAULT_FILE: &str = "bundle.yaml";

/// Prints the notices about a bundle.
pub(crate) fn tell_notices(notices: &[Notice], progress: &dyn Progress) {
    notices.iter().for_each(|notice| progress.note(&notice.to_string()));
}

/// The images that are gone, as reports have them.
pub(crate) fn missing_entries(notices: &[Notice]) -> Vec<MissingEntry> {
    notices.iter().filter_map(Notice::missing).map(missing_entry).collect()
}

/// An image that is gone, as reports have it.
pub(crate) fn missing_entry(image: &MissingImage) -> MissingEntry {
    MissingEntry {
        image: image.image.clone(),
        target: image.target.clone(),
        kept: image.kept.map(|digest| digest.to_string()),
        why: image.why.iter().map(Reason::to_string).collect(),
    }
}

/// The file that was given as a reference, and the option for it. Its name could be that of an image, but no
/// registry has an image without a host.
fn file_for(reference: &str) -> Option<(&'static str, &'static str)> {
    let path = Path::new(reference);
    let option = match path.extension()?.to_str()? {
        "yaml" | "yml" => "-f",
        "txt" | "list" => "--images",
        _ => return None,
    };
    match path.is_file() {
        true => Some((option, "is a file, not an image")),
        false if !reference.contains(['/', ':']) => {
            Some((option, "is not an image, and there is no such file"))
        }
        false => None,
    }
}

impl Wanted {
    /// The one bundle.yaml that is named, if any is.
    pub(crate) fn file(&self) -> Result<Option<&Path>, Failure> {
        match self.files.as_slice() {
            [] => Ok(None),
            [file] => Ok(Some(file)),
            _ => Err(Failure::text(Code::Usage, "one bundle.yaml at a time: -f is given more than once")),
        }
    }

    /// The lock that belongs to the bundle.yaml.
    pub(crate) fn lock_path(&self) -> PathBuf {
        LockBeside::path_of(self.files.first().map_or_else(|| Path::new(DEFAULT_FILE), PathBuf::as_path))
    }

    /// The choice of platforms on the command line.
    pub(crate) fn platforms(&self) -> Platforms {
        Platforms::only(self.platforms.clone()).unwrap_or_default()
    }

    /// A file and the name that it gets: `PATH` or `PATH=NAME`. A file with that very name is meant, if there is
    /// one.
    fn file_to_add(&self, text: &str) -> Result<(LocalFile, Option<Rename>), Failure> {
        let (path, rename) = match text.rsplit_once('=') {
            Some((path, rename)) if !Path::new(text).exists() => {
                let wrong = |error| Failure::text(Code::Usage, format!("'{}': {error}", Printable(text)));
                (path, Some(rename.parse().map_err(|error: bundle_bundler::ItemError| wrong(error))?))
            }
            _ => (text, None),
        };
        let origin = FileOrigin::Path { path: path.into(), written: path.to_owned() };
        Ok((LocalFile { origin, title: None, mode: None }, rename))
    }

    /// A reference of the arguments, with the choice of tags that they make.
    fn item(&self, text: &str) -> Result<ListItem, ItemError> {
        let number = |number: Option<u16>| number.and_then(|number| NonZeroUsize::new(usize::from(number)));
        if self.semver.is_none() && self.newest.is_none() {
            let mut item = text.parse()?;
            if let ListItem::Tags(item) = &mut item {
                item.tags.most = number(self.max_tags);
            }
            return Ok(item);
        }
        let (reference, rename) = match text.split_once("=>") {
            Some((reference, rename)) => (reference.trim(), Some(rename.trim().parse()?)),
            None => (text.trim(), None),
        };
        let tags = TagSelection {
            globs: Vec::new(),
            range: self.semver.clone(),
            newest: number(self.newest),
            most: number(self.max_tags),
        };
        Ok(ListItem::Tags(TagItem::new(reference, tags, rename)?))
    }

    /// Reads the request from the arguments and the files.
    pub(crate) fn read(&self) -> Result<Asked, Failure> {
        let explicit = !self.references.is_empty() || !self.images.is_empty();
        let files = !self.add_files.is_empty() || !self.with_program.is_empty();
        let file = match self.file()? {
            Some(file) => Some(file.to_owned()),
            None if explicit => None,
            None if PathBuf::from(DEFAULT_FILE).exists() => Some(DEFAULT_FILE.into()),
            None if files => None,
            None => {
                return Err(Failure::text(
                    Code::Usage,
                    "nothing to carry: no reference, no --images, no bundle.yaml",
                )
                .hint("for example: bundle create nginx:1.25 --key KEY -o bundle.tar"));
            }
        };
        let mut asked = Asked::default();
        let mut layout = CacheLayout::default();
        let mut policy = ImagePolicy::default();
        // What the file excludes everywhere counts for the arguments too.
        let mut exclude = Vec::new();
        if let Some(file) = file {
            let config = Config::load(&file)?;
            layout = config.cache_layout.clone();
            policy = config.policy;
            exclude = config.exclude.clone();
            asked = Asked::from(config);
        }
        let own = self.exclude.iter().map(|text| {
            Exclude::new(text, Reason::CommandLine).map_err(|error| {
                Failure::text(Code::Usage, format!("--exclude '{}': {error}", Printable(text)))
            })
        });
        let own = own.collect::<Result<Vec<_>, _>>()?;
        asked.leave_out(&own);
        exclude.extend(own);
        let here = self.platforms();
        let with = bundle_bundler::Wanted {
            project: &self.project,
            layout: &layout,
            platforms: &here,
            policy,
            exclude: &exclude,
        };
        let mut listed = Listed::default();
        for text in &self.references {
            if let Some((option, wrong)) = file_for(text) {
                return Err(Failure::text(Code::Usage, format!("'{}' {wrong}", Printable(text)))
                    .hint(format!("did you mean {option} {}?", Printable(text))));
            }
            if let Some(item) = LocalItem::parse(text) {
                let item = item
                    .map_err(|error| Failure::text(Code::Usage, format!("'{}': {error}", Printable(text))))?;
                asked.locals.push(LocalRequest {
                    source: LocalSource::Images(item.address),
                    rename: item.rename,
                    project: self.project.clone(),
                    layout: layout.clone(),
                    platforms: here.clone(),
                    policy,
                    reason: Reason::CommandLine,
                });
                continue;
            }
            let wrong = |error: bundle_bundler::ItemError| {
                let failure = Failure::text(Code::Usage, format!("'{}': {error}", Printable(text)));
                match bundle_bundler::meant(text) {
                    Some(meant) => failure.hint(format!("did you mean '{}'?", Printable(&meant))),
                    None => failure,
                }
            };
            let item = self.item(text).map_err(wrong)?;
            listed.add(item, Reason::CommandLine, &with).map_err(wrong)?;
        }
        for text in &self.add_files {
            let (source, rename) = self.file_to_add(text)?;
            asked.locals.push(LocalRequest {
                source: LocalSource::File(source),
                rename,
                project: self.project.clone(),
                layout: layout.clone(),
                platforms: here.clone(),
                policy,
                reason: Reason::CommandLine,
            });
        }
        for program in &self.with_program {
            asked.locals.push(LocalRequest::program(program)?);
        }
        for list in &self.images {
            let (name, text) = read_list(list).map_err(ConfigError::from)?;
            let more = from_list(&text, &name, &with)?;
            listed.requests.extend(more.requests);
            listed.patterns.extend(more.patterns);
        }
        asked.requests.extend(listed.requests);
        asked.patterns.extend(listed.patterns);
        if asked.is_empty() {
            let why = if exclude.is_empty() { "the lists are empty" } else { "all images are excluded" };
            return Err(Failure::text(Code::Usage, format!("nothing to carry: {why}")));
        }
        if !self.platforms.is_empty() || self.all_platforms {
            asked.choose(&here);
        }
        if let Some(missing) = self.missing {
            asked.treat_missing(missing);
        }
        // Two images for one target are reported before any network access.
        asked.requests = merge(asked.requests)?;
        Ok(asked)
    }
}
