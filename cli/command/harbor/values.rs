//! `harbor values`: Helm values that point a chart's images to a registry.
//! Takes a bundle, a chart of it and its values; gives a values file.

use crate::limits::VALUES_FILE;
use crate::limits::VALUES_TIME;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bundle_chart::{KubeVersion, ValueSet, ValuesFile};
use bundle_format::Limits;
use bundle_handout::{
    Carried, CarriedChart, ChartValues, PullSecretName, Unmapped, Unreached, ValuesNote, ValuesRequest,
    chart_values,
};
use bundle_importer::Bundle;
use bundle_oci::{Printable, Registry};
use bundle_report::ValuesReport;

use crate::exit::{Code, Failure};
use crate::output::{self, name, tell};
use crate::trust::TrustArguments;

/// The chart is Harbor's unless `--chart` names another. Its values are found by rendering it: what is
/// written makes it ask for images of the bundle and for no others.
#[derive(clap::Args)]
pub(crate) struct Values {
    /// Bundles with the chart and its images
    #[arg(value_name = "FILE", required = true)]
    bundles: Vec<PathBuf>,

    #[command(flatten)]
    trust: TrustArguments,

    /// Chart, as NAME or NAME:VERSION
    #[arg(long, value_name = "NAME", default_value = "harbor")]
    chart: String,

    /// Registry that the images are imported into: Harbor, or a host with `bundle serve`
    #[arg(long, value_name = "HOST[:PORT]")]
    registry: Registry,

    /// Values file that the chart is also installed with, before the generated one; repeatable
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    values: Vec<PathBuf>,

    /// Value, as for Helm's --set; included in the generated file; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Text value, as for Helm's --set-string; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set_string: Vec<String>,

    /// JSON value, as for Helm's --set-json; repeatable
    #[arg(long, value_name = "KEY=JSON")]
    set_json: Vec<String>,

    /// Name of the pods' image pull secret [default: harbor-registry; for Harbor's chart harbor-pull]
    #[arg(long, value_name = "NAME", conflicts_with = "no_pull_secret")]
    pull_secret: Option<String>,

    /// Set no image pull secret
    #[arg(long)]
    no_pull_secret: bool,

    /// Host of the chart's ingress [default for Harbor: that of --registry]
    #[arg(long, value_name = "HOST")]
    ingress_host: Option<String>,

    /// Name of the release [default: the chart's]
    #[arg(long, value_name = "NAME")]
    release: Option<String>,

    /// Kubernetes version of the cluster
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<KubeVersion>,

    /// API version that the cluster serves besides Kubernetes' own, such as `monitoring.coreos.com/v1`;
    /// repeatable
    #[arg(long, value_name = "GROUP/VERSION")]
    api_versions: Vec<String>,

    /// Accept images that no value of the chart can change; nodes find them through `bundle mirror-config`
    #[arg(long)]
    keep_unmapped: bool,

    /// Kustomization to write: kustomize replaces the images that no value of the chart can change
    #[arg(long, value_name = "FILE", conflicts_with = "keep_unmapped")]
    kustomization: Option<PathBuf>,

