//! Cutting a buffer into disjoint boxes, so that several threads can fill it without sharing.

use crate::{Region, TypesError, ViewMut};

impl<'a> ViewMut<'a> {
    /// Cuts out disjoint boxes, each with something that is remembered with it.
    ///
    /// The cuts go through the whole view, and a box that lies across one comes out in parts: each result is a part
    /// of the box with its number in `boxes`. A part is given in this view's coordinates. What no box covers is dropped.
    ///
    /// Takes time in the order of n log n for n boxes that lie in a grid, and of n² log n for those that wind into each other.
    ///
    /// # Errors
    /// [`TypesError::OutOfBounds`] if a box is not inside the view; [`TypesError::Overlap`] if two boxes overlap.
    pub fn cut(self, boxes: Vec<Region>) -> Result<Vec<(ViewMut<'a>, Region, usize)>, TypesError> {
        let extents = self.shape();
        let frame = Region::new(vec![0; extents.len()], extents)?;
        let mut wanted = Vec::with_capacity(boxes.len());
        for (number, region) in boxes.into_iter().enumerate() {
            super::check_region(&region, frame.sizes())?;
            if !region.is_empty() {
                wanted.push((region, number));
            }
        }
        cut(self, frame, wanted)
    }
}

type Numbered = (Region, usize);

/// With a list of what is left to cut: boxes that wind into each other can be cut off only one by one, and there may be more of them than a stack is deep.
fn cut(
    view: ViewMut<'_>,
    frame: Region,
    boxes: Vec<Numbered>,
) -> Result<Vec<(ViewMut<'_>, Region, usize)>, TypesError> {
    let mut parts = Vec::with_capacity(boxes.len());
    let mut rest = vec![(view, frame, boxes)];
    while let Some((view, frame, mut boxes)) = rest.pop() {
        if boxes.len() <= 1 {
            if let Some((region, number)) = boxes.pop() {
                parts.push((view.into_slice(&region.relative_to(&frame)?)?, region, number));
            }
            continue;
        }
        let Some((dim, at)) = plane(&frame, &boxes) else {
            // No box ends inside the frame: all fill it.
            return Err(TypesError::Overlap(Box::new((boxes[0].0.clone(), boxes[1].0.clone()))));
        };
        let (low_view, high_view) = view.split_at(dim, at - frame.offsets()[dim])?;
        let (low_frame, high_frame) = frame.split(dim, at);
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for (region, number) in boxes {
            if region.end(dim) <= at {
                low.push((region, number));
            } else if region.offsets()[dim] >= at {
                high.push((region, number));
            } else {
                let (below, above) = region.split(dim, at);
                low.push((below, number));
                high.push((above, number));
            }
        }
        rest.push((high_view, high_frame, high));
        rest.push((low_view, low_frame, low));
    }
    Ok(parts)
}

/// Where to cut: along each dimension, at the face that crosses the fewest boxes, of several the middlemost; of the dimensions,
/// the one that crosses the fewest, then the one with most faces, then the outermost.
fn plane(frame: &Region, boxes: &[Numbered]) -> Option<(usize, u64)> {
    let candidate = |dim: usize| {
        let sorted = |mut edges: Vec<u64>| {
            edges.sort_unstable();
            edges
        };
        let starts = sorted(boxes.iter().map(|(region, _)| region.offsets()[dim]).collect());
        let ends = sorted(boxes.iter().map(|(region, _)| region.end(dim)).collect());
        let mut faces = sorted([starts.as_slice(), &ends].concat());
        faces.dedup();
        faces.retain(|face| frame.offsets()[dim] < *face && *face < frame.end(dim));
        let middle = faces.len() / 2;
        let crossed =
            |face: u64| starts.partition_point(|&start| start < face) - ends.partition_point(|&end| end <= face);
        let cuts = faces.iter().enumerate().map(|(index, &face)| (crossed(face), index.abs_diff(middle), face));
        let (crossed, _, face) = cuts.min()?;
        Some((crossed, std::cmp::Reverse(faces.len()), dim, face))
    };
    (0..frame.ndim()).filter_map(candidate).min().map(|(_, _, dim, face)| (dim, face))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn region(offsets: [u64; 2], sizes: [u64; 2]) -> Region {
        Region::new(offsets, sizes).expect("region")
    }

    #[test]
    fn a_pinwheel_is_cut_although_no_plane_spares_every_box() {
        let mut array = Array2::<u8>::zeros((3, 3));
        let blades =
            vec![region([0, 0], [1, 2]), region([0, 2], [2, 1]), region([2, 1], [1, 2]), region([1, 0], [2, 1])];
        let view = ViewMut::from_array(array.view_mut().into_dyn());
        for (mut part, region, number) in view.cut(blades).expect("disjoint") {
            assert_eq!(part.shape(), region.sizes());
            part.copy_from_bytes(&vec![number as u8 + 1; region.numel() as usize]).expect("length");
        }
        assert_eq!(array, ndarray::arr2(&[[1, 1, 2], [4, 0, 2], [4, 3, 3]]));
    }

    /// A row off the top, a column off the left, and so on: each cut but one crosses boxes.
    #[test]
    fn a_spiral_is_cut_on_a_small_stack() {
        const BOXES: u64 = 600;
        let size = BOXES / 2;
        let boxes: Vec<_> = (0..BOXES)
            .map(|number| {
                let (at, left) = (number / 2, size - number / 2);
                if number % 2 == 0 { region([at, at], [1, left]) } else { region([at + 1, at], [left - 1, 1]) }
            })
            .collect();
        let cut = move || {
            let mut array = Array2::<u8>::zeros((size as usize, size as usize));
            let parts = ViewMut::from_array(array.view_mut().into_dyn()).cut(boxes).expect("disjoint");
            parts.iter().map(|(view, region, _)| (view.nbytes() == region.numel(), region.numel())).collect::<Vec<_>>()
        };
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(cut).expect("a thread");
        let parts = thread.join().expect("no panic");
        assert!(parts.iter().all(|(is_fit, _)| *is_fit));
        assert_eq!(parts.iter().map(|(_, numel)| numel).sum::<u64>(), size * size);
    }

    #[test]
    fn boxes_are_cut_only_where_they_must_be() {
        let mut array = Array2::<u8>::zeros((2, 4));
        let boxes = vec![region([0, 0], [1, 2]), region([0, 2], [1, 2]), region([1, 0], [1, 4])];
        let parts = ViewMut::from_array(array.view_mut().into_dyn()).cut(boxes.clone()).expect("disjoint");
        assert_eq!(parts.into_iter().map(|(_, region, _)| region).collect::<Vec<_>>(), boxes);
    }

    #[test]
    fn overlapping_boxes_are_refused() {
        let mut array = Array2::<u8>::zeros((3, 3));
        let mut cut = |boxes| ViewMut::from_array(array.view_mut().into_dyn()).cut(boxes).map(|parts| parts.len());
        assert!(matches!(cut(vec![region([0, 0], [2, 2]), region([1, 1], [2, 2])]), Err(TypesError::Overlap(_))));
        assert!(matches!(cut(vec![region([0, 0], [2, 4])]), Err(TypesError::OutOfBounds { .. })));
        assert_eq!(cut(vec![region([0, 0], [0, 3]), region([0, 0], [3, 3])]), Ok(1));
    }
}
