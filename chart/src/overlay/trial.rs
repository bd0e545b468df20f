//! Values over a chart's own, each step rendered before it is taken. Takes a chart and a user's values; gives
//! an [`Overlay`] that still renders.

use std::collections::BTreeSet;
use std::time::Instant;

use super::edit::{at, keys};
use super::sound::unsound;
use crate::yaml::to_yaml;
use crate::{Chart, Limit, Map, RenderError, RenderOptions, Rendering, Value, ValueSet, ValuesFile, render};

/// Values to be put over a chart's own and someone's files, as `helm install -f mine.yaml -f
/// overlay.yaml` does. It grows step by step, and each step is rendered before it is taken.
///
/// ```
/// # use std::fs;
/// # let directory = tempfile::tempdir()?;
/// # fs::create_dir(directory.path().join("templates"))?;
/// # fs::write(directory.path().join("Chart.yaml"), "name: web\nversion: 1.2.0\n")?;
/// # fs::write(directory.path().join("values.yaml"), "image: {repository: nginx, tag: '1.25'}\n")?;
/// # fs::write(directory.path().join("templates/pod.yaml"), "kind: Pod\nspec: {containers: [{image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}'}]}\n")?;
/// use bundle_chart::{Chart, Limits, Overlay, RenderOptions, ValueSet};
/// let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT)?;
/// let mut overlay = Overlay::new(&chart, &ValueSet::defaults(), RenderOptions::default())?;
/// overlay.point_images(&|image| format!("harbor.example/cache/{image}").parse().ok())?;
/// assert_eq!(
///     overlay.to_yaml()?,
///     "image:\n  repository: harbor.example/cache/docker.io/library/nginx\n  tag: \"1.25\"\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Overlay<'a> {
    pub(super) chart: &'a Chart,
    files: Vec<ValuesFile>,
    /// The values from files and expressions, without the chart's own.
    pub(super) given: Map,
    pub(super) options: RenderOptions,
    pub(super) values: Map,
    pub(super) rendering: Rendering,
    /// Names that were invalid before any change, which are not repaired.
    unsound: BTreeSet<String>,
    trials: usize,
    /// The chart's error when it did not render with the values that were tried.
    refusal: Option<String>,
}

/// Why there is no overlay.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The chart does not render.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// [`Limits::trials`](crate::Limits::trials), or the time that the caller gave.
    #[error("no suitable values were found after {0} renderings")]
    Trials(usize),
    /// The values are too large to be written.
    #[error(transparent)]
    Limit(#[from] Limit),
}

impl<'a> Overlay<'a> {
    /// Starts with the expressions that were given, which Helm would put over every file.
    ///
    /// `options.deadline` is for all that follows.
    ///
    /// # Errors
    /// The chart does not render with these values.
    pub fn new(chart: &'a Chart, given: &ValueSet, options: RenderOptions) -> Result<Self, OverlayError> {
        let rendering = render(chart, given, &options)?;
        let expressions = ValueSet { files: Vec::new(), ..given.clone() };
        let values = expressions.merged(&options.limits).map_err(RenderError::from)?;
        let given_values = given.merged(&options.limits).map_err(RenderError::from)?;
        let unsound = unsound(&rendering);
        let files = given.files.clone();
        Ok(Self {
            chart,
            files,
            given: given_values,
            options,
            values,
            rendering,
            unsound,
            trials: 0,
            refusal: None,
        })
    }

    /// The values.
    pub const fn values(&self) -> &Map {
        &self.values
    }

    /// The chart rendered with them.
    pub const fn rendering(&self) -> &Rendering {
        &self.rendering
    }

    /// The chart's own words from `fail` or `required`, if it refused values that were attempted: the last
    /// ones.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Whether someone's values say something at a path such as `expose.ingress`.
    pub fn is_given(&self, path: &str) -> bool {
        at(&self.given, &keys(path)).is_some()
    }

    /// Gives a value that the chart has another one, at a path such as `trivy.offlineScan`. Whether it
    /// could be done.
    ///
    /// # Errors
    /// Only [`OverlayError::Trials`].
    pub fn set(&mut self, path: &str, value: Value) -> Result<bool, OverlayError> {
        let path = keys(path);
        if at(&self.rendering.declared, &path).is_none() {
            return Ok(false);
        }
        let Some(values) = self.put(&path, value) else { return Ok(false) };
        let Some(rendering) = self.attempt(&values)? else { return Ok(false) };
        self.take(values, rendering);
        Ok(true)
    }

    /// The values as a file.
    ///
    /// # Errors
    /// Only [`OverlayError::Limit`].
    pub fn to_yaml(&self) -> Result<String, OverlayError> {
        Ok(to_yaml(&Value::Map(self.values.clone()))?)
    }

    /// Renders with these values in place of those taken so far. `None` if that fails, or gives what
    /// Kubernetes would refuse.
    pub(super) fn attempt(&mut self, values: &Map) -> Result<Option<Rendering>, OverlayError> {
        let late = self.options.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || self.trials >= self.options.limits.trials {
            return Err(OverlayError::Trials(self.trials));
        }
        self.trials += 1;
        let Ok(text) = to_yaml(&Value::Map(values.clone())) else { return Ok(None) };
        let file = ValuesFile { name: "overlay".to_owned(), text };
        let files = self.files.iter().cloned().chain([file]).collect();
        let set = ValueSet { files, ..ValueSet::defaults() };
        let rendering = match render(self.chart, &set, &self.options) {
            Ok(rendering) => rendering,
            Err(error) => {
                if let RenderError::Template { error, .. } = &error
                    && matches!(error.function.as_deref(), Some("fail" | "required"))
                {
                    self.refusal = Some(error.message.clone());
                }
                return Ok(None);
            }
        };
        Ok(unsound(&rendering).is_subset(&self.unsound).then_some(rendering))
    }

    /// Takes values that were attempted.
    pub(super) fn take(&mut self, values: Map, rendering: Rendering) {
        self.values = values;
        self.rendering = rendering;
    }
}
