//! Aligned columns.

use std::io::{self, Write};

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Columns as wide as the widest of what was fitted into them, two spaces apart. The rows themselves are not kept.
#[derive(Debug)]
pub(crate) struct Columns {
    columns: Vec<(Align, usize)>,
}

impl Columns {
    pub(crate) fn new(columns: impl IntoIterator<Item = Align>) -> Self {
        Self { columns: columns.into_iter().map(|align| (align, 0)).collect() }
    }

    /// Makes room for a row.
    pub(crate) fn fit(&mut self, cells: &[impl AsRef<str>]) {
        for ((_, width), cell) in self.columns.iter_mut().zip(cells) {
            *width = (*width).max(cell.as_ref().chars().count());
        }
    }

    /// Writes a row, which may have fewer cells than there are columns.
    pub(crate) fn write(&self, out: &mut dyn Write, indent: usize, cells: &[impl AsRef<str>]) -> io::Result<()> {
        let mut line = " ".repeat(indent);
        for (number, (&(align, width), cell)) in self.columns.iter().zip(cells).enumerate() {
            if number > 0 {
                line.push_str("  ");
            }
            line += &match align {
                Align::Left => format!("{:<width$}", cell.as_ref()),
                Align::Right => format!("{:>width$}", cell.as_ref()),
            };
        }
        writeln!(out, "{}", line.trim_end())
    }

    /// Writes rows that are all at hand.
    pub(crate) fn write_all(mut self, out: &mut dyn Write, indent: usize, rows: &[Vec<String>]) -> io::Result<()> {
        rows.iter().for_each(|row| self.fit(row));
        rows.iter().try_for_each(|row| self.write(out, indent, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["name", "bytes", ""], ["été", "10", "x"], ["b", "200 000", ""]].map(|row| row.map(str::to_owned));
        let mut out = Vec::new();
        let columns = Columns::new([Align::Left, Align::Right, Align::Left]);
        columns.write_all(&mut out, 1, &rows.map(Vec::from)).expect("written");
        assert_eq!(String::from_utf8_lossy(&out), " name    bytes\n été        10  x\n b     200 000\n");
    }
}
