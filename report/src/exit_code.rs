//! The exit codes of the program. Stable: a code never gets another meaning.
//! Takes nothing; gives each code's number and meaning.

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// All was done.
    Done = 0,
    /// The program failed: the system refused a file, a thread or memory, or a limit was reached. Or a search found
    /// nothing.
    Failed = 1,
    /// An argument or a file of the user is wrong.
    Usage = 2,
    /// The bundle, receipt or signature is not trusted, or is damaged.
    NotTrusted = 3,
    /// The network or a registry failed. A retry may help.
    Network = 4,
    /// A policy refused, such as a tag that must not move.
    Policy = 5,
    /// Something that is needed is missing: a volume, a base bundle, an image, a scan result.
    Incomplete = 6,
    /// A newer program made a file.
    NewerVersion = 7,
    /// The bundle is trusted and stale: older than the newest one of its stream, or past its expiry.
    Stale = 8,
}

impl ExitCode {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotTrusted,
        Self::Network,
        Self::Policy,
        Self::Incomplete,
        Self::NewerVersion,
        Self::Stale,
    ];

    /// From the gravest to the least grave: what must not be used, what a person has to change, and at the end what
    /// a retry may mend. A job that retries after a code is right only if nothing graver happened.
    pub const BY_GRAVITY: [Self; 8] = [
        Self::NotTrusted,
        Self::Stale,
        Self::NewerVersion,
        Self::Policy,
        Self::Usage,
        Self::Incomplete,
        Self::Failed,
        Self::Network,
    ];

    /// The graver of the two.
    pub fn graver(self, other: Self) -> Self {
        Self::BY_GRAVITY.into_iter().find(|code| *code == self || *code == other).unwrap_or(self)
    }

    /// Whether a failure of one of several files says nothing of the others, so that a command that changes something
    /// goes on with them.
    pub const fn is_of_one_file(self) -> bool {
        matches!(self, Self::Policy | Self::Incomplete | Self::Stale)
    }

    /// The number that the shell sees.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its meaning, in one sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "Everything that was asked for is done.",
            Self::Failed => {
                "The program failed: the system refused a file, a thread or memory, or a limit was reached. Or a \
                 search found nothing, and could read everything."
            }
            Self::Usage => "An argument or a configuration file is wrong.",
            Self::NotTrusted => "The bundle, receipt or signature is not trusted, or is damaged.",
            Self::Network => "The network or a registry failed. A retry may help.",
            Self::Policy => "A policy refused, such as an immutable tag or a quota.",
            Self::Incomplete => {
                "Something that is needed is missing: a volume, a base bundle, an image or a scan result."
            }
            Self::NewerVersion => "A newer program made the bundle, or another file. Update the program.",
            Self::Stale => {
                "The bundle is trusted, and older than the newest one of its stream (rollback protection) or past \
                 its expiry."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_codes_the_graver_one_is_the_same_in_either_order() {
        assert_eq!(ExitCode::Network.graver(ExitCode::NotTrusted), ExitCode::NotTrusted);
        assert_eq!(ExitCode::Failed.graver(ExitCode::Done), ExitCode::Failed);
        for one in ExitCode::ALL {
            for other in ExitCode::ALL {
                assert_eq!(one.graver(other), other.graver(one));
            }
        }
    }
}
