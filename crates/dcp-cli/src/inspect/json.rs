//! A checkpoint for programs. Nothing of it is held but what is being written.

use std::io::Write;

use dcp::crates::dcp_types::{Chunks, Entry, EntryKind, TensorEntry};
use dcp::{Checkpoint, DeviceMesh, Finding, Fqn, Value};
use serde::Serialize;

use super::digest::Digester;
use super::located::{Located, file};
use super::trouble::{Trouble, fault};
use super::value::Json;
use super::values::Values;
use crate::failure::Failure;

/// Writes the checkpoint as one object, an entry a line.
pub(super) fn write(checkpoint: &Checkpoint, digest: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let (located, values) = (Located::new(checkpoint), Values::new(checkpoint));
    let digester = digest.then(Digester::default);
    let mut report = Report { checkpoint, located, values, digester, trouble: Trouble::default(), out };
    report.write()?;
    report.trouble.finish()
}

struct Report<'c, 'o> {
    checkpoint: &'c Checkpoint,
    located: Located<'c>,
    values: Values<'c>,
    digester: Option<Digester>,
    trouble: Trouble,
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
        for (number, finding) in self.checkpoint.findings().iter().enumerate() {
            let is_first = number == 0 && self.checkpoint.metadata().is_empty();
            self.out.write_all(if is_first { b"\n" } else { b",\n" })?;
            self.unsound(finding)?;
        }
        Ok(self.out.write_all(b"\n]}\n")?)
    }

    fn entry(&mut self, number: usize, fqn: &Fqn, entry: &Entry) -> Result<(), Failure> {
        let tensor = entry.as_tensor();
        let read = if tensor.is_some() { Ok(None) } else { self.values.next().transpose() };
        let (value, mut error) = match read {
            Ok(value) => (value, None),
            Err(error) => (None, Some(fault(error)?)),
        };
        // Not every index tells values from objects.
        let kind = match &entry.kind {
            EntryKind::Tensor(_) => "tensor",
            EntryKind::Object => "object",
            _ if value.as_ref().is_some_and(Value::has_opaque) => "object",
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
        let error = match tensor {
            Some(tensor) => self.tensor(number, fqn, tensor)?,
            None => {
                self.next_field("chunks", &())?;
                self.next_field("value", &value.as_ref().map(Json::new))?;
                self.next_field("sha256", &())?;
                error.take()
            }
        };
        if let Some(error) = error {
            self.error(fqn.as_str(), &error)?;
        }
        Ok(self.out.write_all(b"}")?)
    }

    /// Something that was left out of the metadata.
    fn unsound(&mut self, finding: &Finding) -> Result<(), Failure> {
        let fqn = finding.fqn.as_ref().map(Fqn::as_str);
        self.out.write_all(b"{")?;
        self.field("fqn", &fqn)?;
        self.next_field("kind", &"unsound")?;
        for name in ["dtype", "shape", "mesh", "placements", "chunks", "value", "sha256"] {
            self.next_field(name, &())?;
        }
        self.error(fqn.unwrap_or_default(), &finding.fault.to_string())?;
        Ok(self.out.write_all(b"}")?)
    }

    fn error(&mut self, fqn: &str, error: &str) -> Result<(), Failure> {
        self.trouble.count(fqn, error);
        self.next_field("error", &error)
    }

    /// Writes what only tensors have; says what is wrong, if something is.
    fn tensor(&mut self, number: usize, fqn: &Fqn, tensor: &TensorEntry) -> Result<Option<String>, Failure> {
        self.out.write_all(b", \"chunks\": [")?;
        let mut first = true;
        let mut wrong = None;
        while let Some((chunk, locator)) = self.located.next_of(number) {
            if !std::mem::take(&mut first) {
                self.out.write_all(b", ")?;
            }
            let (offsets, sizes) = (chunk.region.offsets(), chunk.region.sizes());
            let locator = match locator {
                Ok(locator) => Some(locator),
                Err(error) => {
                    wrong.get_or_insert(fault(error)?);
                    None
                }
            };
            serde_json::to_writer(&mut *self.out, &Chunk { offsets, sizes, file: locator.as_ref().and_then(file) })?;
        }
        self.out.write_all(b"]")?;
        let digester = self.digester.as_mut().filter(|_| wrong.is_none());
        let sha256 = match digester.map(|digester| digester.sha256(self.checkpoint, fqn.as_str(), tensor)).transpose() {
            Ok(sha256) => sha256,
            Err(error) => {
                wrong = Some(fault(error)?);
                None
            }
        };
        self.next_field("value", &())?;
        self.next_field("sha256", &sha256)?;
        Ok(wrong)
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
