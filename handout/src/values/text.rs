//! The values file as text: the comment at its head, which says what it is for and which image is where.

use bundle_chart::{Placed, Proof};
use bundle_oci::Printable;

use super::{Carried, CarriedChart, ValuesRequest};
use bundle_importer::PUBLIC;

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
