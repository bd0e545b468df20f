//! Prints what a chart renders, as `helm template` does. Run by `scripts/bench-charts`.
//!
//! `render CHART`

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use bundle_chart::{Chart, Limits, RenderOptions, ValueSet, render};

fn main() -> ExitCode {
    match std::env::args().nth(1).ok_or_else(|| "name a chart".to_owned()).and_then(|path| print(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("render: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(path: &str) -> Result<(), String> {
    let limits = Limits::DEFAULT;
    let chart = if Path::new(path).is_dir() {
        Chart::from_directory(Path::new(path), &limits)
    } else {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Chart::from_archive(path, &bytes, &limits)
    };
    let chart = chart.map_err(|error| error.to_string())?;
    let rendering = render(&chart, &ValueSet::defaults(), &RenderOptions::default());
    let mut output = std::io::stdout().lock();
    for document in rendering.map_err(|error| error.to_string())?.documents {
        write!(output, "---\n# Source: {}\n{}", document.file, document.text)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
