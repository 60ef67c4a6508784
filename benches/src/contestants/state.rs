//! The state that is saved and loaded.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use dcp::{DType, DeviceMesh, LocalTensor, Placement, StateDict, StateTarget, TargetTensor, TensorSpec, View, ViewMut};
use ndarray::Array2;

use crate::Fault;
use crate::threads::each_on_a_thread;

/// Equal tensors of float32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) tensors: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Shape {
    /// About as many bytes, in rows of so many elements. Each of up to 8 ranks has as many rows.
    pub(crate) fn of_bytes(bytes: usize, tensors: usize, columns: usize) -> Self {
        let rows = bytes / tensors / columns / size_of::<f32>();
        Self { tensors, columns, rows: rows.next_multiple_of(8) }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.tensors * self.rows * self.columns * size_of::<f32>()
    }
}

/// Tensors that are sharded over ranks, with their pages present: one buffer for all who save it or load into it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) shape: Shape,
    spec: TensorSpec,
    names: Vec<String>,
    ranks: Vec<Rank>,
}

#[derive(Debug)]
struct Rank {
    /// Where in each tensor its part begins.
    first: [usize; 2],
    tensors: Mutex<Vec<Array2<f32>>>,
}

impl State {
    /// Of so many ranks, sharded by rows (dimension 0) or columns (1), in equal parts, with the values of [`value`].
    pub(crate) fn new(shape: Shape, ranks: usize, dim: usize) -> Result<Self, Fault> {
        let mesh = Arc::new(DeviceMesh::new([ranks as u32])?);
        let extents = [shape.rows as u64, shape.columns as u64];
        let spec = TensorSpec::sharded(DType::Float32, extents, &mesh, [Placement::Shard(dim as u32)])?;
        let part = |rank: u32| {
            let local = spec.local_shape(rank).unwrap_or_default();
            let (rows, columns) = (local[0] as usize, local[1] as usize);
            let mut first = [0, 0];
            first[dim] = rank as usize * local[dim] as usize;
            let value = |number, row, column| value(shape, number, first[0] + row, first[1] + column);
            let tensor = |number| Array2::from_shape_fn((rows, columns), |(row, column)| value(number, row, column));
            Rank { first, tensors: Mutex::new((0..shape.tensors).map(tensor).collect()) }
        };
        let ranks = (0..ranks as u32).map(part).collect();
        let names = (0..shape.tensors).map(|number| format!("tensor.{number}")).collect();
        Ok(Self { shape, spec, names, ranks })
    }

    pub(crate) fn ranks(&self) -> usize {
        self.ranks.len()
    }

    /// Lends a rank its tensors.
    pub(crate) fn with<T>(&self, rank: usize, work: impl FnOnce(&mut [Array2<f32>]) -> T) -> T {
        work(&mut self.ranks[rank].tensors.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A rank's tensors, to be saved.
    pub(crate) fn dict<'a>(&'a self, tensors: &'a [Array2<f32>]) -> StateDict<'a> {
        let local =
            |array: &'a Array2<f32>| LocalTensor::new(self.spec.clone(), View::from_array(array.view().into_dyn()));
        self.names.iter().map(String::as_str).zip(tensors.iter().map(local)).collect()
    }

    /// A rank's tensors, to be loaded into.
    pub(crate) fn target<'a>(&'a self, tensors: &'a mut [Array2<f32>]) -> StateTarget<'a> {
        let local = |array: &'a mut Array2<f32>| {
            TargetTensor::new(self.spec.clone(), ViewMut::from_array(array.view_mut().into_dyn()))
        };
        self.names.iter().map(String::as_str).zip(tensors.iter_mut().map(local)).collect()
    }

    /// Overwrites all values, so that what is there afterwards was loaded.
    pub(crate) fn clear(&self) -> Result<(), Fault> {
        self.on_ranks(|_, tensors| tensors.iter_mut().for_each(|tensor| tensor.fill(-1.0))).map(drop)
    }

    /// Fails unless all values are those of [`value`].
    pub(crate) fn check(&self, from: &Path) -> Result<(), Fault> {
        let is_right = |[first_row, first_column]: [usize; 2], number, tensor: &Array2<f32>| {
            tensor.outer_iter().enumerate().all(|(row, elements)| {
                let expected = |column| value(self.shape, number, first_row + row, first_column + column);
                elements.iter().enumerate().all(|(column, &element)| element == expected(column))
            })
        };
        let all = self.on_ranks(|first, tensors| {
            tensors.iter().enumerate().all(|(number, tensor)| is_right(first, number, tensor))
        })?;
        if all.iter().all(|&rank| rank) { Ok(()) } else { Err(format!("{}: {WRONG}", from.display()).into()) }
    }

    /// On a thread for each rank, which is told where its part of each tensor begins.
    fn on_ranks<T: Send>(&self, work: impl Fn([usize; 2], &mut [Array2<f32>]) -> T + Sync) -> Result<Vec<T>, Fault> {
        let first = |rank: usize| self.ranks[rank].first;
        Ok(each_on_a_thread(0..self.ranks(), |rank| self.with(rank, |tensors| work(first(rank), tensors)))?)
    }
}

/// The value of an element: another one for each of a tensor of up to 2^23, and for each tensor in the same place.
fn value(shape: Shape, number: usize, row: usize, column: usize) -> f32 {
    ((number * 7919 + row * shape.columns + column) & (EXACT - 1)) as f32
}

/// So many integers from 0 on are exact as float32.
const EXACT: usize = 1 << 23;

pub(crate) const WRONG: &str = "what was loaded is not what was saved";
