//! The choices of a save.

use std::sync::Arc;

use dcp::crates::dcp_stateful::{AppState, part, part_mut, value};
use dcp::{
    Checkpoint, DType, Dedup, DefaultSavePlanner, DeviceMesh, Error, Loaded, Loader, LocalStore, LocalTensor,
    MemoryStore, NativeFormat, Placement, Saver, StateDict, StateTarget, Stateful, StatefulError, StorageError,
    TargetLeaf, TensorSpec, View,
};
use dcp_tests::{Case, Group, Layout, Part, Place, TensorCase, Whole, contents};
use ndarray::Array2;

/// The rows of a matrix that one rank has, and a step.
struct Trainer {
    spec: TensorSpec,
    rows: Array2<f64>,
    step: u64,
}

impl Trainer {
    fn new(mesh: &Arc<DeviceMesh>, rank: u32, fill: impl Fn(usize, usize) -> f64) -> Self {
        let spec = TensorSpec::sharded(DType::Float64, [7, 5], mesh, [Placement::Shard(0)]).expect("spec");
        let held = spec.parts(rank);
        let first = held.first().map_or(0, |held| held.region.offsets()[0] as usize);
        let rows = spec.local_shape(rank).expect("in the mesh")[0] as usize;
        let rows = Array2::from_shape_fn((rows, 5), |(row, column)| fill(first + row, column));
        Self { spec, rows, step: 0 }
    }
}

impl Stateful for Trainer {
    fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
        Ok(StateDict::new().with("rows", part(&self.spec, &self.rows)).with("step", self.step))
    }

    fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
        Ok(StateTarget::new().with("rows", part_mut(&self.spec, &mut self.rows)).with("step", TargetLeaf::Value))
    }

    fn load_state_dict(&mut self, mut loaded: Loaded) -> Result<(), StatefulError> {
        self.step = value(&mut loaded, "step")?;
        Ok(())
    }
}

#[test]
fn objects_are_saved_and_loaded_in_place() {
    let store = MemoryStore::new();
    let element = |row: usize, column: usize| (10 * row + column) as f64;
    let mesh = |ranks| Arc::new(DeviceMesh::new([ranks]).expect("mesh"));
    Group::whole(3).run(|collective, rank| {
        let mut model = Trainer::new(&mesh(3), rank, element);
        let mut average = Trainer::new(&mesh(3), rank, |row, column| -element(row, column));
        (model.step, average.step) = (17, u64::MAX);
        let state = AppState::new().with("model", &mut model).with("average", &mut average);
        Saver::new().group(collective).save(&state, store.clone()).expect("saves");
    });
    Group::whole(4).run(|collective, rank| {
        let mut model = Trainer::new(&mesh(4), rank, |_, _| 0.0);
        let mut average = Trainer::new(&mesh(4), rank, |_, _| 0.0);
        let mut state = AppState::new().with("average", &mut average).with("model", &mut model);
        let report = Loader::new().group(collective).load(&mut state, store.clone()).expect("loads");
        assert_eq!(report.ranks.len(), if rank == 0 { 4 } else { 0 });
        assert_eq!((model.step, average.step), (17, u64::MAX));
        assert_eq!(model.rows, Trainer::new(&mesh(4), rank, element).rows);
        assert_eq!(average.rows, -model.rows);
    });
}

/// A tensor that all ranks of a group have, and one of which each has some rows.
fn plain_case(save: Group) -> Case {
    let mesh = Arc::new(save.mesh(&DeviceMesh::new([save.members.len() as u32]).expect("mesh")));
    let whole = Whole::new(DType::Float32, dcp::Shape::new([64, 33]).expect("shape"), 5);
    let wanted = || vec![Part::whole(whole.dtype, &whole.shape, Layout::Packed)];
    let replicated = save.members.iter().map(|_| Part::whole(whole.dtype, &whole.shape, Layout::Packed)).collect();
    let rows =
        |&rank: &u32| Part::sharded(whole.dtype, &whole.shape, &mesh, &[Placement::Shard(0)], rank, Layout::Lazy);
    let sharded = save.members.iter().map(rows).collect();
    let tensors = vec![
        TensorCase { whole: whole.clone(), saved: replicated, loaded: wanted() },
        TensorCase { whole: whole.clone(), saved: sharded, loaded: wanted() },
    ];
    Case::of_tensors(save, Group::whole(1), tensors)
}

fn names(store: &Place) -> Vec<String> {
    contents(&**store).into_keys().filter(|name| !name.starts_with('.')).collect()
}

#[test]
fn replicas_can_stay_on_the_lowest_rank() {
    let case = plain_case(Group { world: 9, members: vec![8, 2, 5], coordinator: 2 });
    let store: Place = Arc::new(MemoryStore::new());
    let planner = || DefaultSavePlanner::new().dedup(Dedup::Lowest);
    let report = case.save_with(&store, |saver| saver.planner(planner())).expect("saves");
    let data: Vec<_> = report.ranks.iter().map(|(rank, report)| (*rank, report.data)).collect();
    // In the order of the group; the rows are 22, 22 and 20.
    let (whole, row) = (64 * 33 * 4, 33 * 4);
    assert_eq!(data, [(8, 22 * row), (2, whole + 22 * row), (5, 20 * row)]);
    assert_eq!(names(&store), ["__2_0.distcp", "__5_0.distcp", "__8_0.distcp", "index.dcp"]);
    case.load(&store).expect("loads");
}

