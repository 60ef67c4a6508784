//! A list for programs: a line for each checkpoint.

use std::io::Write;

use dcp::{Catalog, CatalogState};
use serde_json::json;

use crate::failure::Failure;

pub(super) fn write(catalog: &Catalog, out: &mut dyn Write) -> Result<(), Failure> {
    for checkpoint in &catalog.checkpoints {
        let mut line = json!({
            "location": checkpoint.location.to_string(),
            "name": checkpoint.name,
            "step": checkpoint.step,
            "format": checkpoint.format,
            "objects": checkpoint.objects,
            "bytes": checkpoint.bytes,
        });
        let (state, key, what) = match &checkpoint.state {
            CatalogState::Unfinished { found } => ("unfinished", "found", found.to_string()),
            CatalogState::Unreadable(error) => ("unreadable", "error", error.to_string()),
            _ => ("complete", "", String::new()),
        };
        line["state"] = state.into();
        if !key.is_empty() {
            line[key] = what.into();
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}
