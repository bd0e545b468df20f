//! docs/reference/environment.md: the environment variables.
//! Takes the table in `environment`, gives Markdown.

use crate::environment::ALL;

/// The page.
pub(crate) fn environment() -> String {
    let mut page = format!(
        "{}# Environment variables\n\nAn option on the command line takes precedence over a variable. An \
         empty variable counts as not set, unless its line says otherwise.\n\n\
         | variable | read by | meaning |\n|---|---|---|\n",
        super::MADE
    );
    for variable in ALL {
        page.push_str(&format!("| `{}` | {} | {} |\n", variable.name, variable.readers, variable.meaning));
    }
    page
}
