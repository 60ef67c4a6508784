//! What is written, beside what PyTorch has written.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dcp_storage::{Layout, StorePath, Strictness};
use dcp_types::strategies::values;
use dcp_types::{DType, Region, Shape, TensorValue, Typed, Value};
use proptest::prelude::*;

use super::value::decode;
use super::{TensorArchive, encode, tensor};
use crate::archive::{Archive, Known, Storages};
use crate::metadata::{self, Index};

/// The checkpoints of PyTorch 2.15 in one piece.
fn cases() -> Vec<(PathBuf, Index)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/torch");
    let listed = fs::read_dir(folder).expect("fixtures").map(|entry| entry.expect("entry").path());
    let opened = listed.filter(|path| !path.to_string_lossy().contains('@')).filter_map(|path| {
        let index = fs::read(path.join(".metadata")).ok()?;
        let name = StorePath::parse(".metadata").expect("a name");
        let (index, _) = metadata::decode(&[(name, index.into())], Strictness::Strict).expect("sound");
        Some((path, index))
    });
    opened.collect()
}

fn item(at: &Path, place: metadata::Place<'_>) -> Option<Bytes> {
    let file = fs::read(at.join(place.file.as_str())).expect("reads");
    let (start, length) = (place.offset as usize, place.length as usize);
    place.transforms.is_empty().then(|| Bytes::from(file).slice(start..start + length))
}

fn whole(dtype: DType, shape: &[u64], payload: &[u8]) -> Vec<u8> {
    let mut written = TensorArchive::new(dtype, shape).expect("short");
    let head = std::mem::take(&mut written.head);
    [&head, payload, &written.tail(crc32fast::hash(payload))].concat()
}

