//! The licences that a text of an SBOM names.
//! Takes an SPDX expression or a name; gives identifiers, without the words between them.

/// Texts that say that nobody knows (SPDX 2.3, §7.13.1 and §7.15.1).
pub(super) fn says_nothing(text: &str) -> bool {
    matches!(text.trim(), "" | "NOASSERTION" | "NONE" | "UNKNOWN" | "NOT-FOUND")
}

/// The licences of an SPDX expression (SPDX 2.3, annex D): `MIT`, `GPL-2.0-only WITH Classpath-exception-2.0`. A text that
/// is no expression is one name.
pub(super) fn of_expression(text: &str) -> Vec<String> {
    let spaced = text.replace(['(', ')'], " ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let joins = |word: &str| ["and", "or"].iter().any(|it| word.eq_ignore_ascii_case(it));
    let mut licences: Vec<Vec<&str>> = vec![Vec::new()];
    for &word in &words {
        match joins(word) {
            true => licences.push(Vec::new()),
            false => licences.last_mut().into_iter().for_each(|last| last.push(word)),
        }
    }
    // `X WITH Y` has three words. What has two is no expression, and its words belong together.
    let is_licence = |it: &Vec<&str>| it.len() == 1 || (it.len() == 3 && it[1].eq_ignore_ascii_case("with"));
    if !licences.iter().all(is_licence) {
        return vec![words.join(" ")];
    }
    licences.into_iter().map(|words| words.join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_its_licences_and_a_name_stays_a_name() {
        for (text, licences) in [
            ("MIT", vec!["MIT"]),
            ("(MIT OR Apache-2.0) AND LicenseRef-x", vec!["MIT", "Apache-2.0", "LicenseRef-x"]),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0 AND MIT",
                vec!["GPL-2.0-only WITH Classpath-exception-2.0", "MIT"],
            ),
            ("GNU Lesser General Public License", vec!["GNU Lesser General Public License"]),
            ("The MIT and others", vec!["The MIT and others"]),
            ("AND", vec!["AND"]),
        ] {
            assert_eq!(of_expression(text), licences, "{text}");
        }
        assert!(says_nothing("NOASSERTION") && says_nothing(" ") && !says_nothing("MIT"));
    }
}
