//! The signals with which people and services end a program.
//! Takes nothing, gives something to wait on; from then on these signals end nothing by themselves.

use std::io::Result;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndSignal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: what service managers, containers and `kill` send.
    Terminate,
    /// SIGHUP: the terminal is gone, such as a connection of ssh.
    HangUp,
}

impl EndSignal {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::HangUp => "SIGHUP",
        }
    }

    /// The exit code of a program that it ended, as shells count: 128 and its number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
            Self::HangUp => 128 + 1,
        }
    }
}

/// Waits for the first signal that asks this process to end.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    /// From now on, SIGTERM and SIGINT no longer end the process.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn listen() -> Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hang_up: None })
    }

    /// As [`Signals::listen`], and the end of the terminal too: SIGHUP, unless it is ignored, as `nohup` has it.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn listen_with_hangups() -> Result<Self> {
        let hang_up = if ignores_hangups() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { hang_up, ..Self::listen()? })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) -> EndSignal {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => EndSignal::Terminate,
            _ = self.interrupt.recv() => EndSignal::Interrupt,
            _ = hang_up => EndSignal::HangUp,
        }
    }
}

/// Whether this process was started with SIGHUP ignored. Where the system does not say so (proc(5), "SigIgn"), it is
/// taken to be, for then nothing changes.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status).is_none_or(|signals| signals & 1 != 0)
}

/// The set of ignored signals, of which the lowest bit is SIGHUP.
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// The interrupts of a terminal (SIGINT), which from now on no longer end the process.
///
/// # Errors
/// The operating system's error.
pub fn interrupts() -> Result<Signal> {
    signal(SignalKind::interrupt())
}

/// Waits for SIGHUP, the signal with which services read their files again.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// From now on, SIGHUP no longer ends the process.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn listen() -> Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_whether_nohup_started_it() {
        assert_eq!(ignored("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"), Some(0x1001));
        assert_eq!(ignored("Name:\tx\n"), None);
        let status = |prefix: &[&str]| {
            let words = [prefix, &["cat", "/proc/self/status"]].concat();
            let ran = std::process::Command::new(words[0]).args(&words[1..]).output().unwrap();
            ignored(&String::from_utf8(ran.stdout).unwrap()).unwrap()
        };
        assert_eq!(status(&["nohup"]) & 1, 1);
    }
}
