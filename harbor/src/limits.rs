//! The bounds on what a Harbor may answer: pages, rules, members.
//! Takes nothing; each number has the reason why it is as it is.

/// Every bound on what a Harbor may ask of its client beside those of `bundle_registry::Limits`,
/// which hold for each single answer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries on one page of a list. Harbor refuses more than 100 with HTTP 422.
    pub page_size: usize,
    /// Pages of one list. A list that never ends would be read for ever.
    pub pages: usize,
    /// Empty pages in a row before a list that Harbor counts more entries in is given up as damaged. What is removed
    /// while a list is read makes one such page; Harbor up to 2.5 hid accessories after the page was cut (its
    /// controller/artifact, List), where 2.6 leaves them out of the query (pkg/artifact/dao, setAccessoryQuery).
    pub empty_pages: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { page_size: 100, pages: 1_000, empty_pages: 10 }
    }
}
