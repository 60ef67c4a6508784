//! Checkpoints whose bytes went through transforms.

use std::sync::Arc;

use dcp::{
    Audit, Auditor, Checkpoint, Coder, Error, Format, Loader, LocalTensor, MemoryStore, NativeFormat, Opener, Region,
    Saver, StateDict, StateTarget, StorageError, StreamTransform, TargetLeaf, TargetTensor, ThreadGroup, Value,
    Verdict, Verify, Zstd,
};
use dcp_cli::{Dcpctl, Status};
use dcp_tests::{Case, Coding, Place, Sealed, assert_same_tree, block_on, cases, codings, contents, tensors_of};
use dcp_types::strategies::regions_in;
use dcp_types::{DataError, TensorSpec, View, ViewMut};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn save_and_load_is_the_identity(case in cases(12, false), coding in codings()) {
        let store: Place = Arc::new(MemoryStore::new());
        let format = coding.native().files_per_rank(case.options.files_per_rank);
        case.save_with(&store, |saver| saver.format(format.clone())).expect("saves");
        let report = case.load_each(|_| Arc::clone(&store), |loader| loader.format(format.clone())).expect("loads");
        prop_assert_eq!(report.total().verified, report.total().needed);
        // Whether or not the key is there, every byte that is stored is checked.
        for audit in [audit(format, &store), audit(NativeFormat::new(), &store)] {
            prop_assert_eq!((audit.verdict(), &audit.defects, audit.checked), (Verdict::Sound, &vec![], audit.bytes));
        }
    }

    #[test]
    fn a_slice_is_the_slice_of_the_whole((case, regions) in with_regions(), coding in codings()) {
        let store: Place = Arc::new(MemoryStore::new());
        case.save_with(&store, |saver| saver.format(coding.native())).expect("saves");
        let checkpoint = Opener::new().format(coding.native()).open(store).expect("opens");
        assert_same_tree(&checkpoint.load().expect("loads"), &case.loaded());
        let entries = checkpoint.metadata().entries().filter(|(_, entry)| entry.as_tensor().is_some());
        for ((name, tensor), region) in entries.map(|(fqn, _)| fqn).zip(tensors_of(&case.tree)).zip(regions) {
            let slice = checkpoint.slice(name.as_str(), &region).expect("reads");
            prop_assert!(slice.bytes() == tensor.whole.slice(&region), "{} {}", name, region);
        }
    }
}

fn with_regions() -> impl Strategy<Value = (Case, Vec<Region>)> {
    cases(8, true).prop_flat_map(|case| {
        let regions: Vec<_> = tensors_of(&case.tree).iter().map(|tensor| regions_in(&tensor.whole.shape)).collect();
        (Just(case), regions)
    })
}

fn audit(format: impl Format + 'static, store: &Place) -> Audit {
    Auditor::new().opener(Opener::new().format(format)).audit(Arc::clone(store)).expect("can be looked at")
}

/// A tensor of 300,000 bytes that compresses well, and two values.
fn saved(format: NativeFormat) -> Place {
    let store: Place = Arc::new(MemoryStore::new());
    let weight: Vec<u8> = (0..300_000u32).map(|at| (at / 1000) as u8).collect();
    let spec = TensorSpec::replicated(dcp::DType::UInt8, shape(&[300, 1000])).expect("a spec");
    let tensor = LocalTensor::new(spec, View::from_bytes(dcp::DType::UInt8, &[300, 1000], &weight).expect("a view"));
    let state = StateDict::new().with("weight", tensor).with("step", 7).with("note", "a note");
    Saver::new().format(format).save_dict(&state, Arc::clone(&store)).expect("saves");
    store
}

fn shape(extents: &[u64]) -> dcp::Shape {
    dcp::Shape::new(extents.iter().copied()).expect("a shape")
}

#[test]
fn transforms_are_applied_in_their_order() {
    let stored = |format| contents(&saved(format)).values().map(Vec::len).sum::<usize>();
    assert!(stored(Coding::Both.native()) < 10_000);
    assert!(stored(Coding::Sealed.native()) > 300_000);
    // What is sealed does not compress.
    let sealed_first = NativeFormat::new().transform(Sealed::with(1)).transform(Zstd::default());
    assert!(stored(sealed_first) > stored(Coding::Both.native()));
}

