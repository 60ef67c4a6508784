//! Cutting a buffer that is loaded into, one piece for each read.

use dcp_types::{BufferPlace, HeldPart, ReadItem, ReadWhat, Region, TypesError, ViewMut};

use crate::{PartRead, PlanError, TensorRead};

/// Cuts a rank's buffer of a tensor into disjoint pieces, each with what is read into it.
///
/// Every element of a part that the rank holds is in exactly one piece; elements of the buffer that are no part of the
/// tensor (padding) are in none. A piece has the extents of the region of its item. There is one piece for each
/// [`RegionRead`](crate::RegionRead), or several: a region that a straight cut through the buffer must cross comes out in
/// parts, with items to match.
///
/// # Errors
/// [`PlanError::Types`] if a part or a read is not inside the buffer, two of them overlap, or reads leave some of a part out.
///
/// # Examples
///
/// ```
/// use dcp_planner::{PartRead, RegionRead, TensorRead, cut_target};
/// use dcp_types::{BufferPlace, Chunk, DType, HeldPart, Region, ViewMut};
///
/// // Rows 2 and 3 of a tensor [4, 3], each from another chunk.
/// let row = |at| Region::new([at, 0], [1, 3]);
/// let read = |region: Region| RegionRead { chunk: Chunk { region: region.clone(), number: 0 }, region };
/// let held = HeldPart { region: Region::new([2, 0], [2, 3])?, place: BufferPlace::Box(vec![0, 0]) };
/// let read = TensorRead {
///     target: "weight".into(),
///     entry: 0,
///     stored: DType::Float32,
///     wanted: DType::Float32,
///     parts: vec![PartRead { held, reads: vec![read(row(2)?), read(row(3)?)] }],
/// };
/// let mut buffer = ndarray::Array2::<f32>::zeros((2, 3));
/// let pieces = cut_target(&read, ViewMut::from_array(buffer.view_mut().into_dyn()))?;
/// assert_eq!(pieces.len(), 2);
/// assert!(pieces.iter().all(|(_, piece)| piece.shape() == [1, 3]));
/// # Ok::<(), dcp_planner::PlanError>(())
/// ```
pub fn cut_target<'a>(read: &TensorRead, buffer: ViewMut<'a>) -> Result<Vec<(ReadItem, ViewMut<'a>)>, PlanError> {
    cut(read, buffer).map_err(|fault| PlanError::types(&read.target, fault))
}

/// Twice: the parts out of the buffer, and what is read out of each part.
fn cut<'a>(read: &TensorRead, buffer: ViewMut<'a>) -> Result<Vec<(ReadItem, ViewMut<'a>)>, TypesError> {
    let footprints = read.parts.iter().map(|part| footprint(&part.held)).collect::<Result<Vec<_>, _>>()?;
    let mut pieces = Vec::new();
    for (view, at, number) in buffer.cut(footprints)? {
        let part = &read.parts[number];
        let (view, covers) = unfold(view, &at, &part.held)?;
        cut_part(read.entry, part, view, &covers, &mut pieces)?;
    }
    Ok(pieces)
}

/// What a part takes of the buffer, in the buffer's coordinates.
fn footprint(held: &HeldPart) -> Result<Region, TypesError> {
    match &held.place {
        BufferPlace::Box(offsets) => Region::new(offsets.iter().copied(), held.region.sizes().iter().copied()),
        BufferPlace::Flat(start) => Region::new([*start], [held.region.numel()]),
    }
}

/// A piece of the buffer with the extents that it has in the tensor, and what it covers there.
fn unfold<'a>(view: ViewMut<'a>, at: &Region, held: &HeldPart) -> Result<(ViewMut<'a>, Region), TypesError> {
    match &held.place {
        // The buffer may have been cut across the part.
        BufferPlace::Box(_) => {
            let covers = at.relative_to(&footprint(held)?)?.shifted(held.region.offsets())?;
            Ok((view, covers))
        }
        // In one dimension no cut crosses a part.
        BufferPlace::Flat(_) => Ok((view.into_flat_part(0, held.region.sizes())?, held.region.clone())),
    }
}

/// Cuts a view, which covers a region of the tensor, for the reads that meet it.
fn cut_part<'a>(
    entry: usize,
    part: &PartRead,
    view: ViewMut<'a>,
    covers: &Region,
    pieces: &mut Vec<(ReadItem, ViewMut<'a>)>,
) -> Result<(), TypesError> {
    let mut chunks = Vec::with_capacity(part.reads.len());
    let mut boxes = Vec::with_capacity(part.reads.len());
    for read in &part.reads {
        // Whatever lies outside the part lies outside of everything that is cut from it.
        read.region.relative_to(&part.held.region)?;
        if let Some(here) = read.region.intersect(covers) {
            chunks.push(&read.chunk);
            boxes.push(here.relative_to(covers)?);
        }
    }
    let (covered, total) = (boxes.iter().map(Region::numel).fold(0, u64::saturating_add), covers.numel());
    // Whoever overlaps may come to the same sum, but not through the cut.
    if covered < total {
        return Err(TypesError::Hole { covered, total });
    }
    for (piece, at, number) in view.cut(boxes)? {
        let region = at.shifted(covers.offsets())?;
        let what = ReadWhat::Region { chunk: chunks[number].clone(), region };
        pieces.push((ReadItem { entry, what }, piece));
    }
    Ok(())
}
