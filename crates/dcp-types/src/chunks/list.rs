//! A tensor cut into listed chunks.

use std::collections::HashSet;

use super::bands::Bands;
use super::box_tree::BoxTree;
use crate::{Region, Shape, TypesError};

/// The chunks of a tensor as a list of regions that tile it: every element is in exactly one.
#[derive(Clone, Debug)]
pub struct ChunkList {
    regions: Vec<Region>,
    search: Search,
}

/// How regions are found.
#[derive(Clone, Debug)]
enum Search {
    Bands(Bands),
    Tree(BoxTree),
}

impl ChunkList {
    /// Checks that the regions tile a tensor of this shape. Empty ones are dropped.
    ///
    /// Takes time in the order of n log n for n regions.
    ///
    /// # Errors
    /// [`TypesError::OutOfBounds`], [`TypesError::Overlap`], [`TypesError::Hole`].
    pub fn new(shape: &Shape, mut regions: Vec<Region>) -> Result<Self, TypesError> {
        if let Some(out) = regions.iter().find(|region| !region.fits(shape.dims())) {
            return Err(TypesError::OutOfBounds { region: out.clone(), extents: shape.dims().to_vec() });
        }
        regions.retain(|region| !region.is_empty());
        if let Some(bands) = Bands::new(shape, &regions) {
            return Ok(Self { regions, search: Search::Bands(bands) });
        }
        // Equal regions first: a tree cannot separate them.
        let mut seen = HashSet::with_capacity(regions.len());
        if let Some(twice) = regions.iter().find(|region| !seen.insert(*region)) {
            return Err(TypesError::Overlap(Box::new((twice.clone(), twice.clone()))));
        }
        let tree = BoxTree::new(&regions);
        if let Some((first, second)) = first_overlap(&regions, &tree) {
            return Err(TypesError::Overlap(Box::new((first.clone(), second.clone()))));
        }
        // Disjoint and inside: the sum cannot exceed the tensor.
        let covered = regions.iter().map(Region::numel).sum();
        if covered != shape.numel() {
            return Err(TypesError::Hole { covered, total: shape.numel() });
        }
        Ok(Self { regions, search: Search::Tree(tree) })
    }

    /// The regions, in the order given.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The numbers of the regions that share an element with `region`, in ascending order.
    #[must_use]
    pub fn meeting(&self, region: &Region) -> Vec<u32> {
        let mut hits = Vec::new();
        if self.regions.first().is_some_and(|first| first.ndim() == region.ndim()) {
            match &self.search {
                Search::Bands(bands) => hits.extend(bands.meeting(&self.regions, region)),
                Search::Tree(tree) => tree.meeting(&self.regions, region, |number| {
                    hits.push(number);
                    true
                }),
            }
        }
        hits.sort_unstable();
        hits
    }
}

fn first_overlap<'r>(regions: &'r [Region], tree: &BoxTree) -> Option<(&'r Region, &'r Region)> {
    (0u32..).zip(regions).find_map(|(own, region)| {
        let mut other = None;
        tree.meeting(regions, region, |number| {
            other = (number != own).then_some(number);
            other.is_none()
        });
        other.map(|other| (region, &regions[other as usize]))
    })
}

impl PartialEq for ChunkList {
    fn eq(&self, other: &Self) -> bool {
        self.regions == other.regions
    }
}

impl Eq for ChunkList {}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(offsets: [u64; 2], sizes: [u64; 2]) -> Region {
        Region::new(offsets, sizes).expect("region")
    }

    #[test]
    fn a_pinwheel_tiles() {
        let shape = Shape::new([3, 3]).expect("shape");
        let blades = vec![
            region([0, 0], [1, 2]),
            region([0, 2], [2, 1]),
            region([2, 1], [1, 2]),
            region([1, 0], [2, 1]),
            region([1, 1], [1, 1]),
            region([3, 0], [0, 3]),
        ];
        let list = ChunkList::new(&shape, blades).expect("tiles");
        assert_eq!(list.regions().len(), 5);
        assert_eq!(list.meeting(&region([1, 1], [1, 2])), [1, 4]);
    }

    #[test]
    fn what_does_not_tile_is_refused() {
        let shape = Shape::new([4, 4]).expect("shape");
        let (top, bottom) = (region([0, 0], [2, 4]), region([2, 0], [2, 4]));
        let check = |regions: &[&Region]| ChunkList::new(&shape, regions.iter().copied().cloned().collect());
        assert!(check(&[&top, &bottom]).is_ok());
        assert_eq!(check(&[&top]), Err(TypesError::Hole { covered: 8, total: 16 }));
        assert_eq!(check(&[&top, &bottom, &top]), Err(TypesError::Overlap(Box::new((top.clone(), top.clone())))));
        let middle = region([1, 0], [2, 4]);
        assert!(matches!(check(&[&top, &middle]), Err(TypesError::Overlap(..))));
        let outside = region([2, 0], [3, 4]);
        assert!(matches!(check(&[&outside]), Err(TypesError::OutOfBounds { .. })));
    }

    #[test]
    fn rows_in_any_order_are_found() {
        let shape = Shape::new([6, 2]).expect("shape");
        let rows = vec![region([4, 0], [2, 2]), region([0, 0], [1, 2]), region([1, 0], [3, 2])];
        let list = ChunkList::new(&shape, rows).expect("tiles");
        assert!(matches!(list.search, Search::Bands(_)));
        assert_eq!(list.meeting(&region([0, 1], [2, 1])), [1, 2]);
        assert_eq!(list.meeting(&region([3, 0], [2, 1])), [0, 2]);
        assert_eq!(list.meeting(&region([3, 0], [2, 0])), []);
        assert_eq!(list.meeting(&region([9, 0], [2, 1])), []);
    }

    #[test]
    fn many_regions_are_searched_quickly() {
        // 2^16 cells: a quadratic check would take minutes.
        let side = 256;
        let shape = Shape::new([side, side]).expect("shape");
        let cells = (0..side).flat_map(|row| (0..side).map(move |column| region([row, column], [1, 1]))).collect();
        let list = ChunkList::new(&shape, cells).expect("tiles");
        assert_eq!(list.meeting(&region([7, 9], [1, 2])), [7 * 256 + 9, 7 * 256 + 10]);
    }
}
