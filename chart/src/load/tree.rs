//! Makes a tree of charts from files.
//! Takes the files of an archive or a directory; gives a [`Chart`] with all charts inside it.

use std::collections::BTreeMap;
use std::path::Path;

use super::archive::{Room, unpack};
use super::directory::collect;
use super::error::{LoadCause, LoadError};
use crate::chart::{Chart, File};
use crate::metadata::read_dependencies;
use crate::yaml::parse_values;
use crate::{Limits, Map, Metadata, Value};

impl Chart {
    /// Loads a packed chart, with the charts inside it. `name` names the archive in errors.
    ///
    /// ```
    /// # use std::io::Write;
    /// # let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), Default::default()));
    /// # let mut header = tar::Header::new_gnu();
    /// # let text = "name: web\nversion: 1.2.0\n";
    /// # header.set_size(text.len() as u64);
    /// # tar.append_data(&mut header, "web/Chart.yaml", text.as_bytes())?;
    /// # let bytes = tar.into_inner()?.finish()?;
    /// use bundle_chart::{Chart, Limits};
    /// let chart = Chart::from_archive("web-1.2.0.tgz", &bytes, &Limits::DEFAULT)?;
    /// assert_eq!(chart.metadata().version, "1.2.0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An archive that is damaged or hostile, or whose files are no chart.
    pub fn from_archive(name: &str, bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let mut room = Room::new(limits);
        let files = unpack(bytes, &mut room).map_err(|error| error.inside(name))?;
        assemble(files, &mut room, 0).map_err(|error| error.inside(name))
    }

    /// Loads a chart's directory, with the charts inside it, and nothing outside it.
    ///
    /// # Errors
    /// A directory that cannot be read, a file that leads out of it, or files that are no chart.
    pub fn from_directory(path: &Path, limits: &Limits) -> Result<Self, LoadError> {
        Self::from_directory_within(path, None, limits)
    }

    /// As [`Chart::from_directory`], with links followed as far as `within`: a directory around the
    /// chart's, such as the checkout that it is part of. One that is not around it changes nothing.
    ///
    /// # Errors
    /// As of [`Chart::from_directory`].
    pub fn from_directory_within(
        path: &Path,
        within: Option<&Path>,
        limits: &Limits,
    ) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let mut room = Room::new(limits);
        let files = collect(path, within, &mut room).map_err(|error| error.inside(&name))?;
        assemble(files, &mut room, 0).map_err(|error| error.inside(&name))
    }
}

/// Makes a chart of its files (helm, pkg/chart/loader/load.go).
fn assemble(files: Vec<File>, room: &mut Room<'_>, depth: usize) -> Result<Chart, LoadError> {
    if depth > room.limits.chart_depth {
        return Err(LoadError { places: Vec::new(), cause: LoadCause::Depth(room.limits.chart_depth) });
    }
    let raw = files;
    let mut metadata = match raw.iter().find(|file| file.name() == "Chart.yaml") {
        Some(file) => {
            let read = Metadata::read(&document(file, room.limits)?);
            read.map_err(|error| LoadError::new(file.name(), error))?
        }
        None => return Err(LoadError { places: Vec::new(), cause: LoadCause::NoMetadata }),
    };
    let mut chart = Chart::default();
    let mut below: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in &raw {
        let wrong = |error| LoadError::new(file.name(), error);
        match file.name() {
            "Chart.yaml" => {}
            "values.yaml" => {
                // Nothing changes the values of a chart in place.
                let known = room.values.get(&file.address()).cloned();
                chart.values = match known {
                    Some(known) => known,
                    None => values(file, room.limits)?,
                };
                room.values.insert(file.address(), chart.values.clone());
            }
            "values.schema.json" => chart.schema = Some(file.clone()),
            "requirements.yaml" => {
                let read = read_dependencies(&document(file, room.limits)?).map_err(wrong)?;
                metadata.dependencies = read.unwrap_or(metadata.dependencies);
                if metadata.api_version == "v1" {
                    chart.extra.push(file.clone());
                }
            }
            "Chart.lock" | "requirements.lock" => {
                let read = read_dependencies(&document(file, room.limits)?).map_err(wrong)?;
                chart.lock = read.unwrap_or_default();
                if file.name() == "requirements.lock" && metadata.api_version == "v1" {
                    chart.extra.push(file.clone());
                }
            }
            name if name.starts_with("templates/") => chart.templates.push(file.clone()),
            name => match name.strip_prefix("charts/") {
                Some(inside) if !name.ends_with(".prov") => {
                    let (first, rest) = inside.split_once('/').unwrap_or((inside, ""));
                    let file = File::shared(rest, file);
                    below.entry(first.to_owned()).or_default().push(file);
                }
                _ => chart.extra.push(file.clone()),
            },
        }
    }
    metadata.check().map_err(|error| LoadError::new("Chart.yaml", error))?;
    chart.metadata = metadata;
    for (name, files) in below {
        if name.starts_with(['_', '.']) {
            continue;
        }
        let place = format!("charts/{name}");
        let inner = subchart(&name, files, room, depth + 1).map_err(|error| error.inside(&place))?;
        chart.dependencies.push(inner);
    }
    chart.files = raw;
    Ok(chart)
}

fn subchart(name: &str, files: Vec<File>, room: &mut Room<'_>, depth: usize) -> Result<Chart, LoadError> {
    match files.as_slice() {
        [archive] if archive.name().is_empty() && name.ends_with(".tgz") => {
            let files = unpack(archive.data(), room)?;
            assemble(files, room, depth)
        }
        _ => {
            let inside = files.into_iter().filter(|file| !file.name().is_empty());
            assemble(inside.collect(), room, depth)
        }
    }
}

fn document(file: &File, limits: &Limits) -> Result<Value, LoadError> {
    let text = file.text().map_err(|line| LoadError::new(file.name(), LoadCause::Encoding(line)))?;
    parse_values(text, limits).map_err(|error| LoadError::new(file.name(), LoadCause::Yaml(error)))
}

fn values(file: &File, limits: &Limits) -> Result<Map, LoadError> {
    match document(file, limits)? {
        Value::Map(map) => Ok(map),
        Value::Nil => Ok(Map::new()),
        _ => Err(LoadError::new(file.name(), LoadCause::NoMap)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_files_of_charts_inside_are_kept_once() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("Chart.yaml", "name: top\nversion: 1.0.0\n");
        for below in ["a", "b"] {
            write(&format!("charts/{below}/Chart.yaml"), &format!("name: {below}\nversion: 1.0.0\n"));
            write(&format!("charts/{below}/values.yaml"), "x: {y: 1}\n");
            write(&format!("charts/{below}/templates/_helpers.tpl"), "{{ define \"x\" }}{{ end }}\n");
        }
        let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap();
        let [a, b] = &chart.dependencies[..] else { panic!() };
        assert_eq!(a.templates[0].address(), b.templates[0].address());
        assert!(a.values.is_same(&b.values) && a.values.contains("x"));
    }
}
