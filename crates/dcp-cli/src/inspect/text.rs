//! A checkpoint for people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use dcp::crates::dcp_storage::DataName;
use dcp::crates::dcp_types::{Chunks, TensorEntry};
use dcp::{Checkpoint, DeviceMesh, Error, Fqn};

use super::digest::Digester;
use super::located::{Located, file};
use super::short::short;
use super::trouble::{Trouble, fault};
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
    let wrong = header(checkpoint, out)?;
    out.write_all(b"\n")?;
    entries(checkpoint, digest, &wrong, out)
}

fn tensors(checkpoint: &Checkpoint) -> impl Iterator<Item = &TensorEntry> {
    checkpoint.metadata().entries().filter_map(|(_, entry)| entry.as_tensor())
}

/// What is wrong with tensors, by entry.
type Wrong = BTreeMap<usize, String>;

fn header(checkpoint: &Checkpoint, out: &mut dyn Write) -> Result<Wrong, Failure> {
    let (mut number, mut bytes, mut chunks) = (0, 0u64, 0u64);
    let mut meshes: Vec<&DeviceMesh> = Vec::new();
    for tensor in tensors(checkpoint) {
        number += 1;
        bytes = bytes.saturating_add(tensor.nbytes());
        chunks = chunks.saturating_add(tensor.chunk_count());
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
    let (files, wrong) = files(checkpoint, chunks)?;
    writeln!(out, "{} {files}", units::count(chunks, "chunk"))?;
    if !meshes.is_empty() {
        let more = if meshes.len() > MESHES { ", and more" } else { "" };
        let shown: Vec<String> = meshes.iter().take(MESHES).map(|mesh| describe(mesh)).collect();
        writeln!(out, "saved on {}{more}", shown.join(", "))?;
    }
    Ok(wrong)
}

/// In how many files of how many ranks the chunks lie. Finds out that these files are there, too.
fn files(checkpoint: &Checkpoint, chunks: u64) -> Result<(String, Wrong), Failure> {
    let mut located = Located::new(checkpoint);
    let (mut names, mut wrong) = (BTreeSet::new(), Wrong::new());
    for _ in 0..chunks.min(CHUNKS) {
        let Some((entry, locator)) = located.next() else { break };
        let locator = match locator {
            Ok(locator) => locator,
            Err(error) => {
                let message = fault(error)?;
                wrong.entry(entry).or_insert(message);
                continue;
            }
        };
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
    Ok((format!("in {least}{}{of_ranks}", units::count(names.len() as u64, "file")), wrong))
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

fn entries(checkpoint: &Checkpoint, digest: bool, wrong: &Wrong, out: &mut dyn Write) -> Result<(), Failure> {
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
    let (mut values, mut digester, mut trouble) = (Values::new(checkpoint), Digester::default(), Trouble::default());
    for (number, (fqn, entry)) in entries().enumerate() {
        let name = printable(fqn.as_str()).into_owned();
        let (mut row, content) = match entry.as_tensor() {
            Some(tensor) => {
                let content = match wrong.get(&number) {
                    Some(wrong) => Err(wrong.clone()),
                    None if digest => told(digester.sha256(checkpoint, fqn.as_str(), tensor))?,
                    None => Ok(String::new()),
                };
                (row(name, tensor), content)
            }
            None => {
                let value = values.next().transpose().map(|value| value.map(|value| short(&value, VALUE)));
                (vec![name, "value".into()], told(value.map(Option::unwrap_or_default))?)
            }
        };
        row.push(content.unwrap_or_else(|message| {
            trouble.count(fqn.as_str(), &message);
            bad(&message)
        }));
        columns.write(out, 0, &row)?;
    }
    for finding in checkpoint.findings() {
        let (fqn, message) = (finding.fqn.as_ref().map_or("?", Fqn::as_str), finding.fault.to_string());
        trouble.count(fqn, &message);
        columns.write(out, 0, &[printable(fqn).into_owned(), "unsound".into(), bad(&message)])?;
    }
    trouble.finish()
}

/// What is there, or what is wrong with it.
fn told(content: Result<String, Error>) -> Result<Result<String, String>, Failure> {
    content.map_or_else(|error| Ok(Err(fault(error)?)), |content| Ok(Ok(content)))
}

fn bad(message: &str) -> String {
    format!("BAD: {}", printable(message))
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
    let chunks = tensor.chunk_count().to_string();
    vec![name, tensor.dtype.to_string(), format!("[{shape}]"), placements, chunks, units::bytes(tensor.nbytes())]
}
