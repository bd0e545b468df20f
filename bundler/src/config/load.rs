//! From the text of a `bundle.yaml` to a [`Config`].
//! Takes the file, and a way to read those that it names; gives requests in the order of the file, or a
//! [`ConfigError`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_chart::Rules;
use bundle_format::StreamName;
use bundle_input::{Dialect, parse_yaml};
use bundle_oci::{Printable, ProjectName};
use serde_saphyr::Spanned;

use super::document::{File, Project, Projects};
use super::error::{ConfigError, FieldError, wrong};
use super::list::read_excludes;
use super::project::{Gathered, ProjectReader};
use super::settings::Number;
use super::sources::{SourceFields, Sources};
use super::upstream::read_rules_of_signatures;
use crate::chart::{Around, ChartRequest, ChartSource};
use crate::policy::ImagePolicy;
use crate::{
    CacheLayout, Exclude, Listed, LocalRequest, Platforms, Request, TagPattern, UpstreamPolicy, list,
};

/// The requests of a `bundle.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The stream's name.
    pub name: Option<StreamName>,
    /// The platforms for every image that does not choose its own.
    pub platforms: Platforms,
    /// The policy of images without settings of their own.
    pub policy: ImagePolicy,
    /// How images are named in the project `cache`.
    pub cache_layout: CacheLayout,
    /// The requests, in the order of the file.
    pub requests: Vec<Request>,
    /// The choices of tags, in the order of the file.
    pub patterns: Vec<TagPattern>,
    /// The charts whose images are wanted, in the order of the file.
    pub charts: Vec<ChartRequest>,
    /// The images and files of this machine, in the order of the file.
    pub locals: Vec<LocalRequest>,
    /// How the images' registries are reached.
    pub sources: Sources,
    /// The rules about publishers' signatures.
    pub upstream: UpstreamPolicy,
    /// The directory of SBOMs for images that carry none.
    pub sboms: Option<PathBuf>,
    /// All entries of an `exclude` in the file.
    pub excludes: Vec<Exclude>,
    /// Those for all images, which count for images that are not in the file too.
    pub exclude: Vec<Exclude>,
}

/// Reads a bundle.yaml, or a file that it names.
fn read_text(path: &Path) -> Result<String, ConfigError> {
    Ok(bundle_input::read_text(path, bundle_input::Limits::DEFAULT.file)?)
}

impl Config {
    /// Reads a file, and the lists that it names, which lie beside it.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut config = Self::parse(&text, &path.display().to_string(), |list| {
            let path = directory.join(list);
            Ok((path.display().to_string(), read_text(&path)?))
        })?;
        for chart in &mut config.charts {
            match &mut chart.source {
                ChartSource::Path(path) => *path = directory.join(&path),
                ChartSource::Manifests(paths) => {
                    paths.iter_mut().for_each(|path| *path = directory.join(&path));
                }
                ChartSource::Repository { .. } | ChartSource::Registry { .. } => {}
            }
            chart.root = chart.root.take().map(|root| directory.join(root));
        }
        config.locals = config.locals.into_iter().map(|local| local.below(directory)).collect();
        config.sources.resolve(directory);
        config.sboms = config.sboms.map(|sboms| directory.join(sboms));
        Ok(config)
    }

    /// Reads the text of a file called `name`; `read_list` gives the name and text of a list or of
    /// a chart's values. Charts' paths stay as they are written.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn parse(
        text: &str,
        name: &str,
        read_list: impl Fn(&str) -> Result<(String, String), ConfigError>,
    ) -> Result<Self, ConfigError> {
        let file: File = parse_yaml(text, name, Dialect::Anchors).map_err(|error| {
            // Another version may well have other fields: which it is says more than the first.
            match parse_yaml::<OnlyVersion>(text, name, Dialect::Anchors) {
                Ok(OnlyVersion { version }) if version.value.0 != VERSION => unknown_version(name, &version),
                _ if list::is_list(text) => ConfigError::IsAList(name.to_owned()),
                _ => error.into(),
            }
        })?;
        if let Some(version) = file.version.as_ref().filter(|version| version.value.0 != VERSION) {
            return Err(unknown_version(name, version));
        }
        let policy = ImagePolicy::default().with(file.settings().policy(name, "")?);
        let platforms = file.settings().platforms(name, "")?.unwrap_or_default();
        let stream = file.name.map(|stream| {
            let parsed = stream.value.parse::<StreamName>();
            parsed.map_err(|error| wrong(name, stream.referenced, "name".to_owned(), error))
        });
        let stream = stream.transpose()?;
        let layout = file.cache_layout.map(|layout| {
            let parsed = layout.value.parse::<CacheLayout>();
            parsed.map_err(|error| wrong(name, layout.referenced, "cacheLayout".to_owned(), error))
        });
        let layout = layout.transpose()?.unwrap_or_default();
        let rules = read_rules(file.rules, file.rule_files, name, &read_list)?;
        let fields = SourceFields {
            mirrors: file.mirrors,
            plain_http: file.plain_http,
            ca_file: file.ca_file,
            credentials: file.credentials,
        };
        let sources = fields.read(name)?;
        let sboms = file.sboms.map(|sboms| PathBuf::from(sboms.value));
        let upstream = read_rules_of_signatures(file.policy, name, &read_list)?;
        let exclude = read_excludes(name, "", file.exclude)?;
        let mut gathered = Gathered { excludes: exclude.clone(), ..Gathered::default() };
        for (field, project, mut wanted) in projects(file.projects, name)? {
            let parent = format!("{field}.");
            let chosen = wanted.settings().platforms(name, &parent)?.unwrap_or_else(|| platforms.clone());
            let policy = policy.with(wanted.settings().policy(name, &parent)?);
            let own = read_excludes(name, &parent, std::mem::take(&mut wanted.exclude))?;
            gathered.excludes.extend_from_slice(&own);
            let exclude = &[exclude.as_slice(), own.as_slice()].concat();
            let (field, project, platforms, layout) = (field.as_str(), &project, &chosen, &layout);
            let around = Around { project, layout, platforms, policy, rules: &rules, exclude };
            let reader = ProjectReader { name, field, around };
            reader.read(wanted, &read_list, &mut gathered)?;
        }
        if gathered.asks_for_nothing() {
            return Err(ConfigError::Empty(name.to_owned()));
        }
        let Gathered { listed: Listed { requests, patterns }, charts, locals, excludes } = gathered;
        Ok(Self {
            name: stream,
            platforms,
            policy,
            cache_layout: layout,
            requests,
            patterns,
            charts,
            locals,
            sources,
            sboms,
            upstream,
            excludes,
            exclude,
        })
    }
}

