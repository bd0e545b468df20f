//! Progress as lines of text. Takes a [`Snapshot`] and a width in columns; gives lines that fit, with long names
//! cut in their middle, where the least of a name is.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::output::safe;
use crate::progress::tally::{Current, Snapshot};
use crate::size::{Bytes, Took, count};

/// The most images that are shown by themselves.
const MOST_SHOWN: usize = 4;
/// The most images that a line names.
const MOST_NAMED: usize = 3;
/// A bar narrower than this says nothing.
const LEAST_BAR: usize = 10;
/// A bar wider than this says no more.
const MOST_BAR: usize = 40;

/// All lines for a terminal of so many columns and rows.
pub(crate) fn screen(shown: &Snapshot, columns: usize, rows: usize) -> Vec<String> {
    // The last column stays free: some terminals wrap when it is written to.
    let width = columns.saturating_sub(1).max(1);
    let mut lines = vec![headline(shown, width)];
    let most = MOST_SHOWN.min(rows.saturating_sub(3));
    let images = &shown.current[..shown.current.len().min(most)];
    let names = images.iter().map(|image| safe(&image.name).width()).max().unwrap_or_default();
    let sizes: Vec<String> = images.iter().map(size).collect();
    let sizes_width = sizes.iter().map(|size| size.width()).max().unwrap_or_default();
    let room = names.min(width.saturating_sub(sizes_width + 4));
    for (image, size) in images.iter().zip(sizes) {
        let name = middle(&safe(&image.name), room);
        let padding = " ".repeat(room.saturating_sub(name.width()));
        lines.push(end(&format!("  {name}{padding}  {size:>sizes_width$}"), width));
    }
    if shown.current.len() > images.len() && !images.is_empty() {
        lines.push(end(&format!("  and {} more", shown.current.len() - images.len()), width));
    }
    lines
}

/// One line without an end, for logs.
pub(crate) fn line(shown: &Snapshot) -> String {
    let mut parts = vec![amount(shown)];
    parts.extend(shown.rate.map(|rate| format!("{}/s", Bytes(rate))));
    parts.extend(shown.left.map(|left| format!("{} left", Took(left).to_string().replace(".0 s", " s"))));
    parts.extend(images(shown));
    parts.retain(|part| !part.is_empty());
    let mut line = shown.stage.to_owned();
    if !parts.is_empty() {
        line.push_str(&format!(": {}", parts.join(", ")));
    }
    let named: Vec<String> = shown.current.iter().take(MOST_NAMED).map(|image| safe(&image.name)).collect();
    if !named.is_empty() {
        line.push_str(&format!("; now {}", named.join(", ")));
        let more = shown.current.len() - named.len();
        if more > 0 {
            line.push_str(&format!(" and {more} more"));
        }
    }
    line
}

/// The line at the end of a stage.
pub(crate) fn ended(shown: &Snapshot) -> String {
    let mut parts = Vec::new();
    if shown.all_bytes.is_some() || shown.bytes > 0 {
        parts.push(match shown.all_bytes.filter(|all| *all != shown.bytes) {
            Some(all) => format!("{} of {}", Bytes(shown.bytes), Bytes(all)),
            None => Bytes(shown.bytes).to_string(),
        });
    }
    parts.extend(images(shown));
    if shown.present > 0 {
        parts.push(format!("{} already there", Bytes(shown.present)));
    }
    if parts.is_empty() {
        parts.push("done".to_owned());
    }
    format!("{}: {} in {}", shown.stage, parts.join(", "), Took(shown.elapsed))
}

/// The first line: as much of it as there is room for, the most telling parts first.
fn headline(shown: &Snapshot, width: usize) -> String {
    let stage = shown.stage.to_owned();
    let percent = shown.all_bytes.filter(|all| *all > 0).map(|all| {
        let share = u128::from(shown.bytes) * 100 / u128::from(all);
        format!("{share:>3}%")
    });
    let left = shown.left.map(|left| format!("{} left", Took(left).to_string().replace(".0 s", " s")));
    let rate = shown.rate.map(|rate| format!("{}/s", Bytes(rate)));
    // In the order that they are shown in, with the order that they are left out in.
    let mut parts: Vec<(u8, String)> = vec![(0, stage)];
    parts.extend(percent.map(|percent| (3, percent)));
    parts.push((1, amount(shown)));
    parts.extend(rate.map(|rate| (5, rate)));
    parts.extend(left.map(|left| (2, left)));
    parts.extend(images(shown).map(|images| (4, images)));
    parts.retain(|(_, part)| !part.is_empty());
    let joined =
        |parts: &[(u8, String)]| parts.iter().map(|(_, part)| part.as_str()).collect::<Vec<_>>().join("  ");
    while parts.len() > 1 && joined(&parts).width() > width {
        let last = parts.iter().map(|(order, _)| *order).max().unwrap_or_default();
        parts.retain(|(order, _)| *order != last);
    }
    let free = width.saturating_sub(joined(&parts).width() + 2);
    if let Some(all) = shown.all_bytes.filter(|all| *all > 0)
        && free >= LEAST_BAR
    {
        parts.insert(1, (9, bar(shown.bytes, all, free.min(MOST_BAR))));
    }
    end(&joined(&parts), width)
}

