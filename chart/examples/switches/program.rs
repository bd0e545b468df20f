//! Our side: what `bundle images --offline --json` reports for one chart.
//! Takes the program and the chart; gives each image with its grade and first place.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::asked::canonical;

/// One reported image.
pub(crate) struct Reported {
    pub(crate) image: String,
    /// Other names that are asked for too.
    pub(crate) readings: Vec<String>,
    pub(crate) grade: String,
    pub(crate) why: String,
}

pub(crate) fn images(
    bundle: &Path,
    chart: &Path,
    values: Option<&Path>,
    time: &mut Duration,
) -> Result<Vec<Reported>, String> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map(|path| path.display().to_string()).map_err(|error| error.to_string())
    };
    let values = values.map(absolute).transpose()?;
    let entry = serde_json::json!({
        "path": absolute(chart)?,
        "values": values.into_iter().collect::<Vec<_>>(),
        "allowEmpty": true,
    });
    let list = serde_json::json!({"name": "oracle", "projects": {"cache": {"charts": [entry]}}});
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    // JSON is YAML.
    std::fs::write(directory.path().join("bundle.yaml"), list.to_string())
        .map_err(|error| error.to_string())?;
    let started = Instant::now();
    let mut command = Command::new(bundle);
    command.args(["images", "--offline", "--json"]).current_dir(directory.path());
    let output = command.output().map_err(|error| format!("{}: {error}", bundle.display()))?;
    *time = started.elapsed();
    if !output.status.success() {
        return Err(format!("bundle: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let found: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let images = found["charts"].as_array().into_iter().flatten();
    let images = images.flat_map(|chart| chart["images"].as_array().into_iter().flatten());
    Ok(images
        .map(|image| Reported {
            image: canonical(&text(&image["image"])).unwrap_or_default(),
            readings: image["readings"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|reading| canonical(reading.as_str()?))
                .collect(),
            grade: text(&image["grade"]),
            why: image["why"].as_array().and_then(|why| Some(text(why.first()?))).unwrap_or_default(),
        })
        .collect())
}
