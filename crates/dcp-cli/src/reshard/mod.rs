//! `dcpctl reshard`.

pub(crate) mod mesh;
pub(crate) mod placement;

use std::io::Write;

use dcp::{Converter, DeviceMesh, Location};

use crate::args::Reshard;
use crate::convert::{format, rewrite};
use crate::failure::Failure;

pub(crate) fn reshard(
    converter: Converter<'_>,
    places: [Location; 2],
    args: &Reshard,
    as_process: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mesh = match (&args.mesh, args.ranks) {
        (Some(mesh), _) => mesh.clone(),
        (None, ranks) => DeviceMesh::new([ranks.unwrap_or(1)])?,
    };
    let rules = args.placements.iter().map(|rule| (rule.glob.as_str(), rule.placements.clone()));
    let mut converter = converter.reshard(mesh, rules)?;
    if let Some(format) = format(&args.rewrite) {
        converter = converter.to_named(format)?;
    }
    rewrite(converter, places, &args.rewrite, as_process, out)
}