fn amount(shown: &Snapshot) -> String {
    match shown.all_bytes {
        Some(all) => format!("{} of {}", Bytes(shown.bytes), Bytes(all)),
        None if shown.bytes > 0 => Bytes(shown.bytes).to_string(),
        None => String::new(),
    }
}

fn images(shown: &Snapshot) -> Option<String> {
    let all = (shown.all_images > 0).then_some(shown.all_images)?;
    Some(format!("{} of {}", shown.images, count(all, "image")))
}

fn size(image: &Current) -> String {
    format!("{} of {}", Bytes(image.bytes), Bytes(image.all_bytes))
}

fn bar(done: u64, all: u64, width: usize) -> String {
    let inner = width.saturating_sub(2);
    let full =
        usize::try_from(u128::from(done) * inner as u128 / u128::from(all)).unwrap_or(inner).min(inner);
    format!("[{}{}]", "#".repeat(full), "-".repeat(inner - full))
}

/// A text of at most so many columns, cut in its middle: hosts are alike at their starts, and tags are at the end.
fn middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let tail = room - room / 3;
    let start = taken(text.chars(), room - tail);
    let back: String = taken(text.chars().rev(), tail).chars().rev().collect();
    if width == 0 { String::new() } else { format!("{start}…{back}") }
}

/// A text of at most so many columns, cut at its end.
fn end(text: &str, width: usize) -> String {
    if text.width() <= width { text.to_owned() } else { taken(text.chars(), width) }
}

fn taken(characters: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 0;
    let fits = |character: &char| {
        used += character.width().unwrap_or_default();
        used <= width
    };
    characters.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn current(name: &str, bytes: u64) -> Current {
        Current { name: name.to_owned(), bytes, all_bytes: 40 << 20 }
    }

    fn slow() -> Snapshot {
        Snapshot {
            stage: "fetching",
            bytes: 13_000_000,
            all_bytes: Some(92_000_000),
            present: 0,
            images: 3,
            all_images: 12,
            current: vec![
                current("nginx:1.25", 3 << 20),
                current(
                    "registry.example/platform/team/very-long-name-of-a-service/component-number-7:2.31.0-rc.4",
                    0,
                ),
            ],
            rate: Some(80_000),
            left: Some(Duration::from_secs(988)),
            elapsed: Duration::from_secs(163),
        }
    }

    #[test]
    fn a_narrow_terminal_shows_the_most_telling_parts_and_names_cut_in_the_middle() {
        assert_eq!(
            screen(&slow(), 80, 24),
            [
                "fetching   14%  12.4 MiB of 87.7 MiB  78.1 KiB/s  16m 28s left  3 of 12 images",
                "  nginx:1.25                                                3.0 MiB of 40.0 MiB",
                "  registry.example/p…ervice/component-number-7:2.31.0-rc.4      0 B of 40.0 MiB",
            ]
            .map(str::to_owned)
        );
    }

    #[test]
    fn a_wide_terminal_shows_a_bar_and_whole_names() {
        let lines = screen(&slow(), 200, 24);
        assert!(
            lines[0].contains("fetching  [#####---") && lines[0].ends_with("3 of 12 images"),
            "{lines:#?}"
        );
        assert!(
            lines[2].contains("/very-long-name-of-a-service/component-number-7:2.31.0-rc.4 "),
            "{lines:#?}"
        );
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let mut shown = slow();
        shown
            .current
            .push(current("r.example/日本語/画像画像画像画像画像画像画像画像画像画像画像画像画像画像:1", 1));
        shown.current.extend((0..9).map(|number| current(&format!("r.example/a:{number}"), 1)));
        for columns in 1..220 {
            for line in screen(&shown, columns, 24) {
                assert!(line.width() < columns.max(2), "{columns}: {line}");
            }
        }
        assert_eq!(screen(&shown, 80, 24).len(), 6);
        assert_eq!(screen(&shown, 80, 4).len(), 3, "a small terminal is not filled");
    }

    #[test]
    fn lines_say_the_same_as_bars() {
        assert_eq!(
            line(&Snapshot { current: vec![current("nginx:1.25", 1)], ..slow() }),
            "fetching: 12.4 MiB of 87.7 MiB, 78.1 KiB/s, 16m 28s left, 3 of 12 images; now nginx:1.25"
        );
        assert_eq!(
            line(&Snapshot { rate: None, left: None, current: Vec::new(), ..slow() }),
            "fetching: 12.4 MiB of 87.7 MiB, 3 of 12 images"
        );
        let resolving = Snapshot { stage: "resolving", images: 3, all_images: 12, ..Snapshot::default() };
        assert_eq!(line(&resolving), "resolving: 3 of 12 images");
        assert_eq!(screen(&resolving, 80, 24), ["resolving  3 of 12 images"]);
        let done = Snapshot { bytes: 92_000_000, images: 12, present: 1 << 20, ..slow() };
        assert_eq!(ended(&done), "fetching: 87.7 MiB, 12 of 12 images, 1.0 MiB already there in 2m 43s");
    }
}
