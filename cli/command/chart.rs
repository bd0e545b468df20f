//! A chart that is named on the command line, as Helm has it: `--chart`, `--repo`, `--version`, `-f`, `--set`.
//! Takes the arguments; gives the request for that chart.

use crate::limits::VALUES_FILE;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::environment::{self, HELM_CONFIG_HOME, HELM_REPOSITORY_CONFIG, HOME, XDG_CONFIG_HOME};
use crate::exit::{Code, Failure};
use bundle_bundler::{
    CacheLayout, Carry, ChartRequest, ChartSource, Empty, ImagePolicy, Platforms, Reason, helm_repository,
};
use bundle_chart::{KubeVersion, Purpose, Rules, ValueSet, ValuesFile};
use bundle_input::read_text;
use bundle_oci::{Printable, ProjectName};

#[derive(clap::Args)]
#[command(next_help_heading = "One chart, instead of bundle.yaml")]
pub(crate) struct ChartArguments {
    /// Chart directory or archive, oci://HOST/PATH/NAME, REPO/NAME of `helm repo add`, or with --repo its
    /// NAME
    #[arg(long, value_name = "CHART", conflicts_with_all = ["references", "images"])]
    chart: Option<String>,

    /// Address of the chart's repository
    #[arg(long, value_name = "URL", requires = "chart")]
    repo: Option<String>,

    /// Version of the chart, or a range of versions [default: the newest release]
    #[arg(long, value_name = "VERSION", requires = "chart")]
    version: Option<String>,

    /// Helm values file; with --chart, -f means this; repeatable
    #[arg(long, value_name = "FILE", requires = "chart")]
    values: Vec<PathBuf>,

    /// Value, as for Helm's --set; repeatable
    #[arg(long, value_name = "KEY=VALUE", requires = "chart")]
    set: Vec<String>,

    /// Text value, as for Helm's --set-string; repeatable
    #[arg(long, value_name = "KEY=VALUE", requires = "chart")]
    set_string: Vec<String>,

    /// JSON value, as for Helm's --set-json; repeatable
    #[arg(long, value_name = "KEY=JSON", requires = "chart")]
    set_json: Vec<String>,

    /// Kubernetes version to render for
    #[arg(long, value_name = "VERSION", requires = "chart")]
    kube_version: Option<KubeVersion>,

    /// API version that the cluster serves besides Kubernetes' own, such as monitoring.coreos.com/v1;
    /// repeatable
    #[arg(long, value_name = "GROUP/VERSION", requires = "chart")]
    api_versions: Vec<String>,

    /// Grades of images to list: rendered, switched, declared or all
    #[arg(long, value_name = "GRADE", default_value = "all", requires = "chart")]
    carry: Carry,
}

impl ChartArguments {
    /// The request, if a chart is named. `files` are what `-f` names, which are values then.
    pub(crate) fn read(
        &self,
        files: &[PathBuf],
        project: &ProjectName,
        platforms: Platforms,
    ) -> Result<Option<ChartRequest>, Failure> {
        let Some(chart) = &self.chart else { return Ok(None) };
        let source = self.source(chart)?;
        let read = |path: &PathBuf| -> Result<ValuesFile, Failure> {
            let text = read_text(path, VALUES_FILE).map_err(|error| Failure::new(Code::Usage, &error))?;
            Ok(ValuesFile { name: path.display().to_string(), text })
        };
        let values = ValueSet {
            name: "values".to_owned(),
            purpose: Purpose::Install,
            files: files.iter().chain(&self.values).map(read).collect::<Result<_, _>>()?,
            set: self.set.clone(),
            set_string: self.set_string.clone(),
            set_json: self.set_json.clone(),
        };
        Ok(Some(ChartRequest {
            source,
            project: project.clone(),
            layout: CacheLayout::default(),
            platforms,
            values,
            value_sets: Vec::new(),
            kube_version: self.kube_version.clone(),
            api_versions: self.api_versions.clone(),
            exclude: Vec::new(),
            carry: self.carry,
            rules: Arc::new(Rules::default().with_shipped()),
            root: None,
            empty: Empty::Allow,
            policy: ImagePolicy::default(),
            reason: Reason::CommandLine,
        }))
    }

    fn source(&self, chart: &str) -> Result<ChartSource, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::text(Code::Usage, format!("--chart '{}': {error}", Printable(chart)))
        };
        let at = |address: &str, name: &str| {
            ChartSource::in_repository(address, name, self.version.clone()).map_err(|error| wrong(&error))
        };
        if let Some(repo) = &self.repo {
            return at(repo, chart);
        }
        if let Some(path) = chart.strip_prefix("oci://") {
            let (place, name) = path.rsplit_once('/').unwrap_or((path, ""));
            return at(&format!("oci://{place}"), name);
        }
        if Path::new(chart).exists() {
            if self.version.is_some() {
                return Err(wrong(&"--version cannot be combined with a path"));
            }
            return Ok(ChartSource::Path(chart.into()));
        }
        match chart.split_once('/') {
            Some((repo, name)) if !repo.is_empty() && !repo.contains(['.', ':']) && !name.contains('/') => {
                at(&repository(repo)?, name)
            }
            _ => Err(wrong(&"no such file or directory")
                .hint("name a path, oci://HOST/PATH/NAME, REPO/NAME of `helm repo add`, or give --repo")),
        }
    }
}

/// The address of a repository that Helm knows by a name. Its file lies where Helm puts it (helm,
/// pkg/helmpath).
fn repository(name: &str) -> Result<String, Failure> {
    let path = environment::path(HELM_REPOSITORY_CONFIG)
        .or_else(|| environment::path(HELM_CONFIG_HOME).map(|home| home.join("repositories.yaml")))
        .or_else(|| environment::path(XDG_CONFIG_HOME).map(|home| home.join("helm/repositories.yaml")))
        .or_else(|| environment::path(HOME).map(|home| home.join(".config/helm/repositories.yaml")));
    const HINT: &str = "run `helm repo add`, or name the address with --repo URL";
    let Some(path) = path.filter(|path| path.exists()) else {
        let text = format!("the repository '{}' is not known: Helm has none here", Printable(name));
        return Err(Failure::text(Code::Usage, text).hint(HINT));
    };
    helm_repository(&path, name).map_err(|error| Failure::new(Code::Usage, &error).hint(HINT))
}
