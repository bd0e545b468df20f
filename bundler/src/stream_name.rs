//! The stream of a bundle without a given one: named like its file, so that two unrelated bundles do not
//! share one. Takes the name of a file, gives the name of a stream.

use std::path::Path;

use bundle_format::StreamName;

/// The longest name of a stream, in characters.
const LONGEST: usize = 64;

/// The stream that a bundle's file is named after: the file's name without `.zst`, `.tar` and the parts that are a
/// date, a time or `number`, in small letters, with `-` for what a stream's name cannot have. So
/// `images-2026-11-24.tar.zst` is of the stream `images`, and the next one too. None if nothing is left.
pub fn stream_of_file(path: &Path, number: Option<&str>) -> Option<StreamName> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".zst").unwrap_or(&name);
    let name = name.rsplit_once('.').filter(|(_, end)| is_ending(end)).map_or(name, |(name, _)| name);
    let parts = parts(name);
    let mut kept = String::new();
    let mut at = 0;
    while at < parts.len() {
        let words: Vec<&str> = parts.get(at..).unwrap_or_default().iter().map(|(_, word)| *word).collect();
        let skipped = dates(&words);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let Some((before, word)) = parts.get(at) else { break };
        at += 1;
        if word.is_empty() || Some(*word) == number {
            continue;
        }
        if let Some(before) = before.filter(|_| !kept.is_empty()) {
            kept.push(before);
        }
        kept.push_str(word);
    }
    let kept: String = kept.chars().take(LONGEST).collect();
    kept.trim_matches(|each: char| !each.is_ascii_alphanumeric()).parse().ok()
}

/// An ending that says what a file is, and is no part of a version such as `1.25`.
fn is_ending(end: &str) -> bool {
    !end.is_empty() && end.len() <= 6 && end.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// The words of a name, each with the separator before it.
fn parts(name: &str) -> Vec<(Option<char>, &str)> {
    let mut parts = Vec::new();
    let mut separator = None;
    let mut rest = name;
    while let Some((at, found)) = rest.char_indices().find(|(_, each)| !each.is_ascii_alphanumeric()) {
        let (word, after) = rest.split_at(at);
        parts.push((separator, word));
        separator = Some(if matches!(found, '.' | '_') { found } else { '-' });
        rest = after.get(found.len_utf8()..).unwrap_or_default();
    }
    parts.push((separator, rest));
    parts
}

/// How many words at the start of `words` are a date, with the time of day behind it if there is one.
fn dates(words: &[&str]) -> usize {
    let days = match words {
        // 20261124, 20261124T0900Z, 202611240900, seconds since 1970
        [word, ..] if is_day(word) || is_moment(word) => 1,
        // 2026-11-24, 2026-11-24T09
        [year, month, day, ..] if is_year(year) && is_number(month, 1, 12) && is_day_of_month(day) => 3,
        // 2026-11, 2026-w48
        [year, part, ..] if is_year(year) && (is_number(part, 1, 12) || is_week(part)) => 2,
        _ => return 0,
    };
    let time = words.iter().skip(days).take(3);
    days + time.take_while(|word| is_time(word.strip_suffix('z').unwrap_or(word))).count()
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && is_number(word, 1990, 2099)
}

/// Two digits (four for a year) between two numbers.
fn is_number(word: &str, least: u32, most: u32) -> bool {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit()) && matches!(word.len(), 2 | 4);
    digits && word.parse::<u32>().is_ok_and(|number| (least..=most).contains(&number))
}

fn is_week(word: &str) -> bool {
    word.strip_prefix('w').is_some_and(|week| is_number(week, 1, 53))
}

/// The day of a month, or that and an hour: `24`, `24t09`, `24t0900z`.
fn is_day_of_month(word: &str) -> bool {
    let (day, time) = word.split_once('t').unwrap_or((word, "00"));
    is_number(day, 1, 31) && is_time(time.strip_suffix('z').unwrap_or(time))
}

/// `20261124`.
fn is_day(word: &str) -> bool {
    word.len() == 8
        && word.is_ascii()
        && is_year(&word[..4])
        && is_number(&word[4..6], 1, 12)
        && is_number(&word[6..], 1, 31)
}

/// `20261124t0900z`, `202611240900`, `20261124090000`, or seconds since 1970.
fn is_moment(word: &str) -> bool {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits && word.len() == 10 && word.starts_with(['1', '2']);
    let Some((day, time)) = word.split_at_checked(8) else { return false };
    let time = time.strip_prefix('t').unwrap_or(time);
    let time = time.strip_suffix('z').unwrap_or(time);
    seconds || is_day(day) && is_time(time)
}

/// Hours, with minutes and seconds or without.
fn is_time(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit()) && matches!(word.len(), 2 | 4 | 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_like_its_file_without_the_date() {
        for (file, stream) in [
            ("images.tar", "images"),
            ("/srv/out/nightly.tar.zst", "nightly"),
            ("nightly-2026-11-24.tar", "nightly"),
            ("nightly_20261124.tar", "nightly"),
            ("nightly-20261124-0900.tar", "nightly"),
            ("nightly-20261124T090000Z.tar", "nightly"),
            ("2026-11-24T09:00:00Z-nightly.tar", "nightly"),
            ("nightly-1795000000.tar", "nightly"),
            ("release-2026.11.tar", "release"),
            ("release-2026-w48.tar", "release"),
            ("Plant 7 (Köln).tar", "plant-7-k-ln"),
            ("nginx-1.25.tar", "nginx-1.25"),
            ("nginx-1.25", "nginx-1.25"),
            ("b", "b"),
            ("s-42.tar", "s"),
            ("-.x.-.tar", "x"),
        ] {
            let found = stream_of_file(Path::new(file), Some("42"));
            assert_eq!(found.map(|name| name.to_string()).as_deref(), Some(stream), "{file}");
        }
        for file in ["2026-11-24.tar", "1795000000.tar", "42.tar", "…", "/", ".."] {
            assert_eq!(stream_of_file(Path::new(file), Some("42")), None, "{file}");
        }
        let long = stream_of_file(Path::new(&format!("{}.tar", "a-".repeat(60))), None).unwrap();
        assert_eq!(long.to_string().len(), 63);
    }

    #[test]
    fn two_versions_and_two_names_are_not_one_stream() {
        let of = |file: &str| stream_of_file(Path::new(file), None).unwrap();
        assert_ne!(of("tools.tar"), of("database.tar"));
        assert_eq!(of("tools-2026-11-24.tar"), of("tools-2026-12-01.tar.zst"));
    }
}
