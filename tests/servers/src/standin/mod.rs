//! Stand-ins for registries and networks that people have, each with the habits of the real thing and no others.
//! Each is a [`FaultProxy`](crate::FaultProxy) in front of a plain registry, so that it records every request
//! and takes further faults; what it claims is from documentation, sources or reports that its comment names.

mod accept;
mod access;
mod artifactory;
mod ecr;
mod forward;
mod gitlab;
mod hub;
mod listing;
mod network;
mod nexus;
mod quay;
mod redirect;
mod socks;
mod tally;

pub use artifactory::artifactory;
pub use ecr::ecr;
pub use forward::{ForwardProxy, Through};
pub use gitlab::{GitLab, gitlab};
pub use hub::{DockerHub, docker_hub};
pub use listing::{ReferrersAnswer, azure, pull_through, referrers, tags_without_link};
pub use network::{captive_portal, dead, ingress, without_head};
pub use nexus::nexus;
pub use quay::{Quay, quay};
pub use redirect::{Agents, KUBERNETES_PATH, kubernetes, scarf};
pub use socks::{SocksProxy, SocksRequest};
