//! The example in docs/format.md is a bundle that this crate writes.
//! Takes the text of the document, compares its bytes.

use std::fmt::Write as _;

use bundle_oci::Digest;

use crate::testing::{bundle, key, statement};
use crate::{Entry, Layout};

const SPECIFICATION: &str = include_str!("../../docs/format.md");
const LAYER: &[u8] = b"layer";

/// As `hexdump -C` writes it: repeated lines are one `*`.
fn hexdump(bytes: &[u8], start: u64) -> String {
    let mut text = String::new();
    let mut last: Option<&[u8]> = None;
    let mut starred = false;
    for (row, line) in bytes.chunks(16).enumerate() {
        if last == Some(line) {
            if !starred {
                text.push_str("*\n");
            }
            starred = true;
            continue;
        }
        (last, starred) = (Some(line), false);
        let hex = |half: &[u8]| half.iter().map(|byte| format!("{byte:02x} ")).collect::<String>();
        let (left, right) = line.split_at(line.len().min(8));
        let shown = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        let ascii: String = line.iter().map(shown).collect();
        let offset = start + 16 * row as u64;
        let _ = writeln!(text, "{offset:08x}  {:<24} {:<24} |{ascii}|", hex(left), hex(right));
    }
    text
}

fn block(kind: &str, text: &str) -> String {
    format!("```{kind}\n{}\n```\n", text.trim_end())
}

/// Every block of the example, in the order of the document.
fn blocks() -> Vec<String> {
    let bytes = bundle(&[LAYER]);
    let statement = statement(&[LAYER]);
    let head = statement.to_bytes();
    let layout = Layout::of(&statement, head.len() as u64);
    let mut table = String::new();
    for entry in layout.entries() {
        let Entry { name, offset, size } = entry;
        let _ = writeln!(table, "{:>6}  {offset:>6}  {size:>5}  {name}", entry.header_offset());
    }
    let _ = writeln!(table, "{:>6}  two blocks of zeros, up to {}", layout.size() - 1024, layout.size());
    let first = &layout.entries()[0];
    let signature = &layout.entries()[1];
    let slice = |from: u64, length: u64| &bytes[from as usize..(from + length) as usize];
    vec![
        block("text", &table),
        block("text", &hexdump(slice(0, 512), 0)),
        block("json", std::str::from_utf8(&head).unwrap()),
        block("text", &hexdump(slice(signature.header_offset(), 1024), signature.header_offset())),
        block("json", std::str::from_utf8(&statement.index_json()).unwrap()),
        block("pem", &key().public().to_pem().unwrap()),
        format!("`{}`", Digest::of(&head)),
        format!("`{}`", Digest::of(&bytes)),
        format!("{} bytes of `bundle.json`", first.size),
    ]
}

#[test]
fn the_example_of_the_specification_is_what_is_written() {
    for block in blocks() {
        assert!(SPECIFICATION.contains(&block), "docs/format.md does not have\n{block}");
    }
}
