//! The terminal that standard error is.
//! Takes nothing, gives its size.

/// The columns and rows of the terminal on standard error; none if it is no terminal, or does not know them.
pub fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}