fn storage(error: Error) -> StorageError {
    match error {
        Error::Storage(error) => *error,
        other => panic!("{other}"),
    }
}

#[test]
fn another_key_is_an_error_that_names_what_it_does_not_open() {
    let store = saved(NativeFormat::new().transform(Sealed::with(1)));
    let format = NativeFormat::new().transform(Sealed::with(2));
    let checkpoint = Opener::new().format(format.clone()).open(Arc::clone(&store)).expect("opens");
    let errors = [checkpoint.tensor("weight").map(drop), checkpoint.value("step").map(drop)];
    for (error, name) in errors.into_iter().zip(["weight", "step"]) {
        let error = storage(error.expect_err("another key"));
        let StorageError::Undecodable { fqn, path, transform, source, .. } = &error else { panic!("{error:?}") };
        assert_eq!((fqn.as_str(), path.as_str()), (name, "__0_0.distcp"));
        assert_eq!(
            (transform.as_str(), source.to_string().as_str()),
            ("stream.sealed@dcp-tests/1", "the key is another one")
        );
        assert!(error.is_bad_checkpoint());
    }
    // An audit lists each of them.
    let found = audit(format, &store);
    assert_eq!(found.defects.iter().map(|defect| defect.kind).collect::<Vec<_>>(), ["undecodable"; 3]);
}

#[test]
fn without_the_transform_the_index_can_be_read_and_nothing_else() {
    let store = saved(Coding::Both.native());
    let checkpoint = Checkpoint::open(Arc::clone(&store)).expect("opens");
    assert_eq!(checkpoint.metadata().len(), 3);
    let mut memory = vec![7u8; 300_000];
    let target = ViewMut::from_bytes(dcp::DType::UInt8, &[300, 1000], &mut memory).expect("memory");
    let spec = TensorSpec::replicated(dcp::DType::UInt8, shape(&[300, 1000])).expect("a spec");
    let values = StateTarget::new().with("step", TargetLeaf::Value).with("note", TargetLeaf::Value);
    let state = values.with("weight", TargetTensor::new(spec, target));
    let errors = [
        checkpoint.tensor("weight").map(drop),
        checkpoint.value("note").map(drop),
        Loader::new().load_into(state, Arc::clone(&store)).map(drop),
    ];
    for error in errors {
        let error = storage(error.expect_err("the transform is missing"));
        let StorageError::Unreadable { path, what, .. } = &error else { panic!("{error:?}") };
        assert_eq!(path.as_str(), "__0_0.distcp");
        assert!(what.contains("stream.sealed@dcp-tests/1") && what.contains("give that transform"), "{what}");
    }
    assert!(memory.iter().all(|byte| *byte == 7), "nothing is read into memory before");
}

#[test]
fn damage_is_found_before_anything_is_decoded() {
    for coding in [Coding::Zstd, Coding::Both] {
        let store = saved(coding.native());
        let path = dcp::crates::dcp_storage::StorePath::parse("__0_0.distcp").expect("a path");
        let bytes = contents(&store)["__0_0.distcp"].clone();
        for at in [0, bytes.len() / 3, bytes.len() / 2] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 16;
            let broken: Place = Arc::new(MemoryStore::new());
            for (name, content) in contents(&store) {
                let content = if name == path.as_str() { damaged.clone() } else { content };
                let name = dcp::crates::dcp_storage::StorePath::parse(&name).expect("a path");
                let mut upload = block_on(broken.create(&name, None)).expect("creates");
                block_on(upload.write(&content)).expect("writes");
                block_on(upload.finish()).expect("ends");
            }
            let checkpoint = Opener::new().format(coding.native()).open(Arc::clone(&broken)).expect("opens");
            let error = storage(checkpoint.load().expect_err("damaged"));
            assert!(matches!(error, StorageError::Damaged { .. }), "{coding:?} {at}: {error:?}");
            for found in [audit(coding.native(), &broken), audit(NativeFormat::new(), &broken)] {
                assert_eq!(found.defects.iter().map(|defect| defect.kind).collect::<Vec<_>>(), ["damaged"]);
            }
            // Unless nobody wants to know.
            let checkpoint = checkpoint.verify(Verify::None);
            let error = checkpoint.load().err().map(storage);
            assert!(!matches!(error, Some(StorageError::Damaged { .. })), "{coding:?} {at}: {error:?}");
        }
    }
}

