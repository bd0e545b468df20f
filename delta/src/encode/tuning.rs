//! What a level means: windows, tables and depths, each with the memory that it costs.
//! Takes a level, gives the parameters of the matcher and of Zstandard.

use super::codec::Setting;
use crate::format::STREAMS;

/// How hard the encoder works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// For lines and disks as usual.
    #[default]
    Default,
    /// For slow lines and dear media: several times slower, and smaller.
    Smallest,
}

/// What the level means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// The streams in the format's order.
    pub(crate) streams: [Setting; STREAMS],
    /// The base-2 logarithm of the counters in a table of the model of differences, if it is used.
    pub(crate) model: Option<u8>,
    /// The most positions of old bytes that the matcher indexes at once.
    pub(crate) indexed: usize,
}

impl Tuning {
    /// What the level means for so many bases. Without any the matcher and the model of differences take no memory, and
    /// new bytes are all that counts: they get larger windows. With bases there are few new bytes: they get more work.
    pub(crate) fn of(level: Level, bases: usize) -> Tuning {
        let alone = bases == 0;
        match level {
            Level::Default => Tuning {
                streams: [
                    Setting { level: 15, window: 18, hash: 17, chain: 18 },
                    Setting { level: 12, window: 21, hash: 18, chain: 19 },
                    if alone {
                        Setting { level: 9, window: 23, hash: 20, chain: 20 }
                    } else {
                        Setting { level: 13, window: 21, hash: 18, chain: 18 }
                    },
                    Setting { level: 12, window: 20, hash: 17, chain: 18 },
                ],
                model: None,
                indexed: 1 << 19,
            },
            Level::Smallest => Tuning {
                streams: [
                    Setting { level: 19, window: 20, hash: 18, chain: 19 },
                    // Only where the model is not used, which is never today.
                    Setting { level: 19, window: 20, hash: 17, chain: 18 },
                    if alone {
                        Setting { level: 19, window: 24, hash: 20, chain: 21 }
                    } else {
                        Setting { level: 19, window: 22, hash: 18, chain: 19 }
                    },
                    Setting { level: 19, window: 20, hash: 17, chain: 18 },
                ],
                model: Some(17),
                indexed: 2 << 20,
            },
        }
    }
}
