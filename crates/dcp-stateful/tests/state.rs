//! What one object saves, another one of its kind loads.

use std::collections::BTreeMap;

use dcp_stateful::{
    AppState, FromValue, Stateful, StatefulError, part, part_mut, value, value_if_loaded, whole, whole_mut,
};
use dcp_types::reexports::indexmap::IndexMap;
use dcp_types::{
    DType, Loaded, LoadedLeaf, Placement, Source, StateDict, StateLeaf, StateTarget, TargetLeaf, TensorSpec,
    TensorValue, Tree, Typed, Value, flatten_state, flatten_target, unflatten,
};
use ndarray::{Array1, Array2, ArrayD, array};

/// A load without storage: copies what `from` saves into what `into` wants. Leaves out what `from` does not have.
fn transfer(from: &dyn Stateful, into: &mut dyn Stateful) -> Result<(), StatefulError> {
    let saved = flatten_state(from.state_dict()?)?;
    let mut loaded = Vec::new();
    for (fqn, (path, leaf)) in flatten_target(into.state_target()?)? {
        match (leaf, saved.get(&fqn).map(|(_, leaf)| leaf)) {
            (TargetLeaf::Value, Some(StateLeaf::Value(value))) => loaded.push((path, LoadedLeaf::Value(value.clone()))),
            (TargetLeaf::Tensor(mut target), Some(StateLeaf::Tensor(source))) => {
                let Source::View(view) = &source.source else { panic!("not lent") };
                let mut bytes = vec![0; view.nbytes() as usize];
                view.read_at(0, &mut bytes)?;
                target.dest.copy_from_bytes(&bytes)?;
                loaded.push((path, LoadedLeaf::InPlace));
            }
            (_, None) => {}
            (target, saved) => panic!("{fqn}: {target:?} from {saved:?}"),
        }
    }
    into.load_state_dict(unflatten(loaded)?)
}

#[derive(Debug, Default, PartialEq)]
struct Trainer {
    weight: Array2<f32>,
    rows: Array2<f64>,
    step: u64,
    losses: Vec<f64>,
    note: Option<String>,
}

impl Trainer {
    fn rows_spec() -> TensorSpec {
        let mesh = dcp_types::DeviceMesh::new([2]).expect("mesh").into();
        TensorSpec::sharded(DType::Float64, [4, 2], &mesh, [Placement::Shard(0)]).expect("spec")
    }

    fn new(seed: f32) -> Self {
        let rows = Array2::from_elem((2, 2), f64::from(seed));
        let weight = Array2::from_elem((2, 3), seed);
        Self { weight, rows, step: seed as u64, losses: vec![seed.into(); 2], note: Some(seed.to_string()) }
    }
}

impl Stateful for Trainer {
    fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
        let losses: Vec<_> = self.losses.iter().map(|&loss| Tree::from(loss)).collect();
        Ok(StateDict::new()
            .with("weight", whole(&self.weight)?)
            .with("rows", part(&Self::rows_spec(), &self.rows))
            .with("step", self.step)
            .with("losses", losses)
            .with("note", self.note.clone().map_or(Value::None, Value::from)))
    }

    fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
        Ok(StateTarget::new()
            .with("weight", whole_mut(&mut self.weight)?)
            .with("rows", part_mut(&Self::rows_spec(), &mut self.rows))
            .with("step", TargetLeaf::Value)
            .with("losses", TargetLeaf::Value)
            .with("note", TargetLeaf::Value))
    }

    fn load_state_dict(&mut self, mut loaded: Loaded) -> Result<(), StatefulError> {
        self.step = value(&mut loaded, "step")?;
        self.losses = value(&mut loaded, "losses")?;
        if let Some(note) = value_if_loaded(&mut loaded, "note")? {
            self.note = note;
        }
        Ok(())
    }
}

