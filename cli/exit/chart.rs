//! Charts and their images.
//! Takes the errors of charts, gives identifiers and hints.

use bundle_bundler::{ChartCause, ChartErrors};
use bundle_chart::{LoadCause, RenderError};
use bundle_oci::Printable;

use super::registry::{registry_id, source_hint};
use super::{Failure, Id, chain};

impl From<ChartErrors> for Failure {
    fn from(errors: ChartErrors) -> Self {
        let mut lines: Vec<String> = errors.0.iter().map(|error| chain(error)).collect();
        if errors.0.len() > 1 {
            lines.push(errors.to_string());
        }
        let id = errors
            .0
            .iter()
            .map(|error| chart_id(&error.cause))
            .max_by_key(|id| id.code())
            .unwrap_or(Id::Failed);
        let hint = errors.0.iter().find_map(|error| chart_hint(&error.cause));
        Self { id, lines, hint }
    }
}

fn chart_id(cause: &ChartCause) -> Id {
    match cause {
        ChartCause::Registry(error) | ChartCause::Confirm { error, .. } => registry_id(error),
        ChartCause::Load(error) => load_id(&error.cause),
        ChartCause::Digest { .. } => Id::Damaged,
        ChartCause::NoChart | ChartCause::NoVersion { .. } => Id::NotFound,
        ChartCause::Index(_) | ChartCause::NoContent => Id::RegistryBroken,
        ChartCause::Dependency { cause, .. } => chart_id(cause),
        ChartCause::Changed { .. } => Id::LockOutdated,
        ChartCause::NoRepository => Id::Incomplete,
        ChartCause::Absent { .. } => Id::ImageMissing,
        ChartCause::Text(_)
        | ChartCause::Alias(_)
        | ChartCause::Beside(_)
        | ChartCause::Source { .. }
        | ChartCause::Render { .. }
        | ChartCause::NoImage
        | ChartCause::Place { .. }
        | ChartCause::Manifest { .. }
        | ChartCause::Walk { .. }
        | ChartCause::ManifestFiles(_)
        | ChartCause::Offline
        | ChartCause::Platform { .. }
        | ChartCause::NotLocked => Id::ChartInput,
        ChartCause::Pack(_) | ChartCause::Task(_) => Id::Failed,
    }
}

/// Faulty bytes are no usage error.
pub(super) fn load_id(cause: &LoadCause) -> Id {
    match cause {
        LoadCause::Read(_) | LoadCause::NotAFile => Id::FileUnreadable,
        LoadCause::Escape | LoadCause::Ignore(_) => Id::ChartInput,
        LoadCause::Gzip(_)
        | LoadCause::Tar(_)
        | LoadCause::Path
        | LoadCause::PathText
        | LoadCause::OutsideBase
        | LoadCause::FileSize(_)
        | LoadCause::ArchiveSize(_)
        | LoadCause::Unpacked(_)
        | LoadCause::Files(_)
        | LoadCause::Depth(_)
        | LoadCause::Empty
        | LoadCause::NoMetadata
        | LoadCause::Metadata(_)
        | LoadCause::Yaml(_)
        | LoadCause::Encoding(_)
        | LoadCause::NoMap => Id::Damaged,
    }
}

fn chart_hint(cause: &ChartCause) -> Option<String> {
    match cause {
        ChartCause::Registry(error) => source_hint(error),
        ChartCause::Confirm { image, error } => {
            let leave = format!("try again; or, if it is none, leave it out: exclude: ['{image}']");
            Some(source_hint(error).map_or_else(|| leave.clone(), |hint| format!("{hint}\n{leave}")))
        }
        ChartCause::Absent { image, tags, .. } if !tags.is_empty() => Some(format!(
            "say what your nodes are (rules: {{operatingSystems: [...]}}), give the chart another tag, or leave \
             it out: exclude: ['{image}']"
        )),
        ChartCause::Absent { image, .. } => Some(format!(
            "give the chart another image with set or values, or leave this one out: exclude: ['{image}']"
        )),
        ChartCause::Platform { image, .. } => {
            Some(format!("carry further platforms, or leave it out: exclude: ['{image}']"))
        }
        ChartCause::Load(error) if matches!(error.cause, LoadCause::Escape) => Some(
            "if it leads into the checkout that the chart is part of, name that directory: root: DIRECTORY"
                .to_owned(),
        ),
        ChartCause::Render { error, .. } => match &**error {
            RenderError::Template { wanted: Some(value), .. } => {
                Some(format!("give the chart that value in bundle.yaml: set: ['{}=…']", Printable(value)))
            }
            RenderError::KubeVersion { wanted, .. } => {
                Some(format!("say for which Kubernetes it is: kubeVersion, within {}", Printable(wanted)))
            }
            RenderError::Library => Some("name the charts that use it instead".to_owned()),
            _ => None,
        },
        ChartCause::Offline => Some("leave --offline out, or name the chart's file with path".to_owned()),
        ChartCause::NoImage => Some("if the chart has no image, set allowEmpty: true".to_owned()),
        ChartCause::NotLocked | ChartCause::Changed { .. } => {
            Some("run `bundle lock` to look into the charts again".to_owned())
        }
        ChartCause::Dependency { cause, .. } => match &**cause {
            ChartCause::Alias(_) | ChartCause::Beside(_) | ChartCause::NoRepository | ChartCause::Offline => {
                Some("put it into the chart with `helm dependency build`, and pack the chart".to_owned())
            }
            cause => chart_hint(cause),
        },
        _ => None,
    }
}