#[test]
fn ranks_with_different_transforms_are_refused() {
    let store: Place = Arc::new(MemoryStore::new());
    let outcomes = ThreadGroup::run(2, |rank| {
        let number = dcp::Collective::rank(&rank);
        let format = if number == 0 { Coding::Zstd.native() } else { Coding::Both.native() };
        let state = StateDict::new().with(format!("of {number}"), number as i64);
        Saver::new().group(&rank).format(format).save_dict(&state, Arc::clone(&store)).map(drop)
    });
    for outcome in outcomes {
        let error = outcome.expect("no panic").expect_err("different transforms");
        assert!(error.to_string().contains("stream.sealed@dcp-tests/1"), "{error}");
    }
    assert!(Checkpoint::open(store).is_err());
}

/// What would look like a bomb to a reader is not written.
#[test]
fn a_value_that_could_not_be_read_again_is_refused() {
    let store = MemoryStore::new();
    let state = StateDict::new().with("zeros", Value::Bytes(vec![0; 40 << 20].into()));
    let error = Saver::new().format(Coding::Zstd.native()).save_dict(&state, store.clone()).expect_err("a bomb");
    assert!(matches!(storage(error), StorageError::Unsupported { .. }));
    Saver::new().format(Coding::Sealed.native()).save_dict(&state, store).expect("as long as it says");
}

/// A transform that does not work.
#[derive(Clone, Debug)]
struct Broken(&'static str);

impl StreamTransform for Broken {
    fn name(&self) -> &str {
        self.0
    }
    fn version(&self) -> &'static str {
        "1"
    }
    fn encoder(&self) -> Result<Box<dyn Coder>, DataError> {
        Err("no entropy".into())
    }
    fn decoder(&self, _: &str) -> Result<Box<dyn Coder>, DataError> {
        Err("no memory".into())
    }
}

#[test]
fn a_transform_that_fails_fails_the_save_and_leaves_nothing() {
    let save = |name| {
        let store: Place = Arc::new(MemoryStore::new());
        let saver = Saver::new().format(NativeFormat::new().transform(Broken(name)));
        let error = saver.save_dict(&StateDict::new().with("step", 7), Arc::clone(&store)).expect_err("fails");
        assert!(contents(&store).is_empty());
        storage(error)
    };
    let error = save("stream.broken");
    let StorageError::Unencodable { path, transform, source } = &error else { panic!("{error:?}") };
    assert_eq!((path.as_str(), transform.as_str()), ("__0_0.distcp", "stream.broken/1"));
    assert_eq!(source.to_string(), "no entropy");
    for name in ["", "a/b", "two\nlines"] {
        assert!(matches!(save(name), StorageError::Unsupported { .. }), "{name:?}");
    }
}

#[test]
fn dcpctl_takes_formats_with_transforms() {
    let store = saved(Coding::Sealed.native());
    let run = |dcpctl: Dcpctl, args: [&str; 3]| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let store = Arc::clone(&store);
        let dcpctl = dcpctl.scheme("memory", move |_| Ok(Arc::clone(&store)));
        let status = dcpctl.run(["dcpctl"].into_iter().chain(args), &mut out, &mut err);
        (status, String::from_utf8_lossy(&out).into_owned())
    };
    let inspect = ["inspect", "--json", "memory://it"];
    let (_, without) = run(Dcpctl::new(), inspect);
    assert!(!without.contains("a note") && without.contains("stream.sealed@dcp-tests/1"), "{without}");
    let (status, with) = run(Dcpctl::new().format(Coding::Sealed.native()), inspect);
    assert!(status == Status::Fine && with.contains("a note"), "{with}");
    // What is stored can be verified by anybody.
    assert_eq!(run(Dcpctl::new(), ["verify", "--json", "memory://it"]).0, Status::Fine);
}
