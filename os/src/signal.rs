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
}

impl EndSignal {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The exit code of a program that it ended, as shells count: 128 and its number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}

/// Waits for the first signal that asks this process to end.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on, SIGTERM and SIGINT no longer end the process.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn listen() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) -> EndSignal {
        tokio::select! {
            _ = self.terminate.recv() => EndSignal::Terminate,
            _ = self.interrupt.recv() => EndSignal::Interrupt,
        }
    }
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
