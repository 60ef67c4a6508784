//! A state that is saved by one group of ranks and loaded by another.

use std::sync::Arc;
use std::time::Duration;

use dcp::{
    Collective, Dedup, DefaultSavePlanner, Error, LoadReport, Loaded, LoadedLeaf, Loader, NativeFormat, OwnedTensor,
    SaveReport, Saver, StateDict, StateTarget, StorageReader, Store, TargetLeaf, Value,
};
use dcp_types::strategies::{dtypes, shapes, state_trees, values};
use dcp_types::{DType, Dict, Shape, StateLeaf, Tree};
use proptest::prelude::*;

use crate::{Buffer, Group, Holding, Whole, fold, groups, holdings, map_tree, tensors_of, without_gaps};

/// A state, who saves it how, and who loads it how.
#[derive(Clone, Debug)]
pub struct Case {
    /// Who saves.
    pub save: Group,
    /// Who loads.
    pub load: Group,
    /// What.
    pub tree: Dict<Leaf>,
    /// Whether each saving rank has a value of its own besides.
    pub private: bool,
    /// The choices of the save.
    pub options: Options,
}

/// A leaf of the state.
#[derive(Clone, Debug)]
pub enum Leaf {
    /// A tensor.
    Tensor(Arc<TensorCase>),
    /// A value that all ranks have.
    Value(Value),
}

/// A tensor, and how it lies over the two groups.
#[derive(Clone, Debug)]
pub struct TensorCase {
    /// What it is.
    pub whole: Whole,
    /// What each saving member has.
    pub saved: Holding,
    /// What each loading member wants.
    pub loaded: Holding,
}

/// The choices of a save, and on how many threads.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Who writes what several have.
    pub dedup: Dedup,
    /// How many files a rank writes.
    pub files_per_rank: u32,
    /// On how many threads ranks read and write.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { dedup: Dedup::Balanced, files_per_rank: 1, threads: 2 }
    }
}

/// Where a checkpoint is.
pub type Place = Arc<dyn Store>;

/// How long ranks wait for each other: longer than any test runs.
const PATIENCE: Duration = Duration::from_secs(300);

/// A group that saves and one that loads.
pub fn group_pairs(max: u32) -> impl Strategy<Value = (Group, Group)> + Clone {
    (groups(max), groups(max))
}

/// States of small tensors of any form. If `everywhere`, every rank names everything.
pub fn cases(max_ranks: u32, everywhere: bool) -> impl Strategy<Value = Case> {
    (group_pairs(max_ranks), options(), any::<bool>()).prop_flat_map(move |((save, load), options, private)| {
        let (saves, loads) = (save.clone(), load.clone());
        let tensors = (dtypes(), shapes(), any::<u64>())
            .prop_flat_map(move |(dtype, shape, seed)| tensor_cases(dtype, shape, seed, &saves, &loads));
        let tensors = tensors.prop_map(|tensor| Leaf::Tensor(Arc::new(tensor)));
        let leaves = prop_oneof![3 => tensors.boxed(), 1 => values().prop_map(Leaf::Value).boxed()];
        let private = private && !everywhere;
        state_trees(leaves).prop_map(move |tree| {
            let tree = without_gaps(tree, everywhere);
            Case { save: save.clone(), load: load.clone(), tree, private, options }
        })
    })
}

/// One tensor, held in any way on both sides.
fn tensor_cases(
    dtype: DType,
    shape: Shape,
    seed: u64,
    save: &Group,
    load: &Group,
) -> impl Strategy<Value = TensorCase> + use<> {
    let sides = (holdings(dtype, &shape, save), holdings(dtype, &shape, load));
    sides.prop_map(move |(saved, loaded)| {
        let whole = Whole::new(dtype, shape.clone(), seed);
        TensorCase { whole, saved, loaded }
    })
}

fn options() -> impl Strategy<Value = Options> + Clone {
    let dedup = prop_oneof![Just(Dedup::Balanced), Just(Dedup::Lowest)];
    (dedup, 1..=4u32, 1..=3usize).prop_map(|(dedup, files_per_rank, threads)| Options {
        dedup,
        files_per_rank,
        threads,
    })
}

impl Case {
    /// A case of tensors alone, under the names `0`, `1`, and so on.
    #[must_use]
    pub fn of_tensors(save: Group, load: Group, tensors: Vec<TensorCase>) -> Self {
        let numbered = (0..).zip(tensors);
        let leaf = |tensor| Tree::Leaf(Leaf::Tensor(Arc::new(tensor)));
        let tree = numbered.map(|(number, tensor): (i64, _)| (number, leaf(tensor))).collect();
        Self { save, load, tree, private: false, options: Options::default() }
    }

