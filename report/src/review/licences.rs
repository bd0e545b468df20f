//! The licences of an image in a report for approval, as the SBOMs that it carries name them.
//! Takes names with numbers, gives the model and its words. A publisher wrote the names: they prove nothing.

use schemars::JsonSchema;
use serde::Serialize;

/// What the SBOMs of an image say of licences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowLicences {
    /// The packages that they list; of several SBOMs, the highest number.
    pub packages: u64,
    /// The packages without a licence.
    pub without: u64,
    /// The licences, those of the most packages first, at most fifty.
    pub licences: Vec<LicenceEntry>,
    /// How many more there are.
    pub more: usize,
    /// Why SBOMs could not be read.
    pub unread: Vec<String>,
}

/// A licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LicenceEntry {
    /// Its SPDX identifier, or the name that an SBOM has for it.
    pub name: String,
    /// The packages that have it; of several SBOMs, the highest number.
    pub packages: u64,
}

/// So many licences of one image are in a report.
const MOST_LICENCES: usize = 50;

/// So many reasons why SBOMs could not be read.
const MOST_UNREAD: usize = 5;

impl RowLicences {
    /// Of these licences; `unread` are the reasons why SBOMs could not be read.
    pub fn of(
        packages: u64,
        without: u64,
        all: impl Iterator<Item = (String, u64)>,
        unread: Vec<String>,
    ) -> Self {
        let mut licences: Vec<LicenceEntry> =
            all.map(|(name, packages)| LicenceEntry { name, packages }).collect();
        licences.sort_by(|one, other| (other.packages, &one.name).cmp(&(one.packages, &other.name)));
        let more = licences.len().saturating_sub(MOST_LICENCES);
        licences.truncate(MOST_LICENCES);
        Self { packages, without, licences, more, unread: unread.into_iter().take(MOST_UNREAD).collect() }
    }

    /// The names of the first licences, and what else there is to say, in words.
    pub(crate) fn words(&self, most: usize) -> Vec<String> {
        let mut words: Vec<String> = self.licences.iter().take(most).map(|it| it.name.clone()).collect();
        let more = self.licences.len().saturating_sub(most) + self.more;
        if more > 0 {
            words.push(format!("and {more} more"));
        }
        if self.without > 0 {
            words.push(format!("none for {} of {} packages", self.without, self.packages));
        }
        words.extend(self.unread.iter().map(|why| format!("an SBOM cannot be read: {why}")));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licences_of_most_packages_come_first_and_the_list_has_an_end() {
        let all = (0..60).map(|number| (format!("L{number:02}"), u64::from(number == 7)));
        let licences = RowLicences::of(60, 2, all, vec!["it is not JSON".to_owned()]);
        assert_eq!((licences.licences.len(), licences.more), (50, 10));
        assert_eq!(
            licences.words(2),
            [
                "L07",
                "L00",
                "and 58 more",
                "none for 2 of 60 packages",
                "an SBOM cannot be read: it is not JSON"
            ]
        );
    }
}
