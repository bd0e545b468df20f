//! A read-only OCI registry straight from bundles: nothing is extracted, nothing is written.
//!
//! Start at [`Store`], which proves what it reads from trusted bundles, and [`Server`], which answers the distribution specification's pull, list and referrers requests. A name is that
//! of the source (`docker.io/library/nginx`, or `library/nginx` with `?ns=docker.io`, as
//! containerd asks mirrors) or that of the target (`cache/docker.io/library/nginx`).
//!
//! No byte leaves that was not found to be what the trusted statement says, whatever becomes of the
//! file meanwhile; the module `proof` says how. Memory does not grow with the size of blobs, nor
//! with the number of readers: [`Limits`] has every bound.

mod answer;
mod body;
mod buffer;
mod catalog;
mod event;
mod limits;
mod medium;
mod metrics;
mod patient;
mod problem;
mod proof;
mod range;
mod route;
mod sending;
mod server;
mod store;
mod tls;
mod users;

pub use catalog::Note;
pub use event::{Access, Ending, Event, Observer};
pub use limits::Limits;
pub use medium::{FileMedium, Reopen};
pub use server::Server;
pub use store::{Source, Store, StoreError, Summary};
pub use tls::{Identity, IdentityError};
pub use users::{Users, UsersError};
