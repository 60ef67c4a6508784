//! `dcpctl reshard`.

pub(crate) mod mesh;
pub(crate) mod placement;

use std::io::Write;

use dcp::{Converter, DeviceMesh};

use crate::args::Reshard;
use crate::convert::{Rewriting, format, rewrite};
use crate::failure::Failure;

pub(crate) fn reshard(rewriting: Rewriting<'_>, args: &Reshard, out: &mut dyn Write) -> Result<(), Failure> {
    let mesh = match (&args.mesh, args.ranks) {
        (Some(mesh), _) => mesh.clone(),
        (None, ranks) => DeviceMesh::new([ranks.unwrap_or(1)])?,
    };
    let rules = args.placements.iter().map(|rule| (rule.glob.as_str(), rule.placements.clone()));
    let mut converter = Converter::new().reshard(mesh, rules)?;
    if let Some(format) = format(&rewriting, &args.rewrite) {
        converter = converter.to_named(format);
    }
    rewrite(converter, rewriting, &args.rewrite, out)
}
