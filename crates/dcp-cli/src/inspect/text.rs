//! A checkpoint for people.

use std::collections::BTreeSet;
use std::io::Write;

use dcp::crates::dcp_storage::DataName;
use dcp::crates::dcp_types::{Chunks, TensorEntry};
use dcp::{Checkpoint, DeviceMesh};

use super::count;
use super::digest::Digester;
use super::located::{Located, file};
use super::short::short;
use super::values::Values;
use crate::columns::{Align, Columns};
use crate::failure::Failure;
use crate::units::{self, printable};

/// So many chunks are looked for in files; of those beyond, just their number is told.
const CHUNKS: u64 = 1 << 18;
/// So many meshes are named.
const MESHES: usize = 4;
/// About how many characters of a value are shown.
const VALUE: usize = 60;

pub(super) fn write(checkpoint: &Checkpoint, digest: bool, out: &mut dyn Write) -> Result<(), Failure> {
    header(checkpoint, out)?;
    out.write_all(b"\n")?;
    entries(checkpoint, digest, out)
}

fn tensors(checkpoint: &Checkpoint) -> impl Iterator<Item = &TensorEntry> {
    checkpoint.metadata().entries().filter_map(|(_, entry)| entry.as_tensor())
}

fn header(checkpoint: &Checkpoint, out: &mut dyn Write) -> Result<(), Failure> {
    let (mut number, mut bytes, mut chunks) = (0, 0u64, 0u64);
    let mut meshes: Vec<&DeviceMesh> = Vec::new();
    for tensor in tensors(checkpoint) {
        number += 1;
        bytes = bytes.saturating_add(tensor.nbytes());
        chunks = chunks.saturating_add(count(tensor));
        if let Chunks::Grid(grid) = &tensor.chunks
            && meshes.len() <= MESHES
            && !meshes.contains(&&**grid.mesh())
        {
            meshes.push(grid.mesh());
        }
    }
    let values = checkpoint.metadata().len() as u64 - number;
    writeln!(out, "{} checkpoint in {}", checkpoint.format(), printable(checkpoint.location()))?;
    let tensors = units::count(number, "tensor");
    writeln!(out, "{tensors} of {} and {}", units::bytes(bytes), units::count(values, "value"))?;
    writeln!(out, "{} {}", units::count(chunks, "chunk"), files(checkpoint, chunks)?)?;
    if !meshes.is_empty() {
        let more = if meshes.len() > MESHES { ", and more" } else { "" };
        let shown: Vec<String> = meshes.iter().take(MESHES).map(|mesh| describe(mesh)).collect();
        writeln!(out, "saved on {}{more}", shown.join(", "))?;
    }
    Ok(())
}

/// In how many files of how many ranks the chunks lie. Finds out that these files are there, too.
fn files(checkpoint: &Checkpoint, chunks: u64) -> Result<String, Failure> {
    let mut located = Located::new(checkpoint);
    let mut names = BTreeSet::new();
    for _ in 0..chunks.min(CHUNKS) {
        let Some(locator) = located.next()? else { break };
        if let Some(name) = file(&locator)
            && !names.contains(name)
        {
            names.insert(name.to_owned());
        }
    }
    let rank = |name: &String| {
        let path = dcp::crates::dcp_storage::StorePath::parse(name).ok()?;
        Some(DataName::parse(&path)?.rank)
    };
    let ranks: BTreeSet<u32> = names.iter().filter_map(rank).collect();
    let least = if chunks > CHUNKS { "at least " } else { "" };
    let of_ranks = match ranks.len() as u64 {
        0 => String::new(),
        ranks => format!(" of {}", units::count(ranks, "rank")),
    };
    Ok(format!("in {least}{}{of_ranks}", units::count(names.len() as u64, "file")))
}

/// A mesh, as `mesh dp=4 x tp=2`.
fn describe(mesh: &DeviceMesh) -> String {
    let named = |(dim, ways): (usize, &u32)| match mesh.names().get(dim) {
        Some(name) => format!("{}={ways}", printable(name)),
        None => ways.to_string(),
    };
    let dims: Vec<String> = mesh.shape().iter().enumerate().map(named).collect();
    format!("mesh {}", dims.join(" x "))
}

fn entries(checkpoint: &Checkpoint, digest: bool, out: &mut dyn Write) -> Result<(), Failure> {
    use Align::{Left, Right};
    let mut columns = Columns::new([Left, Left, Left, Left, Right, Right, Left]);
    let head = ["name", "dtype", "shape", "placements", "chunks", "bytes", if digest { "sha256" } else { "" }];
    columns.fit(&head);
    let entries = || checkpoint.metadata().entries();
    // Twice over the entries, rather than to hold a row for each.
    for (fqn, entry) in entries() {
        let name = printable(fqn.as_str()).into_owned();
        match entry.as_tensor() {
            Some(tensor) => columns.fit(&row(name, tensor)),
            None => columns.fit(&[name]),
        }
    }
    columns.write(out, 0, &head)?;
    let mut values = Values::new(checkpoint);
    let mut digester = Digester::default();
    for (fqn, entry) in entries() {
        let name = printable(fqn.as_str()).into_owned();
        let Some(tensor) = entry.as_tensor() else {
            let value = values.next()?.map_or(String::new(), |value| short(&value, VALUE));
            columns.write(out, 0, &[name, "value".into(), value])?;
            continue;
        };
        let mut row = row(name, tensor);
        if digest {
            row.push(digester.sha256(checkpoint, fqn.as_str(), tensor)?);
        }
        columns.write(out, 0, &row)?;
    }
    Ok(())
}

/// The cells of a tensor, but for its digest.
fn row(name: String, tensor: &TensorEntry) -> Vec<String> {
    let list = |items: Vec<String>| items.join(", ");
    let shape = list(tensor.shape.dims().iter().map(ToString::to_string).collect());
    let placements = match &tensor.chunks {
        Chunks::Whole => "whole".into(),
        Chunks::Grid(grid) => list(grid.placements().iter().map(ToString::to_string).collect()),
        _ => "listed".into(),
    };
    let chunks = count(tensor).to_string();
    vec![name, tensor.dtype.to_string(), format!("[{shape}]"), placements, chunks, units::bytes(tensor.nbytes())]
}
