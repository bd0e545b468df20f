//! The tests of plans: rules by example, and small worlds at random.
//! Take scenes of nights, give what goes and what stays.

mod rules;
mod scene;
mod world;
mod year;
