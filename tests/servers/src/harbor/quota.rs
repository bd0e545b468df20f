//! A project's storage quota: reserved before the work, given back when the work fails.
//! Takes the blobs that a request adds; gives Harbor's refusal (`server/middleware/quota`) where they do not fit.

use super::answer::{Code, Refusal};
use super::clock::Time;
use super::document::DOCKER_FOREIGN_LAYER;
use super::state::State;

#[derive(Clone, Debug)]
pub(super) struct Quota {
    pub(super) id: i64,
    /// In bytes; [`Quota::UNLIMITED`] for no limit.
    pub(super) hard: i64,
    pub(super) used: i64,
    pub(super) updated: Time,
}

impl Quota {
    pub(super) const UNLIMITED: i64 = -1;
    /// 1024 TiB, the most Harbor takes for a limit.
    const MOST: i64 = 1 << 50;

    /// Harbor `lib/quota_storage_limit.go`.
    pub(super) fn validate(hard: i64) -> Result<(), Refusal> {
        if hard == 0 || hard < Quota::UNLIMITED {
            return Err(Refusal::bad_request(format!(
                "invalid non-positive value for quota limit, value={hard}"
            )));
        }
        if hard > Quota::MOST {
            return Err(Refusal::bad_request(format!(
                "exceeded 1024TB, which is 1125899906842624 Bytes, value={hard}"
            )));
        }
        Ok(())
    }

    fn reserve(&mut self, size: u64) -> Result<(), Refusal> {
        let after = self.used.saturating_add_unsigned(size);
        if self.hard != Quota::UNLIMITED && after > self.hard {
            let verb = if after > self.used { "adding" } else { "subtracting" };
            return Err(Refusal::new(
                Code::Denied,
                format!(
                    "{verb} {} of storage resource, which when updated to current usage of {} will exceed the \
                     configured upper limit of {}.",
                    human(after - self.used),
                    human(self.used),
                    human(self.hard)
                ),
            ));
        }
        self.used = after;
        Ok(())
    }
}

/// Bytes taken from a project's quota for work under way.
#[derive(Debug)]
#[must_use]
pub(super) struct Reservation {
    project: i64,
    size: u64,
}

impl State {
    /// Takes `size` bytes of the project's quota, for work that is then either kept or given back. Zero bytes
    /// are refused too when the project is over its limit already.
    pub(super) fn reserve(&mut self, project: i64, size: u64) -> Result<Reservation, Refusal> {
        if let Some(project) = self.projects.get_mut(&project) {
            project.quota.reserve(size)?;
        }
        Ok(Reservation { project, size })
    }

    pub(super) fn give_back(&mut self, reservation: Reservation) {
        if let Some(project) = self.projects.get_mut(&reservation.project) {
            project.quota.used = project.quota.used.saturating_sub_unsigned(reservation.size).max(0);
        }
    }

    /// Counts the project's content again (Harbor `controller/quota Refresh`): every blob once, in any number
    /// of repositories.
    pub(super) fn refresh_quota(&mut self, project: i64) {
        let blobs = &self.blobs;
        let Some(project) = self.projects.get_mut(&project) else { return };
        let used: u64 = project
            .blobs
            .keys()
            .filter_map(|digest| blobs.get(digest))
            .filter(|blob| blob.content_type != DOCKER_FOREIGN_LAYER)
            .map(|blob| blob.size)
            .sum();
        project.quota.used = i64::try_from(used).unwrap_or(i64::MAX);
    }
}

/// Harbor `pkg/quota/types/format.go`.
fn human(bytes: i64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 1024.0 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}iB", ["K", "M", "G", "T", "P", "E"][unit.min(5)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_worded_as_harbor_words_them() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 30, "1.0 GiB"), (i64::MAX, "8.0 EiB")]
        {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn a_limit_of_zero_and_below_unlimited_is_none() {
        for (hard, valid) in [(-2, false), (-1, true), (0, false), (1, true), ((1 << 50) + 1, false)] {
            assert_eq!(Quota::validate(hard).is_ok(), valid, "{hard}");
        }
    }
}
