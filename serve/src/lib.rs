//! A read-only OCI registry straight from bundles: nothing is extracted, nothing is written.
//!
//! Start at [`Store`], which proves what it reads from trusted bundles, and [`Server`], which answers the
//! distribution specification's pull, list and referrers requests. A name is that of the source (`docker.io/library/nginx`, or `library/nginx` with `?ns=docker.io`, as
//! containerd asks mirrors) or that of the target (`cache/docker.io/library/nginx`).
//!
//! [`Follower`] keeps a store to what lies in directories: bundles that come are served, those that go are not.
//!
//! A blob is served to its end only if it matches the trusted statement: the last bytes of an answer leave
//! only after the digest of the whole blob was found right, and from then on no byte that differs leaves at
//! all, even if the file changes meanwhile; the module `proof` has the method. Until then, the first bytes of
//! a damaged blob may leave, and the connection is closed before its end. Memory does not grow with the size
//! of blobs, nor with the number of readers: [`Limits`] has every bound.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod answer;
mod body;
mod buffer;
mod catalog;
mod clients;
mod entrance;
mod event;
mod follow;
mod limits;
mod listing;
mod medium;
mod metrics;
mod offer;
mod page;
mod problem;
mod proof;
mod range;
mod route;
mod selection;
mod sending;
mod server;
mod shelf;
mod stall_timeout;
mod store;
mod tls;
mod users;

pub use catalog::Note;
pub use entrance::Entrance;
pub use event::{Access, Ending, Event, Observer};
pub use follow::{Asked, Change, Follower, Look, Opener, Why};
pub use limits::Limits;
pub use medium::{FileMedium, Reopen};
pub use server::Server;
pub use shelf::{Source, Summary};
pub use store::{Store, StoreError};
pub use tls::{Identity, IdentityError};
pub use users::{Users, UsersError};
