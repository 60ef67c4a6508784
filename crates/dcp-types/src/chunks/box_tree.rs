//! A search tree over boxes: which of them meet a given one, without looking at all.

use smallvec::SmallVec;

use crate::Region;
use crate::shape::Dims;

/// Boxes in a balanced tree of bounding boxes; about `log n + hits` steps a query for boxes that tile.
#[derive(Clone, Debug)]
pub(super) struct BoxTree {
    /// The numbers of the boxes, so that each node's boxes are neighbours.
    order: Vec<u32>,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    low: Dims,
    high: Dims,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Leaf(std::ops::Range<usize>),
    Children(usize, usize),
}

const LEAF: usize = 8;

impl BoxTree {
    pub(super) fn new(boxes: &[Region]) -> Self {
        let mut tree = Self { order: (0..boxes.len() as u32).collect(), nodes: Vec::new() };
        if !boxes.is_empty() {
            tree.build(boxes, 0, boxes.len());
        }
        tree
    }

    /// Calls `hit` with the number of each box that shares an element with `region`, until it says stop.
    pub(super) fn meeting(&self, boxes: &[Region], region: &Region, mut hit: impl FnMut(u32) -> bool) {
        let mut stack: SmallVec<[usize; 64]> = SmallVec::new();
        if !self.nodes.is_empty() {
            stack.push(self.nodes.len() - 1);
        }
        while let Some(index) = stack.pop() {
            let node = &self.nodes[index];
            let meets =
                (0..region.ndim()).all(|dim| node.low[dim] < region.end(dim) && region.offsets()[dim] < node.high[dim]);
            if !meets {
                continue;
            }
            match &node.content {
                Content::Children(left, right) => stack.extend([*right, *left]),
                Content::Leaf(range) => {
                    for &number in &self.order[range.clone()] {
                        if boxes[number as usize].meets(region) && !hit(number) {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Builds the node over `order[from..to]` behind its children; returns its number.
    fn build(&mut self, boxes: &[Region], from: usize, to: usize) -> usize {
        let first = &boxes[self.order[from] as usize];
        let (mut low, mut high) = (Dims::from_slice(first.offsets()), Dims::from_slice(first.offsets()));
        // Where the boxes' centres (doubled) spread most is where a cut separates them best.
        let mut centres: SmallVec<[(u64, u64); 4]> = SmallVec::from_elem((u64::MAX, 0), first.ndim());
        for &number in &self.order[from..to] {
            let region = &boxes[number as usize];
            for dim in 0..region.ndim() {
                low[dim] = low[dim].min(region.offsets()[dim]);
                high[dim] = high[dim].max(region.end(dim));
                let centre = region.offsets()[dim] + region.end(dim);
                centres[dim] = (centres[dim].0.min(centre), centres[dim].1.max(centre));
            }
        }
        let content = if to - from <= LEAF {
            Content::Leaf(from..to)
        } else {
            let widest = (0..centres.len()).max_by_key(|&dim| centres[dim].1 - centres[dim].0).unwrap_or(0);
            let middle = (to - from) / 2;
            self.order[from..to].select_nth_unstable_by_key(middle, |&number| {
                let region = &boxes[number as usize];
                region.offsets().get(widest).map(|offset| offset + region.end(widest))
            });
            let left = self.build(boxes, from, from + middle);
            let right = self.build(boxes, from + middle, to);
            Content::Children(left, right)
        };
        self.nodes.push(Node { low, high, content });
        self.nodes.len() - 1
    }
}
