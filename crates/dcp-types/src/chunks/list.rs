//! A tensor cut into listed chunks.

use super::box_tree::BoxTree;
use super::cells::Cells;
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
    Cells(Cells),
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
        if let Some(cells) = Cells::new(shape, &regions) {
            return Ok(Self { regions, search: Search::Cells(cells) });
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
        let is_sound = self.regions.first().is_some_and(|first| first.ndim() == region.ndim());
        if is_sound && !region.is_empty() {
            match &self.search {
                // What lies outside of the tensor is in the last cell's row or column, but not in the cell.
                Search::Cells(cells) => cells.meeting(region, |number| {
                    hits.extend(self.regions[number as usize].meets(region).then_some(number));
                }),
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
        assert!(matches!(list.search, Search::Cells(_)));
        assert_eq!(list.meeting(&region([0, 1], [2, 1])), [1, 2]);
        assert_eq!(list.meeting(&region([3, 0], [2, 1])), [0, 2]);
        assert_eq!(list.meeting(&region([3, 0], [2, 0])), []);
        assert_eq!(list.meeting(&region([9, 0], [2, 1])), []);
    }

    #[test]
    fn blocks_of_any_sizes_are_cells() {
        let shape = Shape::new([5, 7]).expect("shape");
        let rows = [(0, 2), (2, 1), (3, 2)];
        let columns = [(0, 3), (3, 4)];
        let block = |(row, column): ((u64, u64), (u64, u64))| region([row.0, column.0], [row.1, column.1]);
        let mut blocks: Vec<Region> =
            rows.iter().flat_map(|row| columns.iter().map(|column| (*row, *column))).map(block).collect();
        blocks.swap(0, 5);
        let list = ChunkList::new(&shape, blocks.clone()).expect("tiles");
        assert!(matches!(list.search, Search::Cells(_)));
        assert_eq!(list.meeting(&region([1, 2], [2, 2])), [1, 2, 3, 5]);
        assert_eq!(list.meeting(&region([4, 6], [9, 9])), [0]);
        assert_eq!(list.meeting(&region([5, 0], [1, 7])), []);
        // The same cuts, but a cell twice and another not at all.
        blocks[1] = blocks[2].clone();
        assert!(matches!(ChunkList::new(&shape, blocks), Err(TypesError::Overlap(_))));
    }

    #[test]
    fn a_scalar_has_one_cell() {
        let shape = Shape::new([]).expect("shape");
        let whole = Region::full(&shape);
        let list = ChunkList::new(&shape, vec![whole.clone()]).expect("tiles");
        assert_eq!(list.meeting(&whole), [0]);
    }

    #[test]
    fn many_regions_are_searched_quickly() {
        // 2^16 boxes that are no grid: a quadratic check would take minutes.
        let side = 256;
        let shape = Shape::new([side, 2 * side]).expect("shape");
        // Every other row is cut one column later.
        let offset = |row: u64, column: u64| 2 * column + if column > 0 { row % 2 } else { 0 };
        let width = |row: u64, column: u64| {
            let end = if column + 1 < side { offset(row, column + 1) } else { 2 * side };
            end - offset(row, column)
        };
        let brick = |row, column| region([row, offset(row, column)], [1, width(row, column)]);
        let bricks = (0..side).flat_map(|row| (0..side).map(move |column| brick(row, column))).collect();
        let list = ChunkList::new(&shape, bricks).expect("tiles");
        assert!(matches!(list.search, Search::Tree(_)));
        assert_eq!(list.meeting(&region([7, 18], [1, 2])), [7 * 256 + 8, 7 * 256 + 9]);
    }
}
