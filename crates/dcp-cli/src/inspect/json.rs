//! A checkpoint for programs. Nothing of it is held but what is being written.

use std::io::Write;

use dcp::crates::dcp_types::{Chunks, Entry, EntryKind, TensorEntry};
use dcp::{Checkpoint, DeviceMesh, Fqn};
use serde::Serialize;

use super::digest::Digester;
use super::located::{Located, file};
use super::value::Json;
use super::values::Values;
use crate::failure::Failure;

/// Writes the checkpoint as one object, an entry a line.
pub(super) fn write(checkpoint: &Checkpoint, digest: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let mut report =
        Report { checkpoint, located: Located::new(checkpoint), values: Values::new(checkpoint), digester: None, out };
    report.digester = digest.then(Digester::default);
    report.write()
}

struct Report<'c, 'o> {
    checkpoint: &'c Checkpoint,
    located: Located<'c>,
    values: Values<'c>,
    digester: Option<Digester>,
    out: &'o mut dyn Write,
}

impl Report<'_, '_> {
    fn write(&mut self) -> Result<(), Failure> {
        self.out.write_all(b"{")?;
        self.field("format", &self.checkpoint.format())?;
        self.out.write_all(b", \"entries\": [")?;
        for (number, (fqn, entry)) in self.checkpoint.metadata().entries().enumerate() {
            self.out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
            self.entry(number, fqn, entry)?;
        }
        Ok(self.out.write_all(b"\n]}\n")?)
    }

    fn entry(&mut self, number: usize, fqn: &Fqn, entry: &Entry) -> Result<(), Failure> {
        let tensor = entry.as_tensor();
        let kind = match &entry.kind {
            EntryKind::Tensor(_) => "tensor",
            EntryKind::Object => "object",
            _ => "value",
        };
        let grid = tensor.and_then(|tensor| match &tensor.chunks {
            Chunks::Grid(grid) => Some(grid),
            _ => None,
        });
        let placements = grid.map(|grid| grid.placements().iter().map(ToString::to_string).collect::<Vec<_>>());
        self.out.write_all(b"{")?;
        self.field("fqn", &fqn.as_str())?;
        self.next_field("kind", &kind)?;
        self.next_field("dtype", &tensor.map(|tensor| tensor.dtype.name()))?;
        self.next_field("shape", &tensor.map(|tensor| tensor.shape.dims()))?;
        self.next_field("mesh", &grid.map(|grid| Mesh::of(grid.mesh())))?;
        self.next_field("placements", &placements)?;
        match tensor {
            Some(tensor) => self.tensor(number, fqn, tensor)?,
            None => {
                let value = self.values.next()?;
                self.next_field("chunks", &())?;
                self.next_field("value", &value.as_ref().map(Json::new))?;
                self.next_field("sha256", &())?;
            }
        }
        Ok(self.out.write_all(b"}")?)
    }

    fn tensor(&mut self, number: usize, fqn: &Fqn, tensor: &TensorEntry) -> Result<(), Failure> {
        self.out.write_all(b", \"chunks\": [")?;
        let mut first = true;
        while let Some((chunk, locator)) = self.located.next_of(number)? {
            if !std::mem::take(&mut first) {
                self.out.write_all(b", ")?;
            }
            let (offsets, sizes) = (chunk.region.offsets(), chunk.region.sizes());
            serde_json::to_writer(&mut *self.out, &Chunk { offsets, sizes, file: file(&locator) })?;
        }
        self.out.write_all(b"]")?;
        let digester = self.digester.as_mut();
        let sha256 = digester.map(|digester| digester.sha256(self.checkpoint, fqn.as_str(), tensor)).transpose()?;
        self.next_field("value", &())?;
        self.next_field("sha256", &sha256)
    }

    fn next_field(&mut self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        self.out.write_all(b", ")?;
        self.field(name, value)
    }

    fn field(&mut self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        write!(self.out, "\"{name}\": ")?;
        Ok(serde_json::to_writer(&mut *self.out, value)?)
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    offsets: &'a [u64],
    sizes: &'a [u64],
    file: Option<&'a str>,
}

#[derive(Serialize)]
struct Mesh<'a> {
    shape: &'a [u32],
    dim_names: Option<&'a [String]>,
}

impl<'a> Mesh<'a> {
    fn of(mesh: &'a DeviceMesh) -> Self {
        let names = mesh.names();
        Self { shape: mesh.shape(), dim_names: (!names.is_empty()).then_some(names) }
    }
}
