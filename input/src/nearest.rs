//! "Did you mean": the known name that a mistyped one is closest to.
//! Takes the name and those that are known, gives the nearest if it is near enough.

/// The known name that `written` is likely to mean; none if nothing is close.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    const FAR: usize = 3;
    let distance = |known: &str| {
        // Nothing close is that long, and the distance takes the product of both lengths.
        if written.len() > known.len() + FAR { FAR } else { strsim::levenshtein(written, known) }
    };
    let (distance, name) = known.iter().map(|name| (distance(name), *name)).min()?;
    (distance < FAR && distance < written.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_close_names_are_suggested() {
        let known = ["images", "lists", "as"];
        for (written, suggested) in [
            ("image", Some("images")),
            ("Lists", Some("lists")),
            ("ass", Some("as")),
            ("charts", None),
            ("x", None),
            ("", None),
            (&"images".repeat(1_000), None),
        ] {
            assert_eq!(nearest(written, &known), suggested, "{written:?}");
        }
    }
}
