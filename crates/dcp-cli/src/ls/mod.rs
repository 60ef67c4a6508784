//! `dcpctl ls`.

mod json;
mod text;

use std::io::Write;

use dcp::{CatalogState, Location, Opener};

use crate::args::Ls;
use crate::failure::Failure;
use crate::units;

pub(crate) fn ls(location: Location, opener: &Opener, args: &Ls, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(path) = location.path() {
        // A store that is not there yet is one without objects.
        path.metadata().map_err(|error| Failure::path("list", path, &error))?;
    }
    let catalog = opener.catalog(location)?;
    if args.json { json::write(&catalog, out) } else { text::write(&catalog, out) }?;
    let unreadable = catalog.checkpoints.iter().filter_map(|checkpoint| match &checkpoint.state {
        CatalogState::Unreadable(error) => Some((&checkpoint.location, error)),
        _ => None,
    });
    let unreadable: Vec<_> = unreadable.collect();
    let Some((location, error)) = unreadable.first() else { return Ok(()) };
    let (number, of) =
        (units::grouped(unreadable.len() as u64), units::count(catalog.checkpoints.len() as u64, "checkpoint"));
    Err(Failure::Bad(format!("{number} of {of} cannot be read; {location}: {error}")))
}
