//! `support`: what helps to find a fault, in one archive that can be carried to somebody else.
//! Takes the settings, the last log and the jobs' status files; gives FILE.tar.gz, in which no secret is.

use std::path::{Path, PathBuf};

use bundle_report::{SupportEntry, SupportReport, json};
use bundle_sync::SyncConfig;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::command::config;
use crate::exit::{Code, Failure, Id};
use crate::limits::{SUPPORT_FACT, SUPPORT_FILE};
use crate::log::LAST_LOG;
use crate::output::{self, name};
use crate::place;

#[derive(clap::Args)]
pub(crate) struct Support {
    /// Archive to write; it must not exist
    #[arg(short, long, value_name = "FILE", default_value = "bundle-support.tar.gz")]
    output: PathBuf,

    /// Configuration of the scheduled jobs, whose status files are collected
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A file of the archive.
struct Piece {
    path: &'static str,
    what: String,
    bytes: Vec<u8>,
}

impl Support {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut pieces = vec![
            Piece {
                path: "version.txt",
                what: "version of the program, its commit and platform".to_owned(),
                bytes: format!("bundle {}\n", crate::program::long_version()).into_bytes(),
            },
            Piece {
                path: "config.json",
                what: "`bundle config show --json`: settings and their places, no passwords".to_owned(),
                bytes: config()?,
            },
            Piece {
                path: "system.txt",
                what: "system, kernel, memory, disk and time".to_owned(),
                bytes: system(),
            },
        ];
        let last = place::state(LAST_LOG)?;
        pieces.extend(file("last-failed.log", &last));
        if let Some(path) = &self.config {
            let config = SyncConfig::load(path)?;
            let export = config.export.as_ref().and_then(|job| job.status.clone());
            let import = config.import.as_ref().and_then(|job| job.status.clone());
            pieces.extend(export.and_then(|path| file("export-status.json", &path)));
            pieces.extend(import.and_then(|path| file("import-status.json", &path)));
        }
        let entries: Vec<SupportEntry> = pieces
            .iter()
            .map(|piece| SupportEntry {
                path: piece.path.to_owned(),
                what: piece.what.clone(),
                bytes: piece.bytes.len() as u64,
            })
            .collect();
        let report = SupportReport { file: name(&self.output), entries };
        let bytes = archive(&pieces, &report).map_err(|error| Failure::new(Code::Failed, &error))?;
        bundle_os::create_file(&self.output, &bytes, bundle_os::Access::Owner).map_err(|error| {
            let text = format!("{} cannot be written: {error}", name(&self.output));
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    Failure::text(Id::OutputExists, text).hint("choose another name with -o")
                }
                _ => Failure::text(Id::FileSystem, text),
            }
        })?;
        output::report(&report)
    }
}

fn config() -> Result<Vec<u8>, Failure> {
    let value = json(&config::report()).map_err(|error| Failure::new(Code::Failed, &error))?;
    Ok(format!("{}\n", output::json(&value)).into_bytes())
}

/// A file as it is, if it can be read and is no larger than it may be.
fn file(path: &'static str, from: &Path) -> Option<Piece> {
    let bytes = bundle_os::read(from, SUPPORT_FILE).ok()?;
    Some(Piece { path, what: format!("{}, as it is", name(from)), bytes })
}

/// Facts about the machine.
fn system() -> Vec<u8> {
    let read = |path: &str| bundle_os::read_text(Path::new(path), SUPPORT_FACT).unwrap_or_default();
    let line = |text: &str, begin: &str| {
        text.lines().find(|line| line.starts_with(begin)).unwrap_or_default().trim().to_owned()
    };
    let space = bundle_os::available_at(Path::new(".")).map(|bytes| bytes.to_string());
    let text = format!(
        "time: {}\nsystem: {}\nkernel: {}\nprocessors: {}\n{}\n{}\nbytes free in the current directory: {}\n",
        bundle_format::Timestamp::now(),
        line(&read("/etc/os-release"), "PRETTY_NAME="),
        read("/proc/version").trim(),
        std::thread::available_parallelism().map_or(0, usize::from),
        line(&read("/proc/meminfo"), "MemTotal:"),
        line(&read("/proc/meminfo"), "MemAvailable:"),
        space.unwrap_or_else(|error| error.to_string()),
    );
    output::safe(&text).into_bytes()
}

fn archive(pieces: &[Piece], report: &SupportReport) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let list = bundle_report::Report::text(report);
    let all = pieces.iter().map(|piece| (piece.path, piece.bytes.as_slice()));
    for (path, bytes) in [("contents.txt", list.as_bytes())].into_iter().chain(all) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, format!("bundle-support/{path}"), bytes)?;
    }
    tar.into_inner()?.finish()
}
