//! Lists: a reference on a line, `SOURCE=TARGET` as `oc image mirror` and oc-mirror's `mapping.txt` have it, or
//! `image=REFERENCE`. Takes text; fills a [`Draft`].

use bundle_oci::Reference;

use super::ConvertError;
use super::draft::Draft;

/// Reads the list called `name`.
pub(super) fn read(text: &str, name: &str, draft: &mut Draft) -> Result<(), ConvertError> {
    for (at, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("line {}", at + 1);
        let reference = match line.split_once('=') {
            Some(("image" | "IMAGE" | "images" | "IMAGES", reference)) => reference,
            Some((source, target)) => {
                if repository(source) != repository(target) {
                    draft.note(
                        "SOURCE=TARGET",
                        "targets are not expressed: in 'cache' an image keeps its name",
                    );
                }
                source
            }
            None => line,
        };
        let reference = reference.trim_matches(['"', '\'']);
        let reference = reference.strip_prefix("docker://").unwrap_or(reference);
        if reference.parse::<Reference>().is_err() {
            return Err(ConvertError::Line { name: name.to_owned(), line: at + 1, text: line.to_owned() });
        }
        draft.reference(&place, reference);
    }
    Ok(())
}

/// The path of a reference, without registry and tag.
fn repository(reference: &str) -> &str {
    let path = reference.split_once('/').map_or(reference, |(_, path)| path);
    path.split(['@', ':']).next().unwrap_or_default()
}