    /// File to write, which must not exist; - writes to standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

impl Values {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let files = [Some(&self.output), self.kustomization.as_ref()].into_iter().flatten();
        for file in files.filter(|file| **file != Path::new("-")) {
            if file.symlink_metadata().is_ok() {
                return Err(exists(file));
            }
        }
        let policy = self.trust.effective()?;
        let bundles = self.bundles.iter().map(|path| {
            Bundle::open(path, &policy, &Limits::V1).map_err(|error| Failure::from(error).of(path))
        });
        let bundles: Vec<Bundle> = bundles.collect::<Result<_, _>>()?;
        if let Some(host) = &self.ingress_host
            && let Err(error) = host.parse::<Registry>()
        {
            return Err(Failure::text(Code::Usage, format!("--ingress-host '{}': {error}", Printable(host))));
        }
        let chart = CarriedChart::find(&bundles, &self.chart)?;
        let given = ValueSet {
            files: self.values.iter().map(|path| file(path)).collect::<Result<_, _>>()?,
            set: self.set.clone(),
            set_string: self.set_string.clone(),
            set_json: self.set_json.clone(),
            ..ValueSet::defaults()
        };
        let request = ValuesRequest {
            registry: &self.registry,
            given,
            release: self.release.clone(),
            kube_version: self.kube_version.clone().unwrap_or_default(),
            api_versions: self.api_versions.clone(),
            pull_secret: match &self.pull_secret {
                _ if self.no_pull_secret => PullSecretName::None,
                Some(name) => PullSecretName::Named(name),
                None => PullSecretName::Usual,
            },
            ingress_host: self.ingress_host.as_deref(),
            unmapped: match (&self.kustomization, self.keep_unmapped) {
                (Some(_), _) => Unmapped::Replace,
                (None, true) => Unmapped::Keep,
                (None, false) => Unmapped::Refuse,
            },
            deadline: Instant::now() + VALUES_TIME,
        };
        let values = chart_values(&chart, &Carried::of(&bundles), &request)?;
        let notes: Vec<String> = values.notes.iter().flat_map(note).collect();
        for text in &notes {
            tell(&format!("note: {text}"));
        }
        if let (Some(path), Some(text)) = (&self.kustomization, &values.kustomization) {
            write(path, text)?;
        }
        self.write(&chart, values, notes)
    }

    fn write(&self, chart: &CarriedChart, values: ChartValues, notes: Vec<String>) -> Result<(), Failure> {
        let to_pipe = self.output == Path::new("-");
        if !to_pipe {
            write(&self.output, &values.text)?;
        }
        output::report(&ValuesReport {
            output: name(&self.output),
            chart: Printable(&chart.name()).to_string(),
            registry: self.registry.to_string(),
            images: values.placed.len(),
            values: to_pipe.then_some(values.text),
            kustomization: self.kustomization.as_deref().map(name),
            notes,
        })
    }
}

/// The error for an existing file, which may have been changed by hand.
fn exists(path: &Path) -> Failure {
    Failure::text(Code::Usage, format!("{} exists already", name(path)))
        .hint("remove it, or choose another name with -o")
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    bundle_os::create_file(path, text.as_bytes(), bundle_os::Access::Everyone).map_err(|error| {
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(path),
            _ => Failure::text(Code::Failed, format!("{} cannot be written: {error}", name(path))),
        }
    })
}

fn file(path: &Path) -> Result<ValuesFile, Failure> {
    let text = bundle_os::read_text(path, VALUES_FILE)
        .map_err(|error| Failure::text(Code::Usage, format!("{} cannot be read: {error}", name(path))))?;
    Ok(ValuesFile { name: path.display().to_string(), text })
}

/// A note for the user, a line each.
fn note(note: &ValuesNote) -> Vec<String> {
    let each = |unreached: &Unreached, what: &str| -> Vec<String> {
        unreached.places.iter().map(|place| format!("{} {what}: {place}", unreached.image)).collect()
    };
    match note {
        ValuesNote::NotPinned(placed) => vec![format!(
            "{} has no value for a digest: {} is named by its tag alone",
            Printable(&placed.path),
            placed.now
        )],
        ValuesNote::NoSecret(workload) => vec![format!(
            "no value gives {} a secret to pull with; give one to the service account of its pods",
            Printable(workload)
        )],
        ValuesNote::Elsewhere { path, image } => vec![format!(
            "{}: {image} is not in the bundle; with these values nothing asks for it",
            Printable(path)
        )],
        ValuesNote::LooksLike(unreached) => {
            each(unreached, "looks like an image, and is not in the bundle")
        }
        ValuesNote::Kept(unreached) => each(unreached, "keeps its name, because no value sets it"),
        ValuesNote::NoDatabases => vec![
            "Harbor's scanner runs, and the bundle has none of its databases: list ghcr.io/aquasecurity/trivy-db:2 and ghcr.io/aquasecurity/trivy-java-db:1 in bundle.yaml, or switch it off with --set trivy.enabled=false".to_owned(),
        ],
    }
}
