//! The seam to the operating system: every question to Linux that the standard library has no
//! portable word for. The crates above name none of `std::os::unix`, `rustix` or `libc`.
//!
//! Start at [`open`] and [`read`], which refuse files that could hang or never end, and at [`replace_file`],
//! which replaces a file atomically. Another system needs other bodies here, and nothing elsewhere.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod access;
mod guard;
mod positional;
mod process;
mod read;
mod rename;
mod replace;
#[cfg(feature = "signal")]
mod signal;
mod space;
mod terminal;

pub use access::{
    Access, allocated, change_time, create_directory, create_new, is_mine, is_of_root_or_mine, mode,
    open_or_create, open_own, open_to_all_above, same_file, set_directory_access, set_file_access,
};
pub use guard::{begins_with_field, may_replace, replace_own};
pub use positional::{read_at, read_cached_at, read_exact_at, write_all_at};
pub use process::{allow_many_files, end_group, forbid_core_dumps};
pub use read::{open, open_itself, read, read_from, read_text};
pub use rename::rename_new;
pub use replace::{FileError, create_file, replace_file, replace_secret, sync_directory};
#[cfg(feature = "signal")]
pub use signal::{EndSignal, Hangups, Signals, interrupts};
pub use space::{Preallocated, Volume, available, available_at, preallocate, sync_file_system, volume};
pub use terminal::terminal_size;