#[test]
fn an_object_takes_over_what_another_saved() {
    let mut into = Trainer::new(1.0);
    transfer(&Trainer::new(2.0), &mut into).expect("transfers");
    assert_eq!(into, Trainer::new(2.0));
}

#[test]
fn several_objects_are_one() {
    let mut saved = (Trainer::new(3.0), BTreeMap::from([("ema", array![1u8, 2])]));
    let mut loaded = (Trainer::new(0.0), BTreeMap::from([("ema", array![0u8, 0])]));
    let from = AppState::new().with("model", &mut saved.0).with("extra", &mut saved.1);
    let mut into = AppState::new().with("model", &mut loaded.0).with("extra", &mut loaded.1);
    transfer(&from, &mut into).expect("transfers");
    assert_eq!(format!("{into:?}"), r#"AppState(["model", "extra"])"#);
    assert_eq!(loaded, saved);
}

#[test]
fn objects_nest() {
    let (mut saved, mut loaded) = (Trainer::new(4.0), Trainer::new(0.0));
    let mut inner = AppState::new().with("a", &mut saved);
    let from = AppState::new().with("outer", &mut inner);
    let mut inner = AppState::new().with("a", &mut loaded);
    let mut boxed: Box<dyn Stateful + '_> = Box::new(&mut inner);
    let mut into = AppState::new().with("outer", &mut boxed);
    transfer(&from, &mut into).expect("transfers");
    drop(boxed);
    assert_eq!(loaded, saved);
}

#[test]
fn an_object_without_state_is_loaded_too() {
    let (mut saved, mut loaded) = (IndexMap::<i64, ArrayD<f32>>::new(), IndexMap::<i64, ArrayD<f32>>::new());
    let from = AppState::new().with("empty", &mut saved);
    let mut into = AppState::new().with("empty", &mut loaded);
    // An empty dict is one value on the way.
    assert_eq!(flatten_target(into.state_target().expect("target")).expect("flattens").len(), 1);
    transfer(&from, &mut into).expect("transfers");
}

#[test]
fn errors_say_in_which_object_they_are() {
    let mut model = Trainer::new(0.0);
    let mut app = AppState::new().with("model", &mut model);
    let load = |app: &mut AppState<'_>, state: Tree<LoadedLeaf>| {
        app.load_state_dict(Loaded::new().with("model", state)).expect_err("no")
    };

    let error = app.load_state_dict(Loaded::new()).expect_err("nothing was loaded");
    assert_eq!((error.to_string().as_str(), error.kind()), ("model: step was not loaded", "missing"));
    assert_eq!(error.name(), "model.step");

    let text = Loaded::new().with("step", LoadedLeaf::Value("many".into()));
    let error = load(&mut app, text.into());
    assert_eq!(error.to_string(), format!("model: step: expected an integer from 0 to {}, found text", u64::MAX));

    let tensor = Loaded::new().with("step", LoadedLeaf::InPlace);
    assert!(load(&mut app, tensor.into()).to_string().ends_with("found a tensor"));

    let error = load(&mut app, LoadedLeaf::InPlace.into());
    assert_eq!(
        (error.to_string().as_str(), error.name().as_str()),
        ("model: expected a dict, found a tensor", "model")
    );
}

#[test]
fn descriptions_that_cannot_be_made_are_errors() {
    struct Odd;
    impl Stateful for Odd {
        fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
            Err(StatefulError::custom("the device is gone"))
        }
        fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
            Ok(TensorSpec::replicated(DType::UInt8, [u64::MAX, 2]).map(|_| StateTarget::new())?)
        }
        fn load_state_dict(&mut self, _: Loaded) -> Result<(), StatefulError> {
            Ok(())
        }
    }
    let mut app = Odd;
    let mut app = AppState::new().with("odd", &mut app);
    assert_eq!(app.state_dict().expect_err("gone").to_string(), "odd: the device is gone");
    let error = app.state_target().expect_err("too large");
    assert_eq!((error.kind(), error.name().as_str()), ("types", "odd"));
}

