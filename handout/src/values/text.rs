//! The values file as text: the comment at its head, which says what it is for and which image is where.
//! Takes the overlay, gives YAML.

use bundle_chart::{Placed, Proof};
use bundle_oci::{Printable, Reference};

use super::{Carried, CarriedChart, ValuesNote, ValuesRequest};
use bundle_site::PUBLIC;

/// The comment at the head of the values: what they are for, and which image is where. It has no time,
/// so that the same bundle gives the same file.
pub(super) fn head(
    chart: &CarriedChart,
    carried: &Carried,
    request: &ValuesRequest<'_>,
    placed: &[Placed],
    alike: bool,
    is_harbor: bool,
) -> String {
    let name = chart.name();
    let mut text = format!("# Values for {} from `bundle harbor values`.\n", Printable(&name));
    for bundle in &carried.bundles {
        text.push_str(&format!("# Bundle: {bundle}\n"));
    }
    let before: Vec<String> =
        request.given.files.iter().map(|file| format!("-f {} ", Printable(&file.name))).collect();
    let metadata = chart.chart.metadata();
    text.push_str(&format!(
        "#\n#   helm upgrade --install {} {}-{}.tgz {}-f THIS-FILE\n#\n",
        Printable(request.release.as_deref().unwrap_or(&metadata.name)),
        Printable(&metadata.name),
        Printable(&metadata.version),
        before.concat(),
    ));
    text.push_str("# Where values name images, and which:\n");
    for placed in placed {
        let star = if placed.proof == Proof::Alike { " *" } else { "" };
        text.push_str(&format!("#   {}: {}{star}\n", Printable(&placed.path), placed.image));
    }
    if alike {
        text.push_str("# * Not asked for with these values; written as the others are.\n");
    }
    if is_harbor && !carried.databases.is_empty() {
        text.push_str(&format!("# {PUBLIC}\n"));
    }
    text.push_str("#\n");
    text
}

/// A kustomization for what Helm renders: it replaces the images that no value of the chart names. Only
/// `image` of containers is replaced (kustomize, api/filters/imagetag); what stands in flags and variables
/// stays.
pub(super) fn kustomization(
    chart: &CarriedChart,
    notes: &[ValuesNote],
    to: &dyn Fn(&Reference) -> Option<Reference>,
) -> String {
    let mut text = format!(
        "# Images of {} that none of its values names, from `bundle harbor values`.\n#\n#   helm template … > all.yaml && kustomize build . | kubectl apply -f -\n#\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- all.yaml\n",
        Printable(&chart.name())
    );
    let kept = notes.iter().filter_map(|note| match note {
        ValuesNote::Kept(unreached) => Some(&unreached.image),
        _ => None,
    });
    let images: Vec<(&Reference, Reference)> = kept.filter_map(|image| Some((image, to(image)?))).collect();
    text.push_str(if images.is_empty() { "images: []\n" } else { "images:\n" });
    for (image, now) in images {
        // As the chart writes it: Docker's own registry is left out as a rule.
        let name = format!("{}/{}", image.registry(), image.repository());
        let short = name.strip_prefix("docker.io/library/").or_else(|| name.strip_prefix("docker.io/"));
        for name in [Some(name.as_str()), short].into_iter().flatten() {
            text.push_str(&format!("- name: {name}\n  newName: {}/{}\n", now.registry(), now.repository()));
            match (now.digest(), now.tag()) {
                (Some(digest), _) => text.push_str(&format!("  digest: {digest}\n")),
                (None, Some(tag)) => text.push_str(&format!("  newTag: {:?}\n", tag.as_str())),
                (None, None) => {}
            }
        }
    }
    text
}
