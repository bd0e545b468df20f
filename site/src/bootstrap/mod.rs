//! A new site's robot accounts and the secrets by which its nodes and importers use them.

pub(crate) mod kubectl;
pub(crate) mod robots;
pub(crate) mod secrets;