fn from<T: FromValue>(value: impl Into<Value>) -> Option<T> {
    T::from_value(&value.into())
}

#[test]
fn values_become_what_they_fit() {
    assert_eq!((from::<u8>(255), from::<u8>(256), from::<u8>(-1)), (Some(255), None, None));
    assert_eq!((from::<u64>(u64::MAX), from::<i64>(u64::MAX)), (Some(u64::MAX), None));
    assert_eq!((from::<i32>(1.0), from::<i32>(true)), (None, None));
    assert_eq!((from::<f64>(0.5), from::<f64>(3)), (Some(0.5), Some(3.0)));
    assert_eq!((from::<f64>(i64::MAX), from::<f64>(i64::MIN)), (None, Some(-(2f64.powi(63)))));
    assert_eq!((from::<bool>(true), from::<bool>(1)), (Some(true), None));
    assert_eq!((from::<String>("é"), from::<()>(())), (Some("é".to_owned()), Some(())));
    let list = Value::List(vec![1.into(), 2.into()]);
    assert_eq!((from::<Vec<u8>>(list.clone()), from::<Vec<bool>>(list)), (Some(vec![1, 2]), None));
    assert_eq!(from::<Vec<Option<i64>>>(Value::Tuple(vec![Value::None, 5.into()])), Some(vec![None, Some(5)]));
    assert_eq!(<Vec<Option<bool>>>::expected(), "a list, of each a truth value, or None");
}

#[test]
fn special_types_do_not_matter() {
    let list = || Value::List(vec![1.into(), 2.into()]);
    assert_eq!(from::<Vec<u8>>(Typed::new(Typed::FROZENSET, list())), Some(vec![1, 2]));
    assert_eq!(from::<Option<String>>(Typed::new(Typed::TORCH_DTYPE, "int8")), Some(Some("int8".to_owned())));
    assert_eq!(from::<Option<u8>>(Typed::new("a.Nothing", ())), Some(None));
    assert_eq!(from::<f64>(Typed::new("numpy.float64", Typed::new("a.B", 3))), Some(3.0));
    assert_eq!(from::<Value>(Typed::new("a", 1)), Some(Typed::new("a", 1).into()));
}

#[test]
fn small_tensors_become_arrays() {
    let storage = [1u16, 2, 3, 4].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
    let shape = dcp_types::Shape::new([2, 2]).expect("shape");
    let tensor = TensorValue::strided(DType::UInt16, shape, [1, 2], 0, storage.into()).expect("inside");
    let parameter = Value::from(Typed::new(Typed::TORCH_PARAMETER, tensor));
    let transposed = ndarray::arr2(&[[1u16, 3], [2, 4]]);
    assert_eq!(from::<Array2<u16>>(parameter.clone()), Some(transposed.clone()));
    assert_eq!(from::<ndarray::ArrayD<u16>>(parameter.clone()), Some(transposed.into_dyn()));
    assert_eq!((from::<Array1<u16>>(parameter.clone()), from::<Array2<i16>>(parameter)), (None, None));
    assert_eq!(Array2::<f32>::expected(), "a tensor of float32 with 2 dimensions");
}

#[test]
fn any_layout_of_an_array_is_a_tensor() {
    let table = Array2::from_shape_fn((3, 4), |(row, column)| (row * 4 + column) as u16);
    let column = table.column(1);
    assert_eq!(whole(&column).expect("tensor").spec.shape().dims(), [3]);
    let mut transposed = table.clone().reversed_axes();
    assert_eq!(whole_mut(&mut transposed).expect("tensor").dest.shape(), [4, 3]);
    let mut maps = IndexMap::from([("b", Array1::<f32>::zeros(2)), ("a", Array1::zeros(3))]);
    let keys: Vec<_> = maps.state_target().expect("target").into_iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["b", "a"]);
}
