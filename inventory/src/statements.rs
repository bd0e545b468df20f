//! Statements of bundles that are named by their digest, by a receipt or a registry's record.
//! Takes a file and digests, gives the statement if it is one of them.

use std::collections::BTreeSet;
use std::path::Path;

use bundle_format::{BundleId, Cursor, Limits, Medium, Statement, Unverified};
use bundle_oci::Digest;

/// The statement of a bundle, if it is one of those that are looked for. Its digest proves what the signature would.
pub fn statement_of(path: &Path, wanted: &BTreeSet<Digest>) -> Option<(BundleId, Statement)> {
    let limits = Limits::V1;
    let medium = Medium::open(path, &limits).ok()?;
    let head = Unverified::read(&mut Cursor::new(&medium).ok()?, &limits).ok()?;
    let digest = Digest::of(&head.statement);
    if !wanted.contains(&digest) {
        return None;
    }
    let statement = Statement::parse(&head.statement, &limits).ok()?;
    Some((BundleId::of(&statement, digest), statement))
}
