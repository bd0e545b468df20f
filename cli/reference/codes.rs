//! docs/reference/exit-codes.md: exit codes and error identifiers.
//! Takes the tables of `report`, gives Markdown.

use crate::exit::{Code, Id};

/// The page.
pub(crate) fn exit_codes() -> String {
    let mut page = format!(
        "{}# Exit codes and error identifiers\n\n## Exit codes\n\n| code | meaning |\n|---|---|\n",
        super::MADE
    );
    for code in Code::ALL {
        page.push_str(&format!("| {} | {} |\n", code.number(), code.meaning()));
    }
    let order: Vec<String> = Code::BY_GRAVITY.iter().map(|code| code.number().to_string()).collect();
    page.push_str(&format!(
        "\nNever 0 on a partial result. If several things fail, the code is that of the first one that is printed. Of \
         several files on a command line (`verify a.tar b.tar`), it is the gravest code: {}, in this order. Codes may \
         be added: treat one that you do not know as a failure.\n\
         A program that a signal ends has 128 and the signal's number: 130 after SIGINT (Ctrl-C), 143 after \
         SIGTERM.\n",
        order.join(", ")
    ));
    page.push_str(
        "`create`, `import`, `verify`, `extract`, `repair` and `sync` keep what they have \
         first, and their last line says how to go on; with `--json` it is an error with the identifier \
         `interrupted`. A second signal ends them at once. `serve` finishes what it is sending and ends with 0.\n\n\
         ## Errors as JSON\n\nWith `--json`, an error is one line of JSON on standard error, wrong arguments \
         included:\n\n```json\n\
         {\"version\":1,\"error\":{\"id\":\"truncated\",\"code\":3,\"message\":\"...\",\"causes\":[],\"hints\":[\"...\"]}}\n\
         ```\n\nNotes on standard error stay lines of text, and so does progress unless `--progress json` is given: \
         the error is the last line that begins with `{`, and its key is `error`. A script looks at `id`, which never gets another meaning; `message`, `causes` and `hints` are \
         for people and may change. New identifiers may be added: treat one that you do not know as its `code`.\n",
    );
    for code in &Code::ALL[1..] {
        page.push_str(&format!("\n### Code {}\n\n| id | meaning |\n|---|---|\n", code.number()));
        for id in Id::ALL.iter().filter(|id| id.code() == *code) {
            page.push_str(&format!("| `{}` | {} |\n", id.as_str(), id.meaning()));
        }
    }
    page
}