/// The only version of the file's form that there is.
const VERSION: u32 = 1;

#[derive(serde::Deserialize)]
struct OnlyVersion {
    version: Spanned<Number>,
}

fn unknown_version(name: &str, version: &Spanned<Number>) -> ConfigError {
    let Spanned { value: Number(value), referenced, .. } = *version;
    let (line, column) = (referenced.line(), referenced.column());
    ConfigError::Version { name: name.to_owned(), line, column, version: value }
}

/// The rules that come with the program, those in the file, and those in files beside it.
fn read_rules(
    mut rules: Rules,
    files: Vec<Spanned<String>>,
    name: &str,
    read_list: &impl Fn(&str) -> Result<(String, String), ConfigError>,
) -> Result<Arc<Rules>, ConfigError> {
    for (position, file) in files.into_iter().enumerate() {
        let read = read_list(&file.value).and_then(|(file, text)| {
            let read: Rules = parse_yaml(&text, &file, Dialect::Anchors)?;
            Ok(read)
        });
        let read = read.map_err(|source| ConfigError::NamedList {
            name: name.to_owned(),
            line: file.referenced.line(),
            column: file.referenced.column(),
            field: format!("ruleFiles[{position}]"),
            source: Box::new(source),
        })?;
        rules.extend(read);
    }
    Ok(Arc::new(rules.with_shipped()))
}

