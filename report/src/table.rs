//! A table for terminals: heads, columns of one width, and lines below a row that belong to it.
//! Takes cells, gives whole lines. Cells are escaped here, so that one cell is one cell.

use bundle_oci::Printable;

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<(Vec<String>, Vec<String>)>,
}

/// Between two columns.
const GAP: &str = "  ";

/// A cell that is wider stands alone, and widens no column.
const WIDEST: usize = 60;

impl Table {
    /// A table without rows.
    pub(crate) fn new(heads: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Self { heads: heads.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row, and lines that stand below it.
    pub(crate) fn row(
        &mut self,
        cells: impl IntoIterator<Item = String>,
        below: impl IntoIterator<Item = String>,
    ) {
        let printable = |text: String| Printable(&text).to_string();
        let cells = cells.into_iter().map(printable).collect();
        self.rows.push((cells, below.into_iter().map(printable).collect()));
    }

    /// The lines with their heads; nothing if there is no row. A column without any text is left out.
    pub(crate) fn text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let width = |text: &str| text.chars().count();
        let widths: Vec<Option<usize>> = (0..self.heads.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|(cells, _)| cells.get(column));
                let filled = cells.map(|cell| width(cell)).filter(|width| *width > 0);
                let widest = filled.map(|width| if width > WIDEST { 0 } else { width }).max()?;
                Some(widest.max(self.heads[column].0.len()))
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for ((cell, (_, align)), wide) in cells.zip(&self.heads).zip(&widths) {
                let Some(wide) = wide else { continue };
                let fill = " ".repeat(wide.saturating_sub(width(cell)));
                let cell = match align {
                    Align::Left => format!("{cell}{fill}"),
                    Align::Right => format!("{fill}{cell}"),
                };
                line.push_str(&format!("{cell}{GAP}"));
            }
            format!("{}\n", line.trim_end())
        };
        let mut text = line(&mut self.heads.iter().map(|(head, _)| *head));
        for (cells, below) in &self.rows {
            text.push_str(&line(&mut cells.iter().map(String::as_str)));
            below.iter().for_each(|note| text.push_str(&format!("    {note}\n")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_text_and_a_cell_is_one_cell() {
        let mut table = Table::new([
            ("CHANGE", Align::Left),
            ("SIZE", Align::Right),
            ("EMPTY", Align::Left),
            ("IMAGE", Align::Left),
        ]);
        assert_eq!(table.text(), "");
        let cells = |cells: [&str; 4]| cells.map(str::to_owned);
        table.row(cells(["new", "1.0 KiB", "", "cache/a\n\u{1b}[31m"]), ["lost platforms: x".to_owned()]);
        table.row(cells(["updated", "2 B", "", &"long".repeat(50)]), []);
        assert_eq!(
            table.text(),
            format!(
                "CHANGE      SIZE  IMAGE\n\
                 new      1.0 KiB  cache/a\\u{{a}}\\u{{1b}}[31m\n    lost platforms: x\n\
                 updated      2 B  {}\n",
                "long".repeat(50)
            )
        );
    }
}
