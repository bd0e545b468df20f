//! The checks of this machine's files: room for bundles, files with secrets, the keys that are trusted.
//! Takes paths and what was loaded, gives checks.

use std::path::Path;
use std::time::Duration;

use bundle_format::Timestamp;
use bundle_oci::ByteCount;
use bundle_trust::{Effective, TrustStoreError};

use super::check::{Check, CheckName, Outcome, Trouble};
use crate::Limits;

/// Compares the free space at a directory or file with the space that is needed there.
pub fn look_at_space(path: &Path, needed: Option<u64>) -> Check {
    let outcome = match bundle_os::available_at(path) {
        Err(source) => Outcome::Failed(Trouble::Unreadable { path: path.to_owned(), source }),
        Ok(free) => match needed {
            Some(needed) if needed > free => Outcome::Failed(Trouble::Room { free, needed }),
            _ => Outcome::Passed(format!("{} free", ByteCount(free))),
        },
    };
    CheckName::Space.of(path.display(), outcome)
}

/// Whether only its owner can read a file with a secret.
pub fn look_at_secret_file(path: &Path) -> Check {
    let outcome = match std::fs::metadata(path) {
        Err(source) => Outcome::Failed(Trouble::Unreadable { path: path.to_owned(), source }),
        Ok(metadata) => match bundle_os::mode(&metadata) & 0o777 {
            mode if mode & 0o077 != 0 => Outcome::Failed(Trouble::Open { path: path.to_owned(), mode }),
            mode => Outcome::Passed(format!("mode {mode:04o}")),
        },
    };
    CheckName::SecretFile.of(path.display(), outcome)
}

/// Whether enough keys are trusted and may sign now, and for how long.
pub fn look_at_keys(about: &str, trusted: Result<Effective, TrustStoreError>, now: Timestamp) -> Vec<Check> {
    let check = |outcome| CheckName::Trust.of(about, outcome);
    let trusted = match trusted {
        Ok(trusted) => trusted,
        Err(error) => return vec![check(Outcome::Failed(error.into()))],
    };
    let policy = trusted.policy();
    let good = |until: Option<Timestamp>, since: Option<Timestamp>| {
        until.is_none_or(|until| until >= now) && since.is_none_or(|since| since <= now)
    };
    let keys: Vec<_> = policy.keys.iter().filter(|key| !key.revoked && good(key.until, key.since)).collect();
    if keys.len() < policy.signatures {
        let (good, needed) = (keys.len(), policy.signatures);
        return vec![check(Outcome::Failed(Trouble::TooFewKeys { good, needed }))];
    }
    let soon = i64::try_from(Limits::DEFAULT.ends_soon.as_secs()).unwrap_or(i64::MAX);
    let mut checks: Vec<Check> = keys
        .iter()
        .filter_map(|key| {
            let at = key.until.filter(|until| until.unix().saturating_sub(now.unix()) < soon)?;
            let left = Duration::from_secs(at.unix().saturating_sub(now.unix()).unsigned_abs());
            let days = left.as_secs() / 86_400;
            Some(check(Outcome::Warned(Trouble::KeyEnds { name: key.name.clone(), at, days })))
        })
        .collect();
    if checks.is_empty() {
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        checks.push(check(Outcome::Passed(format!("trusts {}", names.join(", ")))));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(checks: &[Check]) -> Vec<String> {
        let outcome = |check: &Check| match &check.outcome {
            Outcome::Passed(found) => format!("passed: {found}"),
            Outcome::Warned(trouble) => format!("warned: {trouble}"),
            Outcome::Failed(trouble) => format!("failed: {trouble}"),
            Outcome::NotRun(why) => format!("not run: {why}"),
        };
        checks.iter().map(outcome).collect()
    }

    #[test]
    fn keys_are_spoken_of_before_and_after_their_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trust.yaml");
        let key = directory.path().join("ops");
        bundle_trust::generate(&key, None).unwrap();
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let looked = |extra: &str| {
            let text = format!("keys:\n  - name: ops\n    projects: ['*']\n    file: ops.pub\n{extra}");
            std::fs::write(&path, text).unwrap();
            let trusted = Effective::load(Some(&path), &bundle_trust::StoreLocation::Waived);
            said(&look_at_keys("trust.yaml", trusted, now))
        };
        assert_eq!(looked(""), ["passed: trusts ops"]);
        assert_eq!(
            looked("    until: 2026-12-08T12:00:00Z\n"),
            ["warned: the key 'ops' may sign until 2026-12-08T12:00:00Z, for 10 more days"]
        );
        assert_eq!(
            looked("    until: 2026-11-27T12:00:00Z\n"),
            ["failed: 0 of the trusted keys can sign now, and 1 must"]
        );
        assert_eq!(looked("    revoked: true\n").len(), 1);
        std::fs::remove_file(&path).unwrap();
        let gone = Effective::load(Some(&path), &bundle_trust::StoreLocation::Waived);
        assert!(said(&look_at_keys("trust.yaml", gone, now))[0].starts_with("failed: "));
    }

    #[test]
    fn a_disk_without_room_fails_and_so_does_a_secret_that_others_can_read() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(look_at_space(directory.path(), Some(1)).outcome, Outcome::Passed(_)));
        let full = look_at_space(directory.path(), Some(u64::MAX)).outcome;
        assert!(matches!(full, Outcome::Failed(Trouble::Room { .. })), "{full:?}");
        let path = directory.path().join("account.json");
        let gone = look_at_secret_file(&path).outcome;
        assert!(matches!(gone, Outcome::Failed(Trouble::Unreadable { .. })));
        bundle_os::create_file(&path, b"", bundle_os::Access::Owner).unwrap();
        assert!(matches!(look_at_secret_file(&path).outcome, Outcome::Passed(_)));
        let file = std::fs::File::open(&path).unwrap();
        bundle_os::set_file_access(&file, bundle_os::Access::Everyone).unwrap();
        let open = look_at_secret_file(&path).outcome;
        assert!(matches!(open, Outcome::Failed(Trouble::Open { mode: 0o644, .. })), "{open:?}");
    }
}