#[test]
fn a_rank_writes_as_many_files_as_it_is_told() {
    let mut case = plain_case(Group::whole(2));
    case.options.files_per_rank = 2;
    case.options.dedup = Dedup::Lowest;
    let store: Place = Arc::new(MemoryStore::new());
    let report = case.save(&store).expect("saves");
    let files: Vec<_> = report.ranks.iter().map(|(_, report)| report.files).collect();
    // The second rank has one chunk, and writes no empty file.
    assert_eq!(files, [2, 1]);
    assert_eq!(names(&store), ["__0_0.distcp", "__0_1.distcp", "__1_0.distcp", "index.dcp"]);
    case.load(&store).expect("loads");
}

#[test]
fn a_checkpoint_is_replaced_only_where_that_is_allowed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let local: Place = Arc::new(LocalStore::open(dir.path()));
    for store in [local, Arc::new(MemoryStore::new())] {
        let case = plain_case(Group::whole(3));
        case.save(&store).expect("saves");
        if let Some(path) = std::fs::read_dir(dir.path()).ok().and_then(|mut entries| entries.next()) {
            // Not ours: as long as it is there.
            let notes = path.expect("entry").path().with_file_name("notes.txt");
            std::fs::write(notes, "keep").expect("writes");
        }
        let before = contents(&*store);
        let refused = case.save(&store);
        assert!(
            matches!(&refused, Err(Error::Storage(error)) if matches!(**error, StorageError::Exists { .. }))
                || matches!(&refused, Err(Error::Collective(_))),
            "{refused:?}"
        );
        assert_eq!(contents(&*store), before);

        // Another state, from fewer ranks.
        let other = plain_case(Group::whole(2));
        other.save_with(&store, |saver| saver.overwrite(true)).expect("saves");
        let after = contents(&*store);
        for (name, content) in &before {
            match name.as_str() {
                "notes.txt" => assert_eq!(after.get(name), Some(content)),
                "index.dcp" => assert_ne!(after.get(name), Some(content)),
                _ => assert!(!after.contains_key(name), "{name} is of the replaced checkpoint"),
            }
        }
        other.load(&store).expect("loads");
    }
}

#[test]
fn every_rank_learns_that_a_place_is_taken() {
    let store: Place = Arc::new(MemoryStore::new());
    let case = plain_case(Group { world: 4, members: vec![3, 1, 2], coordinator: 1 });
    case.save(&store).expect("saves");
    let outcomes = case.save.run(|collective, rank| {
        let buffers = case.filled(collective.rank(), rank, |tensor| &tensor.saved);
        let state = case.state(collective.rank(), rank, &buffers);
        case.saver(collective).save_dict(&state, Arc::clone(&store)).expect_err("the place is taken")
    });
    // The coordinator, which looked, has the error itself.
    let [third, first, second] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(matches!(first, Error::Storage(error) if error.kind() == "exists"), "{first}");
    for other in [third, second] {
        assert_eq!(other.ranks(), [1]);
        assert!(other.to_string().contains("already holds a checkpoint"), "{other}");
    }
}

#[test]
fn entries_stand_in_the_order_of_the_coordinator() {
    let store = MemoryStore::new();
    let bytes = [1u8, 2, 3];
    Group { world: 3, members: vec![0, 1, 2], coordinator: 1 }.run(|collective, rank| {
        let tensor = || {
            LocalTensor::new(
                TensorSpec::replicated(DType::UInt8, [3]).expect("spec"),
                View::from_bytes(DType::UInt8, &[3], &bytes).expect("view"),
            )
        };
        let mut state = StateDict::new();
        if rank == 1 {
            state.insert("z", 1);
            state.insert("y", tensor());
        }
        state.insert(format!("of {rank}"), i64::from(rank));
        state.insert("x", tensor());
        if rank != 1 {
            state.insert("y", tensor());
            state.insert("z", 1);
        }
        Saver::new().group(collective).coordinator(1).save_dict(&state, store.clone()).expect("saves");
    });
    let checkpoint = Checkpoint::open(store).expect("opens");
    let names: Vec<_> = checkpoint.metadata().entries().map(|(fqn, _)| fqn.as_str()).collect();
    assert_eq!(names, ["z", "y", "of 1", "x", "of 0", "of 2"]);
}

#[test]
fn ranks_with_different_options_commit_nothing() {
    let store = MemoryStore::new();
    let outcomes = Group::whole(2).run(|collective, rank| {
        let bytes = [rank as u8; 4];
        let view = || View::from_bytes(DType::UInt8, &[4], &bytes).expect("view");
        let spec = || TensorSpec::replicated(DType::UInt8, [4]).expect("spec");
        let name = |number: u32| format!("of {rank}: {number}");
        let state = StateDict::new()
            .with(name(0), LocalTensor::new(spec(), view()))
            .with(name(1), LocalTensor::new(spec(), view()));
        let saver = Saver::new().group(collective).format(NativeFormat::new().files_per_rank(1 + rank));
        saver.save_dict(&state, store.clone()).map(drop)
    });
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert!(Checkpoint::open(store).is_err());
}
