//! The plan of an encoding: takes the new layer and the index, gives for each member the base member that it is
//! encoded against. Sixteen to forty bytes a member are held.

use crate::index::{BaseIndex, Fit};
use crate::members::{Member, walk};
use crate::read_at::ReadAt;
use crate::traits::{Inspector, Traits};

/// The most members that are planned one by one. The rest of the layer is one member without a base.
const MEMBERS_MAX: usize = 400_000;

/// A member of the new layer and its base.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    /// Where the header starts.
    pub(crate) start: u64,
    /// Where the content starts.
    pub(crate) data: u64,
    /// The length of the content.
    pub(crate) size: u64,
    /// Where the padding ends.
    pub(crate) end: u64,
    /// The number of the base member in the index, and how it fits.
    pub(crate) old: Option<(u32, Fit)>,
}

/// Reads the new layer once. Without `members` they are those of a tar.
pub(crate) fn plan(
    plain: &dyn ReadAt,
    members: Option<&[Member]>,
    index: &BaseIndex,
) -> std::io::Result<Vec<Planned>> {
    let mut plan: Vec<Planned> = Vec::new();
    let mut inspector = Inspector::new();
    let mut add = |member: &Member| {
        let old = base_of(plain, member, index, &mut inspector)?;
        if plan.len() < MEMBERS_MAX {
            plan.push(Planned {
                start: member.start,
                data: member.data,
                size: member.size,
                end: member.end,
                old,
            });
        } else if let Some(last) = plan.last_mut() {
            (last.size, last.end, last.old) = (member.end - last.data, member.end, None);
        }
        Ok::<_, std::io::Error>(())
    };
    match members {
        Some(members) => members.iter().try_for_each(&mut add)?,
        None => walk(plain, |member| add(&member))?,
    }
    Ok(plan)
}

/// The member of a base that this one most likely came from.
fn base_of(
    plain: &dyn ReadAt,
    member: &Member,
    index: &BaseIndex,
    inspector: &mut Inspector,
) -> std::io::Result<Option<(u32, Fit)>> {
    if index.is_empty() {
        return Ok(None);
    }
    let traits = inspector.unsketched(plain, member)?;
    if let Some(same) = index.same(member, &traits) {
        return Ok(Some((same, Fit::Same)));
    }
    let sketch = inspector.sketch(plain, member)?;
    Ok(index.alike(member, &Traits { sketch, ..traits }).map(|alike| (alike, Fit::Alike)))
}
