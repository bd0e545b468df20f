//! `support`: what helps to find a fault, in one archive that can be carried to somebody else.
//! Takes the settings, the last log and the jobs' status files; gives FILE.tar.gz, in which no secret is.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bundle_oci::hide_logins;
use bundle_report::{SupportEntry, SupportReport, json};
use bundle_sync::{SyncConfig, status_for_others};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::command::config;
use crate::exit::{Code, Failure, Id};
use crate::limits::{SUPPORT_FACT, SUPPORT_FILE};
use crate::log::LAST_LOG;
use crate::output::{self, name};
use crate::place;
use crate::settings;

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
        let mut notes: Vec<String> = settings::broken().map(str::to_owned).into_iter().collect();
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
        match place::state(LAST_LOG) {
            Ok(last) => pieces.extend(piece(LAST_LOG, &last, last_log, &mut notes)),
            Err(failure) => notes.push(failure.said()),
        }
        match self.config.as_deref().map(SyncConfig::load).transpose() {
            Ok(config) => {
                let config = config.unwrap_or_default();
                let export = config.export.and_then(|job| job.status);
                let import = config.import.and_then(|job| job.status);
                for (name, path) in [("export-status.json", export), ("import-status.json", import)] {
                    pieces.extend(path.and_then(|path| piece(name, &path, status, &mut notes)));
                }
            }
            // The archive is made to find out why.
            Err(error) => notes.push(Failure::from(error).said()),
        }
        if !notes.is_empty() {
            let what = "what could not be read, and why".to_owned();
            notes.iter().for_each(|note| output::tell(&format!("note: {note}")));
            let text = notes.iter().map(|note| format!("{note}\n")).collect::<String>();
            pieces.push(Piece { path: "notes.txt", what, bytes: output::safe(&text).into_bytes() });
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

/// A file that this program wrote, if it is there. What it has for others is asked of `of`: its place may be one where
/// users with fewer rights put files and links.
fn piece(
    path: &'static str,
    from: &Path,
    of: impl Fn(&Metadata, &str) -> Option<String>,
    notes: &mut Vec<String>,
) -> Option<Piece> {
    let read = || {
        let file = bundle_os::open_itself(from)?;
        let metadata = file.metadata()?;
        let text = String::from_utf8_lossy(&bundle_os::read_from(file, SUPPORT_FILE)?).into_owned();
        Ok::<_, std::io::Error>(of(&metadata, &text))
    };
    let why = match read() {
        Ok(Some(text)) => {
            let what = format!("{}, without what could be a password", name(from));
            return Some(Piece { path, what, bytes: text.into_bytes() });
        }
        Ok(None) => "it is not a file that this program wrote".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => error.to_string(),
    };
    notes.push(format!("{} is left out: {why}", name(from)));
    None
}

/// The log of the last run that failed.
fn last_log(metadata: &Metadata, text: &str) -> Option<String> {
    (bundle_os::is_of_root_or_mine(metadata) && text.starts_with("# bundle "))
        .then(|| hide_logins(text).into_owned())
}

/// The status file of a job, which may run as another user.
fn status(_: &Metadata, text: &str) -> Option<String> {
    status_for_others(text)
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
