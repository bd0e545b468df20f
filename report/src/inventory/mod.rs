//! The reports of the far side's inventory: `where` and `receipt log`.
//! Take what receipts, bundles and a registry say, give models.

mod receipt_log;
mod whereabouts;

pub use receipt_log::{NightEntry, ReceiptLogReport};
pub use whereabouts::{BringingEntry, NowWord, PlaceEntry, ProblemEntry, StandingEntry, WhereReport};
