//! Values that point a chart's images to a registry: asked for here, proven by rendering with them.
//! Takes a chart of a bundle and a registry; gives YAML, and what it could not reach.

use std::time::Instant;

use bundle_chart::{
    Certainty, Find, IngressError, KubeVersion, Limits, Overlay, Place, Placed, Proof, RenderOptions,
    ValueSet, discover,
};
use bundle_oci::{Reference, Registry};

use bundle_site::{HARBORS_PULL_SECRET, PULL_SECRET};

use super::harbor_chart::HarborChart;
use super::{Carried, CarriedChart, Unreached, ValuesError, text};

/// A request for values.
#[derive(Clone, Debug)]
pub struct ValuesRequest<'a> {
    /// The registry that has the images, or will have them.
    pub registry: &'a Registry,
    /// The values that the chart will be installed with besides.
    pub given: ValueSet,
    /// `.Release.Name`; the chart's name if there is none.
    pub release: Option<String>,
    /// The version of Kubernetes.
    pub kube_version: KubeVersion,
    /// Further APIs that Kubernetes serves.
    pub api_versions: Vec<String>,
    /// The secret that pods pull with.
    pub pull_secret: PullSecretName<'a>,
    /// The host of the chart's ingress. Without one, Harbor's gets that of the registry.
    pub ingress_host: Option<&'a str>,
    /// The treatment of images that no value names.
    pub unmapped: Unmapped,
    /// When to give up.
    pub deadline: Instant,
}

/// Which secret pods pull with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullSecretName<'a> {
    /// The platform's; in Harbor's own release another, for its chart has one of that name.
    Usual,
    /// The one of this name.
    Named(&'a str),
    /// None.
    None,
}

/// The treatment of images of the bundle that no value of the chart names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// There are no values then.
    Refuse,
    /// They keep their names: nodes find them by a mirror.
    Keep,
    /// They keep their names in what Helm renders, and kustomize replaces them.
    Replace,
}

/// Values for a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartValues {
    /// The file's text.
    pub text: String,
    /// The images, where values name them.
    pub placed: Vec<Placed>,
    /// A kustomization that replaces the images which no value names, if that is wanted.
    pub kustomization: Option<String>,
    /// Notes for the user.
    pub notes: Vec<ValuesNote>,
}

/// A note for the user about values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuesNote {
    /// The chart cannot say this image's digest.
    NotPinned(Placed),
    /// Nothing gives this workload's pods the secret.
    NoSecret(String),
    /// The bundle lacks an image that other values would ask for.
    Elsewhere {
        /// The path of the values.
        path: String,
        /// The image.
        image: Reference,
    },
    /// A likely image that is not in the bundle.
    LooksLike(Unreached),
    /// An image that no value names, and that keeps its name.
    Kept(Unreached),
    /// Harbor's scanner runs, and the bundle has no databases for it.
    NoDatabases,
}

