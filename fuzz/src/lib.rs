//! Functions that take any bytes and hold what must be true of the outcome. libFuzzer drives them
//! (`fuzz_targets/`, cargo-fuzz), and `mutate`, which needs nothing but a stable compiler.
//! Seeds are written by the real writer.

mod bundles;
mod charts;
mod frames;
mod people;
mod registries;
mod seeds;

/// One function and what to begin with.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Takes any bytes. It panics if something does not hold.
    pub run: fn(&[u8]),
    /// Inputs that are right, or nearly so.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 17] = [
    Target { name: "statement", run: bundles::statement, seeds: seeds::statements },
    Target { name: "manifest", run: bundles::manifest, seeds: seeds::manifests },
    Target { name: "archive", run: bundles::archive, seeds: seeds::bundles },
    Target { name: "pipe", run: bundles::pipe, seeds: seeds::pipes },
    Target { name: "volume_index", run: bundles::volume_index, seeds: seeds::volume_indexes },
    Target { name: "frames", run: bundles::frames, seeds: seeds::compressed },
    Target { name: "compact", run: bundles::compact, seeds: seeds::compact },
    Target { name: "compact_layer", run: bundles::compact_layer, seeds: || [seeds::zips(), frames::layers()].concat() },
    Target { name: "layer", run: frames::layer, seeds: frames::layers },
    Target { name: "recipe", run: frames::recipe, seeds: frames::recipes },
    Target { name: "receipt", run: bundles::receipt, seeds: seeds::receipts },
    Target { name: "short_receipt", run: bundles::short_receipt, seeds: seeds::short_receipts },
    Target { name: "people_yaml", run: people::yaml, seeds: people::seeds },
    Target { name: "chart_archive", run: charts::archive, seeds: charts::archives },
    Target { name: "template", run: charts::template, seeds: charts::templates },
    Target { name: "registry", run: registries::answers, seeds: registries::seeds },
    Target { name: "parity", run: bundles::parity, seeds: seeds::parities },
];

/// Runs the target of this name.
///
/// # Panics
/// There is no such target, or an assertion fails.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target has this name");
    (target.run)(bytes);
}
