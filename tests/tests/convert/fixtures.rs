//! PyTorch's checkpoints in other forms.

use std::path::{Path, PathBuf};

use dcp::{Checkpoint, ConvertReport, Converter, DcpFormat, Error, Format, Location, MemoryStore, NativeFormat};
use dcp_types::{Entry, Segment, TensorEntry};

use crate::same::assert_same;

/// Every checkpoint of PyTorch's that there is, in a directory or a file; but for those with objects that would do harm.
fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut stack = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch")];
    while let Some(path) = stack.pop() {
        if path.ends_with("26_objects") {
            continue;
        }
        if Checkpoint::open(&path).is_ok() {
            found.push(path);
        } else if path.is_dir() {
            stack.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        }
    }
    assert!(found.len() > 70, "only {} checkpoints", found.len());
    found
}

#[test]
fn natively_all_of_it_is_kept() {
    for path in all() {
        let source = Checkpoint::open(&path).expect("opens");
        let (native, back) = (MemoryStore::new(), MemoryStore::new());
        let report = convert(NativeFormat::new(), &path, native.clone());
        let bytes: u64 = source.metadata().entries().filter_map(|(_, entry)| Some(entry.as_tensor()?.nbytes())).sum();
        assert_eq!((report.format, report.bytes), ("native", bytes));
        assert_eq!((report.tensors + report.values) as usize, source.metadata().len());
        let converted = Checkpoint::open(native.clone()).expect("opens");
        assert_same(&source, &converted);
        for ((_, one), (_, other)) in source.metadata().entries().zip(converted.metadata().entries()) {
            assert_eq!(one.path, other.path);
            let chunks = |entry: &Entry| entry.as_tensor().map(TensorEntry::chunk_count);
            assert_eq!(chunks(one), chunks(other), "{path:?}: {}", one.path);
        }
        if is_dict(&source) {
            convert(DcpFormat::new(), native, back.clone());
            assert_same(&source, &Checkpoint::open(back).expect("opens"));
        }
    }
}

/// A file may hold a list, or just a tensor.
fn is_dict(checkpoint: &Checkpoint) -> bool {
    let is_in_dict = |entry: &Entry| matches!(entry.path.segments().first(), Some(Segment::Key(_)));
    checkpoint.metadata().entries().all(|(_, entry)| is_in_dict(entry))
}

#[test]
fn in_pytorchs_format_all_of_it_is_kept() {
    let mut others = 0;
    for path in all() {
        let (source, dcp) = (Checkpoint::open(&path).expect("opens"), MemoryStore::new());
        if !is_dict(&source) {
            let refused = Converter::new().to(DcpFormat::new()).convert(&path, dcp.clone()).expect_err("no dict");
            assert!(matches!(&refused, Error::Storage(error) if error.kind() == "unsupported"), "{refused:?}");
            Checkpoint::open(dcp).expect_err("nothing was written");
            others += 1;
            continue;
        }
        convert(DcpFormat::new(), &path, dcp.clone());
        assert_same(&source, &Checkpoint::open(dcp).expect("opens"));
    }
    assert!(others > 2, "{others}");
}

fn convert(format: impl Format + 'static, from: impl Into<Location>, to: MemoryStore) -> ConvertReport {
    let from = from.into();
    let place = from.to_string();
    Converter::new().to(format).convert(from, to).unwrap_or_else(|error| panic!("{place}: {error}"))
}