    /// The same state, saved by those who load it, and loaded by those who save it.
    #[must_use]
    pub fn swapped(mut self) -> Self {
        std::mem::swap(&mut self.save, &mut self.load);
        self.tree = map_tree(&self.tree, &mut |leaf| {
            Some(match leaf {
                Leaf::Tensor(tensor) => {
                    let TensorCase { whole, saved, loaded } = (**tensor).clone();
                    Leaf::Tensor(Arc::new(TensorCase { whole, saved: loaded, loaded: saved }))
                }
                value @ Leaf::Value(_) => value.clone(),
            })
        });
        self
    }

    /// Saves it.
    ///
    /// # Errors
    /// The first error of a rank.
    pub fn save(&self, place: &Place) -> Result<SaveReport, Error> {
        self.save_with(place, |saver| saver)
    }

    /// The same with other choices.
    ///
    /// # Panics
    /// If ranks get different reports.
    ///
    /// # Errors
    /// The first error of a rank.
    pub fn save_with<'a>(
        &self,
        place: &Place,
        choose: impl for<'s> Fn(Saver<'s>) -> Saver<'s> + Sync + 'a,
    ) -> Result<SaveReport, Error> {
        let reports = self.save.run(|collective, rank| {
            let saver = choose(self.saver(collective));
            let buffers = self.filled(collective.rank(), rank, |tensor| &tensor.saved);
            saver.save_dict(&self.state(collective.rank(), rank, &buffers), Arc::clone(place))
        });
        let reports: Vec<SaveReport> = reports.into_iter().collect::<Result<_, _>>()?;
        let report = &reports[self.save.coordinator];
        assert!(reports.iter().all(|other| other.total() == report.total()), "every rank is told of all");
        assert!(
            report.ranks.iter().map(|(_, own)| own).eq(reports.iter().map(|other| &other.own)),
            "each in its place"
        );
        Ok(report.clone())
    }

    /// The saver of a rank.
    #[must_use]
    pub fn saver<'a>(&self, collective: &'a dyn Collective) -> Saver<'a> {
        let Options { dedup, files_per_rank, threads } = self.options;
        let planner = DefaultSavePlanner::new().dedup(dedup);
        let saver = Saver::new().group(collective).coordinator(self.save.coordinator).patience(PATIENCE);
        let format = NativeFormat::new().files_per_rank(files_per_rank);
        saver.planner(planner).format(format).threads(threads).fsync(false)
    }

    /// Loads it and compares every byte that every rank has.
    ///
    /// # Panics
    /// If anything differs.
    ///
    /// # Errors
    /// The first error of a rank.
    pub fn load(&self, place: &Place) -> Result<LoadReport, Error> {
        self.load_each(|_| Arc::clone(place), |loader| loader)
    }

    /// The same, where each rank (by position) has its own store, and with other choices.
    ///
    /// # Panics
    /// If anything differs.
    ///
    /// # Errors
    /// The first error of a rank.
    pub fn load_each(
        &self,
        place: impl Fn(usize) -> Place + Sync,
        choose: impl for<'l> Fn(Loader<'l>) -> Loader<'l> + Sync,
    ) -> Result<LoadReport, Error> {
        self.load_by(choose, |loader, position, target| loader.load_into(target, place(position)))
    }

    /// The same through any reader.
    ///
    /// # Panics
    /// If anything differs.
    ///
    /// # Errors
    /// The first error of a rank.
    pub fn load_through(&self, reader: &dyn StorageReader) -> Result<LoadReport, Error> {
        self.load_by(|loader| loader, |loader, _, target| loader.load_from(reader, target))
    }

    fn load_by(
        &self,
        choose: impl for<'l> Fn(Loader<'l>) -> Loader<'l> + Sync,
        load: impl Fn(&Loader<'_>, usize, StateTarget<'_>) -> Result<(Loaded, LoadReport), Error> + Sync,
    ) -> Result<LoadReport, Error> {
        let reports = self.load.run(|collective, rank| {
            let position = collective.rank();
            let loader = Loader::new().group(collective).coordinator(self.load.coordinator).patience(PATIENCE);
            let loader = choose(loader.threads(self.options.threads));
            let mut buffers: Vec<Buffer> =
                self.tensors(position, |tensor| &tensor.loaded).map(|(_, part)| Buffer::blank(part)).collect();
            let (loaded, report) = load(&loader, position, self.target(position, &mut buffers))?;
            let expected = self.filled(position, rank, |tensor| &tensor.loaded);
            for (number, (found, expected)) in buffers.iter().zip(&expected).enumerate() {
                let spec = expected.spec();
                assert!(found.memory() == expected.memory(), "tensor {number} on rank {rank}: {spec:?}");
            }
            crate::assert_same_tree(&loaded, &self.expected(position));
            Ok::<_, Error>(report)
        });
        let reports: Vec<LoadReport> = reports.into_iter().collect::<Result<_, _>>()?;
        let report = &reports[self.load.coordinator];
        assert!(reports.iter().all(|other| other.total() == report.total()), "every rank is told of all");
        assert!(
            report.ranks.iter().map(|(_, own)| own).eq(reports.iter().map(|other| &other.own)),
            "each in its place"
        );
        Ok(report.clone())
    }

    /// The whole of it, as [`Checkpoint::load`](dcp::Checkpoint::load) returns it.
    ///
    /// # Panics
    /// Never: the tensors are as long as their shapes say.
    #[must_use]
    pub fn loaded(&self) -> Loaded {
        let leaf = |leaf: &Leaf| match leaf {
            Leaf::Value(value) => LoadedLeaf::Value(value.clone()),
            Leaf::Tensor(tensor) => {
                let mut owned = OwnedTensor::zeros(tensor.whole.dtype, tensor.whole.shape.clone());
                owned.bytes_mut().copy_from_slice(&tensor.whole.bytes);
                LoadedLeaf::Tensor(owned)
            }
        };
        fold(map_tree(&self.tree, &mut |found| Some(leaf(found))))
    }

    /// What a rank has of each tensor that it names, in order.
    pub fn tensors<'a>(
        &'a self,
        position: usize,
        side: impl Fn(&'a TensorCase) -> &'a Holding + 'a,
    ) -> impl Iterator<Item = (&'a TensorCase, &'a crate::Part)> {
        // All of them: what a rank leaves out has a buffer that nobody uses.
        tensors_of(&self.tree).into_iter().map(move |tensor| (tensor, &side(tensor)[position]))
    }

    /// The buffers of a rank with what belongs into them.
    pub fn filled<'a>(
        &'a self,
        position: usize,
        rank: u32,
        side: impl Fn(&'a TensorCase) -> &'a Holding + 'a,
    ) -> Vec<Buffer> {
        let skip = |part: &crate::Part| part.omit;
        self.tensors(position, side)
            .map(
                |(tensor, part)| {
                    if skip(part) { Buffer::blank(part) } else { Buffer::filled(part, &tensor.whole, rank) }
                },
            )
            .collect()
    }

    /// The state of a rank.
    ///
    /// # Panics
    /// If there is not a buffer for each tensor.
    #[must_use]
    pub fn state<'a>(&self, position: usize, rank: u32, buffers: &'a [Buffer]) -> StateDict<'a> {
        let mut buffers = buffers.iter();
        let mut state = map_tree(&self.tree, &mut |leaf| match leaf {
            Leaf::Value(value) => Some(StateLeaf::Value(value.clone())),
            Leaf::Tensor(tensor) => {
                let buffer = buffers.next().expect("a buffer for each tensor");
                let named = !tensor.saved[position].omit;
                named.then(|| StateLeaf::Tensor(Box::new(buffer.local())))
            }
        });
        if self.private {
            let own = StateDict::new().with(i64::from(rank), format!("of rank {rank}"));
            state.insert(PRIVATE, own);
        }
        state
    }

    fn target<'a>(&self, position: usize, buffers: &'a mut [Buffer]) -> StateTarget<'a> {
        let mut buffers = buffers.iter_mut();
        let mut target = map_tree(&self.tree, &mut |leaf| match leaf {
            Leaf::Value(_) => Some(TargetLeaf::Value),
            Leaf::Tensor(tensor) => {
                let buffer = buffers.next().expect("a buffer for each tensor");
                let named = !tensor.loaded[position].omit;
                named.then(|| TargetLeaf::Tensor(Box::new(buffer.target())))
            }
        });
        let wanted: StateTarget<'_> = self.private_of(position).map(|rank| (rank, TargetLeaf::Value)).collect();
        if !wanted.is_empty() {
            target.insert(PRIVATE, wanted);
        }
        target
    }

    fn expected(&self, position: usize) -> Loaded {
        let mut expected = map_tree(&self.tree, &mut |leaf| match leaf {
            Leaf::Value(value) => Some(LoadedLeaf::Value(value.clone())),
            Leaf::Tensor(tensor) => (!tensor.loaded[position].omit).then_some(LoadedLeaf::InPlace),
        });
        let value = |rank: i64| LoadedLeaf::Value(format!("of rank {rank}").into());
        let own: Loaded = self.private_of(position).map(|rank| (rank, value(rank))).collect();
        if !own.is_empty() {
            expected.insert(PRIVATE, own);
        }
        fold(expected)
    }

    /// The saving ranks whose private values a loading rank takes over.
    fn private_of(&self, position: usize) -> impl Iterator<Item = i64> {
        let members = self.save.members.iter().enumerate();
        let own = members.filter(move |(number, _)| self.private && number % self.load.members.len() == position);
        own.map(|(_, &rank)| i64::from(rank))
    }
}

const PRIVATE: &str = "private";
