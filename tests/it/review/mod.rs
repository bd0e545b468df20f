//! What people see who approve a bundle: `report`, `diff`, and what they sign.

mod difference;
mod nights;
mod pages;
mod report;
