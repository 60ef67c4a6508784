//! A comparison as text, and as Markdown.

use super::row::{Comparison, Row};

/// For a terminal.
pub(crate) fn text(comparison: &Comparison) -> String {
    let first = comparison.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default().max(12);
    let mut lines = format!("\n{}: {} [{}]\n", comparison.name, comparison.what, comparison.unit.symbol());
    let mut header = format!("  {:first$}", "");
    for who in &comparison.contestants {
        header += &format!("  {who:>WIDTH$}");
    }
    lines.push_str(header.trim_end());
    lines.push('\n');
    for row in &comparison.rows {
        let mut line = format!("  {:first$}", row.what);
        for cell in cells(comparison, row) {
            line += &format!("  {cell:>WIDTH$}");
        }
        for (number, verdict) in verdicts(row).enumerate() {
            line += &format!("{}{verdict}", if number == 0 { "   " } else { "; " });
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

/// For the documentation.
pub(crate) fn markdown(comparison: &Comparison) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut header = vec![comparison.unit.symbol().to_owned()];
    header.extend(comparison.contestants.iter().map(ToString::to_string));
    header.push("goals".to_owned());
    let mut lines = line(&header) + &line(&vec!["---".to_owned(); header.len()]);
    for row in &comparison.rows {
        let mut all = vec![row.what.clone()];
        all.extend(cells(comparison, row));
        all.push(verdicts(row).collect::<Vec<_>>().join("; "));
        lines += &line(&all);
    }
    lines
}

fn cells(comparison: &Comparison, row: &Row) -> Vec<String> {
    let show = |value| comparison.unit.show(value);
    comparison.contestants.iter().map(|who| row.of(who).map_or("-".to_owned(), show)).collect()
}

fn verdicts(row: &Row) -> impl Iterator<Item = String> {
    row.verdicts.iter().map(|verdict| format!("{}: {}", verdict.goal, verdict.outcome()))
}

const WIDTH: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestants::{DCP, PLAIN, TORCH};
    use crate::report::{Figure, Goal, Unit};

    fn comparison() -> Comparison {
        let mut comparison = Comparison::new("save", "2 GiB", Unit::GbPerSecond, &[PLAIN, DCP, TORCH]);
        let figures = vec![Figure::new(PLAIN, vec![5.0, 3.0, 4.0]), Figure::once(DCP, 3.9)];
        let goals = [(PLAIN, 0.9), (TORCH, 1.0)].map(|(than, at_least)| Goal::Times { of: DCP, than, at_least });
        comparison.push(Row::new("1 rank", figures), &goals);
        comparison
    }

    #[test]
    fn who_did_not_take_part_has_an_empty_cell() {
        let expected = "\nsave: 2 GiB [GB/s]\n                     plain         dcp     PyTorch\n  1 rank              \
                        4.00        3.90           -   dcp >= 0.9 x plain: 0.97 met; dcp >= 1 x PyTorch: not measured\n";
        assert_eq!(text(&comparison()), expected);
    }

    #[test]
    fn markdown_has_the_same_cells() {
        let expected = "| GB/s | plain | dcp | PyTorch | goals |\n| --- | --- | --- | --- | --- |\n| 1 rank | 4.00 | 3.90 | - | \
                        dcp >= 0.9 x plain: 0.97 met; dcp >= 1 x PyTorch: not measured |\n";
        assert_eq!(markdown(&comparison()), expected);
    }
}