/// The projects in the order of the file, each with its field's path.
fn projects(file: Projects, name: &str) -> Result<Vec<(String, ProjectName, Project)>, ConfigError> {
    let mut projects = Vec::new();
    let fixed =
        [("cache", ProjectName::cache(), file.cache), ("platform", ProjectName::platform(), file.platform)];
    for (field, project, wanted) in fixed {
        let Some(wanted) = wanted else { continue };
        projects.push((wanted.referenced, (format!("projects.{field}"), project, wanted.value)));
    }
    for (tenant, wanted) in file.tenants.map(|tenants| tenants.0).unwrap_or_default() {
        let field = format!("projects.tenants.{}", Printable(&tenant.value));
        let project = match tenant.value.parse::<ProjectName>() {
            Ok(project) if project.is_cache() || project == ProjectName::platform() => {
                return Err(wrong(name, tenant.referenced, field, FieldError::Reserved(project)));
            }
            Ok(project) => project,
            Err(error) => return Err(wrong(name, tenant.referenced, field, error)),
        };
        projects.push((wanted.referenced, (field, project, wanted.value)));
    }
    projects.sort_by_key(|(place, _)| (place.line(), place.column()));
    Ok(projects.into_iter().map(|(_, project)| project).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{ForeignLayers, MissingImages, MissingPlatforms, Referrers, SignedIndexes};

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, "bundle.yaml", |list| Ok((list.to_owned(), "busybox:1\n".to_owned())))
    }

    const EXAMPLE: &str = "\
name: nightly
platforms: [linux/amd64]
projects:
  cache:
    images:
      - nginx:1.25
      - {ref: quay.io/x/y:1, as: 'other:2', platforms: [linux/arm64]}
    lists: [images.txt]
  tenants:
    tenant-a:
      images: [\"quay.io/z/app:3 => tools/app\"]
";

    #[test]
    fn requests_know_their_line_and_target() {
        let config = parse(EXAMPLE).unwrap();
        let seen: Vec<_> = config
            .requests
            .iter()
            .map(|request| (request.target.to_string(), request.reasons[0].to_string()))
            .collect();
        let expected = [
            ("cache/docker.io/library/nginx:1.25", "bundle.yaml:6"),
            ("cache/other:2", "bundle.yaml:7"),
            ("cache/docker.io/library/busybox:1", "images.txt:1"),
            ("tenant-a/tools/app:3", "bundle.yaml:11"),
        ];
        assert_eq!(seen, expected.map(|(target, reason)| (target.to_owned(), reason.to_owned())));
        assert_eq!(config.requests[1].platforms, Platforms::Only(vec!["linux/arm64".parse().unwrap()]));
    }

    #[test]
    fn a_layout_is_for_cache_and_for_what_is_not_renamed() {
        let config = parse(&format!("cacheLayout: 'mirror/{{path}}'\n{EXAMPLE}")).unwrap();
        let targets: Vec<_> = config.requests.iter().map(|request| request.target.to_string()).collect();
        assert_eq!(
            targets,
            [
                "cache/mirror/library/nginx:1.25",
                "cache/other:2",
                "cache/mirror/library/busybox:1",
                "tenant-a/tools/app:3"
            ]
        );
    }

    #[test]
    fn what_is_said_nearest_to_an_image_counts() {
        let text = "\
platforms: [linux/amd64]
referrers: require
projects:
  cache:
    referrers: leave
    platforms: all
    images:
      - a:1
      - {ref: 'b:1', referrers: carry, platforms: [linux/arm64], strictPlatforms: true}
  platform:
    signedIndexes: whole
    foreignLayers: include
    images: [c:1, {ref: 'd:1', foreignLayers: leave}]
";
        let config = parse(text).unwrap();
        let [a, b, c, d] = config.requests.as_slice() else { panic!("four images are expected") };
        let foreign = [a, b, c, d].map(|request| request.policy.foreign_layers == ForeignLayers::Include);
        assert_eq!(foreign, [false, false, true, false]);
        assert_eq!((a.policy.referrers, &a.platforms), (Referrers::Leave, &Platforms::All));
        assert_eq!(
            (b.policy.referrers, b.policy.missing_platforms),
            (Referrers::Carry, MissingPlatforms::Fail)
        );
        assert_eq!(b.platforms.to_string(), "linux/arm64");
        assert_eq!((c.policy.referrers, c.policy.signed_indexes), (Referrers::Require, SignedIndexes::Whole));
        assert_eq!(c.platforms.to_string(), "linux/amd64");
        for (line, message) in [
            ("referrers: must", "bundle.yaml:1:12: referrers: 'must' is not one of require, carry, leave"),
            ("platforms: some", "bundle.yaml:1:12: platforms: must be a list of platforms, or 'all'"),
            ("foreignLayers: all", "bundle.yaml:1:16: foreignLayers: 'all' is not one of include, leave"),
            ("signedIndexes: 1.x", "bundle.yaml:1:16: signedIndexes: '1.x' is not one of whole, split"),
        ] {
            let error = parse(&format!("{line}\nprojects: {{cache: {{images: [a]}}}}\n")).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn mistakes_are_told_with_file_line_and_field() {
        for (text, start) in [
            ("projects:\n  cache:\n    images: [x/Foo:1]\n", "bundle.yaml:3:14: projects.cache.images[0]: "),
            ("projects:\n  cache:\n    image: [a]\n", "bundle.yaml:3:5: "),
            ("projects:\n  cach: {}\n", "bundle.yaml:2:3: "),
            ("projects: {}\nprojects: {}\n", "bundle.yaml:2:1: "),
            ("projects:\n  tenants:\n    Tenant: {}\n", "bundle.yaml:3:5: "),
            ("platforms: [linux]\nprojects: {}\n", "bundle.yaml:1:13: "),
            ("cacheLayout: '{host}'\nprojects: {}\n", "bundle.yaml:1:14: cacheLayout: must have {path}"),
            (
                "projects:\n  cache:\n    charts: [{path: a, version: '1'}]\n",
                "bundle.yaml:3:14: projects.cache.charts[0]: 'version' cannot be combined with 'path'",
            ),
            (
                "projects:\n  cache:\n    charts:\n      - repo: https://a\n        name: b\n        version: new\n",
                "bundle.yaml:6:18: projects.cache.charts[0].version: 'new' is not a version",
            ),
            (
                "projects:\n  cache:\n    charts: [{path: a, valueSets: {defaults: {}}}]\n",
                "bundle.yaml:3:36: projects.cache.charts[0].valueSets.defaults: ",
            ),
            (
                "projects:\n  cache:\n    charts: [{path: a, exclude: ['A b']}]\n",
                "bundle.yaml:3:34: projects.cache.charts[0].exclude[0]: ",
            ),
            ("projects: {}\n", "bundle.yaml names no image"),
            ("", "bundle.yaml:1:1: "),
            ("projects:\n\tcache: {}\n", "bundle.yaml:2:"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message:?} does not start with {start:?}");
            assert_eq!(message.lines().count(), 1, "{message:?}");
        }
    }

    #[test]
    fn the_version_is_1_or_left_out() {
        assert_eq!(parse(&format!("version: 1\n{EXAMPLE}")).unwrap(), {
            let lines_later = format!("# the first line\n{EXAMPLE}");
            parse(&lines_later).unwrap()
        });
        for (version, rest) in [("2", EXAMPLE), ("7", "flavours: [sweet]\n")] {
            assert_eq!(
                parse(&format!("version: {version}\n{rest}")).unwrap_err().to_string(),
                format!(
                    "bundle.yaml:1:10: version: the file is of version {version}, and this program reads version 1"
                )
            );
        }
        assert!(parse("version: one\nprojects: {}\n").is_err());
    }

    #[test]
    fn how_registries_are_reached_is_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle.yaml");
        let text = "\
mirrors:
  docker.io: harbor.example/dockerhub
  ghcr.io: harbor.example:8443
plainHttp: ['r.example:5000']
caFile: ca.crt
credentials: /etc/bundle/auth.json
projects: {cache: {images: [a]}}
";
        std::fs::write(&path, text).unwrap();
        let sources = Config::load(&path).unwrap().sources;
        let mirrors = ["docker.io=harbor.example/dockerhub", "ghcr.io=harbor.example:8443"];
        assert_eq!(sources.mirrors, mirrors.map(|mirror| mirror.parse().unwrap()));
        assert_eq!(sources.plain_http, ["r.example:5000".parse().unwrap()]);
        assert_eq!(sources.ca_file, Some(directory.path().join("ca.crt")));
        assert_eq!(sources.credentials, Some("/etc/bundle/auth.json".into()));
        for (line, message) in [
            (
                "mirrors: {docker.io: 'https://h'}",
                "bundle.yaml:1:22: mirrors: mirror must be HOST or HOST/PREFIX, without https:// and the like",
            ),
            (
                "mirrors: {docker.io: 'user:secret@h'}",
                "bundle.yaml:1:22: mirrors: mirror must have no user name or password; they belong in a credential file",
            ),
            (
                "credentials: user:secret",
                "bundle.yaml:1:14: credentials: must be the name of a file; user names and passwords do not belong here",
            ),
            ("caFile: ''", "bundle.yaml:1:9: caFile: name of a file is empty"),
            (
                "plainHttp: [http://a]",
                "bundle.yaml:1:13: plainHttp[0]: registry must be HOST or HOST:PORT, without scheme, path or user",
            ),
        ] {
            let error = parse(&format!("{line}\nprojects: {{cache: {{images: [a]}}}}\n")).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let error = parse("credentials: {username: u, password: secret}\nprojects: {cache: {images: [a]}}\n");
        assert!(!error.unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn what_is_excluded_is_left_out_of_images_and_lists_and_the_rest_is_told() {
        let read = |list: &str| Ok((list.to_owned(), "a:1\na:2\nb:1\nb:2-x\nc:1\n".to_owned()));
        let text = "\
exclude: ['a:1', 'none:1']
projects:
  cache:
    exclude: [c]
    images: [a:1, b:1, c:2, d:1]
    lists:
      - {file: one.txt, exclude: ['b:*-x', 'd']}
  platform:
    lists: [two.txt]
";
        let config = Config::parse(text, "bundle.yaml", read).unwrap();
        let targets: Vec<_> = config.requests.iter().map(|request| request.target.to_string()).collect();
        assert_eq!(
            targets,
            [
                "cache/docker.io/library/b:1",
                "cache/docker.io/library/d:1",
                "cache/docker.io/library/a:2",
                "cache/docker.io/library/b:1",
                "platform/a:2",
                "platform/b:1",
                "platform/b:2-x",
                "platform/c:1"
            ]
        );
        let unused: Vec<_> =
            config.excludes.iter().filter_map(Exclude::unused).map(|notice| notice.to_string()).collect();
        assert_eq!(
            unused,
            [
                "bundle.yaml:1: exclude 'none:1' matches no image",
                "bundle.yaml:7: exclude 'd' matches no image"
            ]
        );
        let all = "exclude: ['docker.io/*']\nprojects: {cache: {images: [a, b]}}\n";
        assert_eq!(parse(all).unwrap_err().to_string(), "bundle.yaml names no image");
        let error = parse("exclude: ['A b']\nprojects: {cache: {images: [a]}}\n").unwrap_err();
        assert_eq!(error.to_string(), "bundle.yaml:1:11: exclude[0]: reference has white space in it");
    }

    #[test]
    fn an_entry_may_choose_among_tags() {
        let text = "\
projects:
  cache:
    images:
      - nginx:1.27.*
      - {ref: nginx, tags: ['1.26.*', '1.27.*'], exclude: ['*-*']}
      - ref: quay.io/x/y
        as: tools/y
        semver: '>=1.25 <2'
        newest: 3
        missing: keep-last
        exclude: ['*-debug']
      - {ref: 'redis:7.*', newest: 1, maxTags: 7}
  platform:
    missing: skip
    images: [{ref: a, newest: 1}, {ref: 'b:1', missing: fail}]
";
        let config = parse(text).unwrap();
        let shown: Vec<String> = config.patterns.iter().map(|it| format!("{} {it}", it.target)).collect();
        assert_eq!(
            shown,
            [
                "cache/docker.io/library/nginx docker.io/library/nginx:1.27.*",
                "cache/docker.io/library/nginx docker.io/library/nginx:(1.26.*|1.27.*)",
                "cache/tools/y quay.io/x/y semver '>=1.25 <2' newest 3",
                "cache/docker.io/library/redis docker.io/library/redis:7.* newest 1",
                "platform/a docker.io/library/a newest 1",
            ]
        );
        assert_eq!(config.patterns[2].key(), "quay.io/x/y semver '>=1.25 <2' newest 3 without *-debug");
        let missing: Vec<_> = config.patterns.iter().map(|it| it.policy.missing_images).collect();
        use MissingImages::{Fail, KeepLast, Skip};
        assert_eq!(missing, [Fail, Fail, KeepLast, Fail, Skip]);
        assert_eq!(config.requests[0].policy.missing_images, Fail);
        for (entry, message) in [
            (
                "{ref: 'a:1', tags: '1.*'}",
                "ref: a reference with a tag or digest cannot have a choice of tags",
            ),
            (
                "{ref: 'a:1', exclude: ['1']}",
                "exclude: needs 'tags', 'semver' or 'newest', or a pattern in 'ref'",
            ),
            ("{ref: a, newest: 0}", "newest: must be a number from 1 to 1000"),
            ("{ref: a, newest: 1, maxTags: 10001}", "maxTags: must be a number from 1 to 10000"),
            ("{ref: a, tags: []}", "tags: no pattern of tags is given"),
            ("{ref: a, semver: new}", "semver: 'new' is not a range of versions such as '>=1.25 <2'"),
            ("{ref: a, newest: 1, as: 'b:1'}", "ref: new name of several tags must not have a tag"),
            ("{ref: a, missing: warn}", "missing: 'warn' is not one of fail, keep-last, skip"),
        ] {
            let error =
                parse(&format!("projects: {{cache: {{images: [{entry}]}}}}\n")).unwrap_err().to_string();
            let end = format!(": projects.cache.images[0].{message}");
            assert!(error.starts_with("bundle.yaml:1:") && error.ends_with(&end), "{error} {end}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{},", level - 1).repeat(9);
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(parse(&text).is_err());
        assert!(parse(&format!("projects: {}{}", "[".repeat(50_000), "]".repeat(50_000))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[ -~\n]{0,200}") {
            let _ = parse(&text);
        }
    }
}