/// Finds the values with which a chart asks `request.registry` for the bundle's images, and for no
/// other. The chart is rendered with them before they are given.
///
/// # Errors
/// Any [`ValuesError`].
pub fn chart_values(
    chart: &CarriedChart,
    carried: &Carried,
    request: &ValuesRequest<'_>,
) -> Result<ChartValues, ValuesError> {
    let to = |image: &Reference| carried.image(image, request.registry, &chart.target);
    let options = RenderOptions {
        release_name: request.release.clone(),
        kube_version: request.kube_version.clone(),
        api_versions: request.api_versions.clone(),
        deadline: Some(request.deadline),
        ..RenderOptions::default()
    };
    let mut overlay = Overlay::new(&chart.chart, &request.given, options)?;
    let is_absent = |find: &Find| find.certainty == Certainty::Certain && to(&find.reference).is_none();
    let absent = unreached(&rendered(chart, &overlay), is_absent);
    if !absent.is_empty() {
        return Err(ValuesError::Absent { chart: chart.name(), images: absent });
    }
    let placement = overlay.point_images(&to)?;
    let mut notes = Vec::new();
    let harbor = HarborChart::of(&overlay.rendering().values);
    match (request.ingress_host, &harbor) {
        (Some(host), _) => match overlay.host(host) {
            Ok(_) => {}
            // Harbor has an address without an ingress, too.
            Err(IngressError::None) if harbor.is_some() => {}
            Err(error) => return Err(error.into()),
        },
        (None, Some(harbor)) => harbor.ingress(&mut overlay, request.registry)?,
        (None, None) => {}
    }
    if let Some(harbor) = &harbor {
        harbor.address(&mut overlay, request.ingress_host.unwrap_or(request.registry.as_str()))?;
        harbor.resources(&mut overlay)?;
        if harbor.scans(&overlay) {
            if carried.databases.is_empty() {
                notes.push(ValuesNote::NoDatabases);
            } else {
                harbor.scanner(&mut overlay, &carried.databases, request.registry)?;
            }
        }
    }
    let secret = match (request.pull_secret, &harbor) {
        (PullSecretName::None, _) => None,
        (PullSecretName::Named(name), _) => Some(name),
        (PullSecretName::Usual, Some(_)) => Some(HARBORS_PULL_SECRET),
        (PullSecretName::Usual, None) => Some(PULL_SECRET),
    };
    if let Some(secret) = secret {
        notes.extend(overlay.pull_secret(secret)?.into_iter().map(ValuesNote::NoSecret));
        if let Some(place) = overlay.secret_named(secret) {
            return Err(ValuesError::SecretTaken { name: secret.to_owned(), place });
        }
    }
    notes.extend(check(chart, &overlay, request, &to)?);
    let is_loose = |placed: &&Placed| placed.now.digest().is_none();
    notes.extend(placement.placed.iter().filter(is_loose).cloned().map(ValuesNote::NotPinned));
    let elsewhere = placement.elsewhere.into_iter();
    notes.extend(elsewhere.map(|(path, image)| ValuesNote::Elsewhere { path, image }));
    let alike = placement.placed.iter().any(|placed| placed.proof == Proof::Alike);
    let head = text::head(chart, carried, request, &placement.placed, alike, harbor.is_some());
    let values = overlay.to_yaml()?;
    let kustomization = match request.unmapped {
        Unmapped::Replace => Some(text::kustomization(chart, &notes, &to)),
        Unmapped::Refuse | Unmapped::Keep => None,
    };
    let text = format!("{head}{values}");
    Ok(ChartValues { text, placed: placement.placed, kustomization, notes })
}

/// Makes sure that the chart, with its values, asks for nothing that is not in the bundle.
fn check(
    chart: &CarriedChart,
    overlay: &Overlay<'_>,
    request: &ValuesRequest<'_>,
    to: &dyn Fn(&Reference) -> Option<Reference>,
) -> Result<Vec<ValuesNote>, ValuesError> {
    let finds = rendered(chart, overlay);
    let is_ours = |find: &Find| find.reference.registry() == request.registry;
    let unmapped = unreached(&finds, |find| !is_ours(find) && to(&find.reference).is_some());
    let kept = match request.unmapped {
        Unmapped::Refuse if !unmapped.is_empty() => {
            let refusal = overlay.refusal().map(str::to_owned);
            return Err(ValuesError::Unmapped { chart: chart.name(), images: unmapped, refusal });
        }
        _ => unmapped,
    };
    let is_other = |find: &Find| !is_ours(find) && to(&find.reference).is_none();
    let certain = |find: &Find| find.certainty == Certainty::Certain && is_other(find);
    let absent = unreached(&finds, certain);
    if !absent.is_empty() {
        return Err(ValuesError::Absent { chart: chart.name(), images: absent });
    }
    let alike = unreached(&finds, is_other);
    let kept = kept.into_iter().map(ValuesNote::Kept);
    Ok(kept.chain(alike.into_iter().map(ValuesNote::LooksLike)).collect())
}

/// The images that the chart renders with its values so far.
fn rendered(chart: &CarriedChart, overlay: &Overlay<'_>) -> Vec<Find> {
    let mut finds = discover(&chart.chart, std::slice::from_ref(overlay.rendering()), &Limits::DEFAULT).finds;
    finds.retain(Find::is_rendered);
    finds
}

fn unreached(finds: &[Find], is_meant: impl Fn(&Find) -> bool) -> Vec<Unreached> {
    let places = |find: &Find| {
        let places = find.places.iter().filter(|place| matches!(place, Place::Document { .. }));
        places.map(ToString::to_string).collect()
    };
    let unreached = |find: &Find| Unreached { image: find.reference.clone(), places: places(find) };
    finds.iter().filter(|find| is_meant(find)).map(unreached).collect()
}
