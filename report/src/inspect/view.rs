//! The artifacts of a bundle for people: a list with sources, a tree, or a table of sizes. What is attached to an image
//! stands in the image's place.
//! Takes the report of `inspect`, gives lines.

use std::collections::BTreeMap;

use crate::artifact::shortened;
use crate::table::{Align, Table};
use crate::{Bytes, InspectReport, InspectView, InspectedArtifact, count};

/// Attached artifacts by the position of what they are attached to.
type Attached<'a> = BTreeMap<usize, Vec<&'a InspectedArtifact>>;

impl InspectReport {
    /// The artifacts as [`InspectReport::view`] asks, an empty line before them.
    pub(crate) fn view_text(&self) -> String {
        let mut attached: Attached<'_> = BTreeMap::new();
        for artifact in &self.artifacts {
            if let Some(head) = artifact.attached_to {
                attached.entry(head).or_default().push(artifact);
            }
        }
        match self.view {
            InspectView::List => self.list(&attached),
            InspectView::Tree => self.tree(&attached),
            InspectView::Sizes => self.sizes(&attached),
        }
    }

    fn heads(&self) -> impl Iterator<Item = (usize, &InspectedArtifact)> {
        self.artifacts.iter().enumerate().filter(|(_, artifact)| artifact.attached_to.is_none())
    }

    /// A digest, whole or its first digits.
    fn digest(&self, digest: &str) -> String {
        if self.long { digest.to_owned() } else { shortened(digest) }
    }

    fn list(&self, attached: &Attached<'_>) -> String {
        let mut projects: BTreeMap<&str, Vec<(usize, &InspectedArtifact)>> = BTreeMap::new();
        for (at, artifact) in self.heads() {
            projects.entry(&artifact.artifact.target.project).or_default().push((at, artifact));
        }
        let mut text = String::new();
        for (project, artifacts) in projects {
            let more = artifacts.iter().map(|(at, _)| attached.get(at).map_or(0, Vec::len)).sum::<usize>();
            text.push_str(&format!("\nproject {project}: {}\n", count(artifacts.len() + more, "artifact")));
            for (at, InspectedArtifact { artifact, extent, .. }) in artifacts {
                let platforms =
                    artifact.platforms.iter().map(|platform| format!(" {platform}")).collect::<String>();
                text.push_str(&format!(
                    "  {}\n    {} {}{platforms}\n    from {}, because of {}\n",
                    artifact.target,
                    artifact.kind,
                    self.digest(&artifact.digest),
                    artifact.source,
                    artifact.reasons.join(", ")
                ));
                if let Some(extent) = extent {
                    text.push_str(&format!("    {}\n", extent.text()));
                }
                let with = attached
                    .get(&at)
                    .into_iter()
                    .flatten()
                    .map(|it| format!("{} {}", it.artifact.kind, self.digest(&it.artifact.digest)));
                let with: Vec<String> = with.collect();
                if !with.is_empty() {
                    text.push_str(&format!("    with {}\n", with.join(", ")));
                }
            }
        }
        text
    }

    fn tree(&self, attached: &Attached<'_>) -> String {
        let mut tree: BTreeMap<&str, BTreeMap<&str, Vec<_>>> = BTreeMap::new();
        for (at, artifact) in self.heads() {
            let target = &artifact.artifact.target;
            tree.entry(&target.project)
                .or_default()
                .entry(&target.repository)
                .or_default()
                .push((at, artifact));
        }
        let mut text = String::new();
        for (project, repositories) in tree {
            text.push_str(&format!("\n{project}\n"));
            let last = repositories.len().saturating_sub(1);
            for (number, (repository, tags)) in repositories.into_iter().enumerate() {
                let rest = branch(&mut text, "", number == last, repository);
                let last = tags.len().saturating_sub(1);
                for (number, (at, InspectedArtifact { artifact, total, .. })) in tags.into_iter().enumerate()
                {
                    let digest = self.digest(&artifact.digest);
                    let name = artifact.target.tag.as_deref().map_or(String::new(), |tag| format!("{tag}  "));
                    let kind = if artifact.kind == "image" { "" } else { &format!("{}  ", artifact.kind) };
                    let size = total
                        .as_ref()
                        .map_or(String::new(), |total| format!("  {}", Bytes(total.total_size)));
                    let rest =
                        branch(&mut text, &rest, number == last, &format!("{name}{kind}{digest}{size}"));
                    let with = attached.get(&at).into_iter().flatten();
                    let with =
                        with.map(|it| format!("{}  {}", it.artifact.kind, self.digest(&it.artifact.digest)));
                    let leaves: Vec<String> = artifact.platforms.iter().cloned().chain(with).collect();
                    let last = leaves.len().saturating_sub(1);
                    for (number, leaf) in leaves.iter().enumerate() {
                        branch(&mut text, &rest, number == last, leaf);
                    }
                }
            }
        }
        text
    }

    fn sizes(&self, attached: &Attached<'_>) -> String {
        // Names of one digest are one content: the first one stands for all.
        let mut contents: BTreeMap<&str, (usize, usize, &InspectedArtifact)> = BTreeMap::new();
        for (at, artifact) in self.heads() {
            contents.entry(&artifact.artifact.digest).or_insert((at, 0, artifact)).1 += 1;
        }
        let mut contents: Vec<_> = contents.into_values().collect();
        let key = |(at, _, artifact): &(usize, usize, &InspectedArtifact)| {
            let total = artifact.total.as_ref();
            (
                std::cmp::Reverse(total.map_or((0, 0), |total| (total.total_size, total.leaving_out_saves))),
                *at,
            )
        };
        contents.sort_by_key(key);
        let mut table = Table::new([
            ("SIZE", Align::Right),
            ("SAVES", Align::Right),
            ("SHARED", Align::Right),
            ("IMAGE", Align::Left),
        ]);
        for (at, names, InspectedArtifact { artifact, total, .. }) in contents {
            let (size, saves) =
                total.as_ref().map_or((0, 0), |total| (total.total_size, total.leaving_out_saves));
            let mut below = Vec::new();
            if names > 1 {
                below.push(format!("and {} of the same content", count(names - 1, "more name")));
            }
            let with = attached.get(&at).map_or(0, Vec::len);
            if with > 0 {
                below.push(format!("with {}", count(with, "attached artifact")));
            }
            let shared = Bytes(size.saturating_sub(saves)).to_string();
            let cells =
                [Bytes(size).to_string(), Bytes(saves).to_string(), shared, artifact.target.to_string()];
            table.row(cells, below);
        }
        format!(
            "\n{}\nSAVES: the bundle is smaller by so much without the image and what is attached to it.\n",
            table.text()
        )
    }
}

/// Adds a line of a tree, and gives what stands before the lines below it.
fn branch(text: &mut String, before: &str, is_last: bool, line: &str) -> String {
    let (mark, rest) = if is_last { ("`-- ", "    ") } else { ("|-- ", "|   ") };
    text.push_str(&format!("{before}{mark}{line}\n"));
    format!("{before}{rest}")
}
