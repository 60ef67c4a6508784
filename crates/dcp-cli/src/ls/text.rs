//! A list for people.

use std::io::Write;

use dcp::{Catalog, CatalogState, Cataloged};

use crate::columns::{Align, Columns};
use crate::failure::Failure;
use crate::units::{self, printable};

pub(super) fn write(catalog: &Catalog, out: &mut dyn Write) -> Result<(), Failure> {
    if catalog.checkpoints.is_empty() {
        return Ok(writeln!(out, "no checkpoints below {}", printable(&catalog.location))?);
    }
    let head = ["step", "format", "bytes", "state", "checkpoint"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(catalog.checkpoints.iter().map(row)).collect();
    let columns = Columns::new([Align::Right, Align::Left, Align::Right, Align::Left, Align::Left]);
    Ok(columns.write_all(out, 0, &rows)?)
}

fn row(checkpoint: &Cataloged) -> Vec<String> {
    let state = match &checkpoint.state {
        CatalogState::Complete => "complete",
        CatalogState::Unfinished { .. } => "unfinished",
        _ => "UNREADABLE",
    };
    let name = if checkpoint.name.is_empty() { checkpoint.location.to_string() } else { checkpoint.name.clone() };
    vec![
        checkpoint.step.map_or_else(|| "-".to_owned(), |step| step.to_string()),
        checkpoint.format.unwrap_or("-").to_owned(),
        units::bytes(checkpoint.bytes),
        state.to_owned(),
        printable(&name).into_owned(),
    ]
}
