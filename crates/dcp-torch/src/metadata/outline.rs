//! Tensors with their chunks, from what the pickle says of them.

use dcp_types::{DType, Region, Shape};

use super::draft::RoughKind;
use super::extents::{ExtentList, Extents};
use super::flaw::Flaw;
use super::states::{Object, Tensor, leaf};
use super::words::{Atom, Class, Words};
use crate::beside::in_halves;
use crate::pickle::Node;

/// What a `state_dict` lists, without the nodes of the pickle, which stay on their thread.
pub(super) enum Outline {
    Value,
    Tensor {
        dtype: DType,
        size: Extents,
        /// Offsets and sizes.
        chunks: Vec<[Extents; 2]>,
        /// What comes after these chunks, if that is none.
        flaw: Option<Flaw>,
    },
}

pub(super) fn outline<'a>(what: &Node<'a, Words<'a>>, words: &Words<'a>) -> Result<Outline, Flaw> {
    match leaf(what) {
        Some(Atom::Bytes) => return Ok(Outline::Value),
        Some(Atom::Flawed(flaw)) => return Err(words.flaw(flaw)),
        _ => {}
    }
    let Node::Object(object) = what else { return Err(Flaw::corrupt(format_args!("it is {}", what.kind()))) };
    match &*object.borrow() {
        Object::Tensor(tensor) => Ok(outline_of(tensor, words)),
        Object::New(Class::Bytes) => Ok(Outline::Value),
        _ => Err(Flaw::corrupt("it is neither a tensor nor an object")),
    }
}

fn outline_of<'a>(tensor: &Tensor<'a>, words: &Words<'a>) -> Outline {
    let mut chunks = Vec::new();
    let flaw = match &tensor.chunks {
        Node::List(listed) => {
            let listed = listed.borrow();
            chunks.reserve_exact(listed.len());
            listed.iter().find_map(|chunk| match leaf(chunk) {
                Some(Atom::Chunk { offsets, sizes }) => {
                    chunks.push([offsets, sizes]);
                    None
                }
                Some(Atom::Flawed(flaw)) => Some(words.flaw(flaw)),
                _ => Some(Flaw::corrupt(format_args!("{} as a chunk", chunk.kind()))),
            })
        }
        _ => Some(Flaw::corrupt("its chunks are no list")),
    };
    Outline::Tensor { dtype: tensor.dtype, size: tensor.size, chunks, flaw }
}

/// From so many chunks on it pays to start another thread.
const MANY: usize = 1 << 16;

/// The entries that have these outlines. Of millions of chunks, making room for the regions takes longest.
pub(super) fn rough_kinds(outlines: &[Result<Outline, Flaw>], extents: &ExtentList) -> Vec<Result<RoughKind, Flaw>> {
    let kind_of = |outline: &Result<Outline, Flaw>| rough_kind(outline.as_ref().map_err(Flaw::clone)?, extents);
    let chunks = outlines.iter().flatten().map(Outline::chunks).sum::<usize>();
    if chunks < MANY { outlines.iter().map(kind_of).collect() } else { in_halves(outlines, kind_of) }
}

impl Outline {
    fn chunks(&self) -> usize {
        if let Self::Tensor { chunks, .. } = self { chunks.len() } else { 0 }
    }
}

fn rough_kind(outline: &Outline, extents: &ExtentList) -> Result<RoughKind, Flaw> {
    let Outline::Tensor { dtype, size, chunks, flaw } = outline else { return Ok(RoughKind::Value(None)) };
    let shape = Shape::new(extents.get(*size).iter().copied()).map_err(Flaw::corrupt)?;
    let (mut regions, mut starts) = (Vec::with_capacity(chunks.len()), Vec::with_capacity(chunks.len()));
    for chunk in chunks {
        let [offsets, sizes] = chunk.map(|listed| extents.get(listed).iter().copied());
        let region = Region::new(offsets, sizes).map_err(Flaw::corrupt)?;
        if !region.fits(shape.dims()) {
            return Err(Flaw::corrupt(format_args!("the chunk {region} is not inside {:?}", shape.dims())));
        }
        starts.push(Some(chunk[0]).filter(|_| !region.is_empty()));
        regions.push(region);
    }
    if let Some(flaw) = flaw {
        return Err(flaw.clone());
    }
    let slots = vec![None; regions.len()];
    Ok(RoughKind::Tensor { dtype: *dtype, shape, regions, starts, slots })
}