#[test]
fn tensors_are_written_byte_for_byte_as_pytorch_does() {
    let mut compared = 0;
    for (at, index) in cases() {
        for (number, (fqn, entry)) in index.metadata().entries().enumerate() {
            let Some(entry) = entry.as_tensor() else { continue };
            for chunk in entry.chunks_meeting(&Region::full(&entry.shape)) {
                let place = index.chunk(number, &chunk).expect("a place");
                let Some(expected) = item(&at, place) else { continue };
                let known = Known::whole(expected.clone());
                let Ok(archive) = Archive::read(&known) else { continue };
                let (pickle, _) = archive.pickle(&known, u64::MAX).expect("a pickle");
                let (pickled, _) = tensor(&pickle).expect("a tensor");
                let stored = archive.storage(&known, "0").expect("a storage");
                if pickled.layout(archive.byte_order()) != Layout::default() || stored.crc.is_none() {
                    continue;
                }
                let payload = archive.storage_bytes(&known, "0").expect("bytes");
                let found = whole(entry.dtype, chunk.region.sizes(), &payload);
                assert!(found == expected, "{}: {fqn}", at.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn tensors_of_every_dtype_and_of_many_dimensions_are_written() {
    for &dtype in DType::ALL {
        for shape in [&[][..], &[0, 4], &[5], &[2, 3], &[1, 2, 3], &[2, 1, 2, 1, 2], &[300, 0, 70_000, 3]] {
            let length = shape.iter().product::<u64>() * dtype.size();
            let payload: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let start = TensorArchive::new(dtype, shape).expect("short").head.len() as u64;
            let known = Known::whole(whole(dtype, shape, &payload).into());
            let archive = Archive::read(&known).expect("an archive");
            archive.check_contents(&known).expect("right checksums");
            let (found, _) = tensor(&archive.pickle(&known, u64::MAX).expect("a pickle").0).expect("a tensor");
            assert_eq!((found.dtype, &found.shape[..], found.requires_grad), (dtype, shape, false));
            assert_eq!(archive.storage(&known, "0").expect("a storage").offset, start);
        }
    }
}

#[test]
fn objects_of_pytorch_are_written_so_that_they_read_the_same() {
    let (mut compared, mut same) = (0, 0);
    for (at, index) in cases() {
        for (number, (fqn, _)) in index.metadata().entries().enumerate() {
            let Some(expected) = index.value(number).and_then(|place| item(&at, place)) else { continue };
            let value = decode(&expected).expect("reads");
            let written = encode(&value).unwrap_or_else(|fault| panic!("{}: {fqn}: {fault}", at.display()));
            let again = decode(&written).expect("reads");
            assert_eq!(again.encode(), value.encode(), "{}: {fqn}", at.display());
            compared += 1;
            same += u32::from(written == expected);
        }
    }
    // What differs is shared in other ways, or was never in this form.
    assert!(compared > 100 && same * 10 > compared * 9, "{same} of {compared}");
}

proptest! {
    #[test]
    fn values_come_back_or_are_refused(value in values()) {
        if let Ok(written) = encode(&value) {
            let found = decode(&written).expect("reads");
            prop_assert_eq!(found.encode(), value.encode());
        }
    }
}

#[test]
fn special_types_come_back() {
    let typed = |name: &str, value: Value| Value::from(Typed::new(name, value));
    let list = |items: &[i64]| Value::List(items.iter().map(|item| (*item).into()).collect());
    let storage = Bytes::from(vec![7u8; 40]);
    let shape = |extents: &[u64]| Shape::new(extents.iter().copied()).expect("a shape");
    let view = TensorValue::strided(DType::Int16, shape(&[2, 3]), [1, 4], 2, storage.clone()).expect("inside");
    let same = TensorValue::strided(DType::Int32, shape(&[3]), [2], 1, storage.clone()).expect("inside");
    let parameter = TensorValue::new(DType::BFloat16, shape(&[2]), vec![1u8, 2, 3, 4]).expect("a tensor");
    let mut all = vec![
        typed(Typed::TORCH_SIZE, Value::Tuple(vec![1.into(), 2.into(), 3.into(), 4.into()])),
        typed(Typed::TORCH_SIZE, Value::Tuple(Vec::new())),
        typed(Typed::TORCH_DEVICE, "cpu".into()),
        typed(Typed::TORCH_DEVICE, "cuda:3".into()),
        typed(Typed::TORCH_LAYOUT, "strided".into()),
        typed(Typed::TORCH_PARAMETER, parameter.clone().with_requires_grad(true).into()),
        typed(Typed::SET, list(&[3, 1, 2])),
        typed(Typed::FROZENSET, list(&[])),
        typed(Typed::BYTEARRAY, Value::from(vec![0u8, 255])),
        typed(Typed::BYTEARRAY, Value::from(Vec::new())),
        typed(Typed::INT, "-123456789012345678901234567890".into()),
        typed(Typed::INT, format!("1{}", "0".repeat(900)).into()),
        typed(Typed::ORDERED_DICT, Value::Dict(vec![("b".into(), 1.into()), (3.into(), Value::None)])),
        typed(Typed::ORDERED_DICT, Value::List(vec![Value::Tuple(vec![Value::Tuple(vec![1.into()]), 2.into()])])),
        typed(Typed::DICT, Value::List(vec![Value::Tuple(vec![true.into(), list(&[1])])])),
        Value::List((0..2500).map(Value::from).collect()),
        Value::Dict((0..2001i64).map(|key| (key.into(), Value::None)).collect()),
        Value::Tuple(vec![view.into(), same.into(), parameter.into()]),
        Value::from(vec![0u8; 100_000]),
        Value::List((0..200).map(|_| Value::from(vec![7u8; 1000])).collect()),
        Value::from("é".repeat(70_000)),
        u64::MAX.into(),
    ];
    all.extend(DType::ALL.iter().map(|dtype| typed(Typed::TORCH_DTYPE, dtype.name().into())));
    for value in [all.clone(), vec![Value::List(all)]].concat() {
        let written = encode(&value).unwrap_or_else(|fault| panic!("{value:?}: {fault}"));
        assert_eq!(decode(&written).expect("reads"), value);
    }
}

#[test]
fn tensors_that_share_a_storage_still_do() {
    let storage = Bytes::from(vec![1u8; 1 << 16]);
    let shape = Shape::new([4]).expect("a shape");
    let view =
        |offset| TensorValue::strided(DType::UInt8, shape.clone(), [2], offset, storage.clone()).expect("inside");
    let written = encode(&Value::List(vec![view(0).into(), view(1000).into()])).expect("encodes");
    assert!(written.len() < (1 << 16) + 4096);
    assert!(matches!(decode(&written), Ok(Value::List(views)) if matches!(&views[..],
        [Value::Tensor(one), Value::Tensor(other)] if one.storage().as_ptr() == other.storage().as_ptr())));
}

#[test]
fn what_python_cannot_hold_is_refused() {
    let typed = |name: &str, value: Value| Value::from(Typed::new(name, value));
    let list = Value::List(vec![Value::List(Vec::new())]);
    for value in [
        typed("a.b.C", Value::None),
        typed(Typed::TORCH_MEMORY_FORMAT, "contiguous_format".into()),
        typed(Typed::TORCH_DTYPE, "float32\nos system".into()),
        typed(Typed::TORCH_DEVICE, "cpu:".into()),
        typed(Typed::TORCH_DEVICE, "cpu:01".into()),
        typed(Typed::TORCH_LAYOUT, "dense".into()),
        typed(Typed::TORCH_SIZE, Value::Tuple(vec!["1".into()])),
        typed(Typed::INT, "ten".into()),
        typed(Typed::SET, list.clone()),
        typed(Typed::DICT, Value::List(vec![Value::Tuple(vec![list, Value::None])])),
        typed(Typed::DICT, Value::List(vec![Value::None])),
        (0..Value::MAX_DEPTH).fold(Value::None, |inner, _| Value::List(vec![inner])),
    ] {
        assert!(encode(&value).is_err(), "{value:?}");
    }
}
