//! A new site's robot accounts and the secrets by which its nodes and importers use them.
//! Takes harbor.yaml, gives a plan, and secrets where they are wanted.

pub(crate) mod kept;
pub(crate) mod kubectl;
pub(crate) mod robots;
pub(crate) mod secrets;
