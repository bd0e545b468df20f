//! What people see who approve a bundle: `report`, `diff`, and what they sign.
//! Takes small bundles of real images; reads what the program shows, in a browser, too.

mod approved;
mod difference;
mod licences;
mod nights;
mod pages;
mod report;
mod trees;
