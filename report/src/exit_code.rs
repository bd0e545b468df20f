//! The exit codes of the program. Stable: a code never gets another meaning.
//! Takes nothing; gives each code's number and meaning.

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// All was done.
    Done = 0,
    /// The program failed: the system refused a file, a thread or memory, or a limit was reached.
    Failed = 1,
    /// An argument or a file of the user is wrong.
    Usage = 2,
    /// The bundle is not trusted, is damaged, is stale, or was made by a newer program.
    NotTrusted = 3,
    /// The network or a registry failed. A retry may help.
    Network = 4,
    /// A policy refused, such as a tag that must not move.
    Policy = 5,
    /// Something that is needed is missing: a volume, a base bundle, an image, a scan result.
    Incomplete = 6,
}

impl ExitCode {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotTrusted,
        Self::Network,
        Self::Policy,
        Self::Incomplete,
    ];

    /// The number that the shell sees.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its meaning, in one sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "Everything that was asked for is done.",
            Self::Failed => {
                "The program failed: the system refused a file, a thread or memory, or a limit was reached."
            }
            Self::Usage => "An argument or a configuration file is wrong.",
            Self::NotTrusted => {
                "The bundle is not trusted, is damaged, is stale, or was made by a newer program."
            }
            Self::Network => "The network or a registry failed. A retry may help.",
            Self::Policy => "A policy refused, such as an immutable tag or a quota.",
            Self::Incomplete => {
                "Something that is needed is missing: a volume, a base bundle, an image or a scan result."
            }
        }
    }
}
