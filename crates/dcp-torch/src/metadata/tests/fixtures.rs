//! Against what PyTorch itself reads from its files.

use std::fs;
use std::path::Path;

use dcp_types::{Chunk, Chunks, Metadata, Region, Segment};
use serde_json::{Value, json};

use super::{Index, Strictness, cases, decode_files, fixtures, index_files};
use crate::metadata::Place;

#[test]
fn every_index_says_what_pytorch_reads_from_it() {
    let mut compared = 0;
    for case in cases("torch") {
        let files = index_files(&case);
        let (index, problems) =
            decode_files(&files, Strictness::Strict).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        assert!(problems.is_empty());
        if let Ok(expected) = fs::read(case.join("metadata.json")) {
            let expected: Value = serde_json::from_slice(&expected).expect("JSON");
            check(&case, &index, &expected);
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn the_files_of_ranks_become_one_index() {
    for case in ["13_nocoll_w2", "13_nocoll_w2@2.9.1"] {
        let case = fixtures("torch").join(case);
        let files = index_files(&case);
        assert_eq!(files.len(), 2);
        let (index, _) = decode_files(&files, Strictness::Strict).expect("sound");
        let listed = |rank: usize| -> Value {
            let json = fs::read(case.join(format!("__{rank}.metadata.json"))).expect("fixture");
            serde_json::from_slice(&json).expect("JSON")
        };
        let (first, second) = (listed(0), listed(1));
        let all = first["storage"].as_array().expect("list").iter().chain(second["storage"].as_array().expect("list"));
        let mut seen = Vec::new();
        for listed in all {
            let key = (listed[0].clone(), listed[1].clone());
            if !seen.contains(&key) && holds_something(&first, &second, listed) {
                assert_eq!(stored(&index, listed), Some(place_json(listed)), "{listed}");
                seen.push(key);
            }
        }
        let (alone, problems) = decode_files(&files[..1], Strictness::Salvage).expect("sound");
        let missing: Vec<_> = problems.iter().filter_map(|problem| Some(problem.fqn.as_ref()?.as_str())).collect();
        assert_eq!((missing, alone.metadata().len()), (vec!["dt"], 3));
    }
}

fn holds_something(first: &Value, second: &Value, listed: &Value) -> bool {
    let name = listed[0].as_str().expect("name");
    let mut chunks =
        [first, second].into_iter().filter_map(|rank| rank["state_dict"][name]["chunks"].as_array()).flatten();
    listed[1].is_null() || chunks.any(|chunk| chunk[0] == listed[1] && region(chunk).numel() > 0)
}

fn check(case: &Path, index: &Index, expected: &Value) {
    let at = case.display();
    let listed = expected["state_dict"].as_object().expect("dict");
    assert_eq!(index.metadata().len(), listed.len(), "{at}");
    for (name, what) in listed {
        check_entry(index.metadata(), name, what, &expected["planner_data"], &at.to_string());
    }
    for listed in expected["storage"].as_array().expect("list") {
        let found = stored(index, listed);
        assert!(index.files().iter().any(|file| listed[3] == file.as_str()), "{at}: {listed}");
        let chunks = expected["state_dict"][listed[0].as_str().expect("name")]["chunks"].as_array();
        let empty = chunks.is_some_and(|chunks| {
            chunks.iter().filter(|chunk| chunk[0] == listed[1]).all(|chunk| region(chunk).is_empty())
        });
        assert_eq!(found, (!empty).then(|| place_json(listed)), "{at}: {listed}");
    }
}

fn check_entry(metadata: &Metadata, name: &str, what: &Value, planner: &Value, at: &str) {
    let (_, entry) = metadata.find(name).unwrap_or_else(|| panic!("{at}: {name}"));
    let step = |segment: &Segment| match segment {
        Segment::Key(key) => json!(key.to_string()),
        Segment::Item(index) => json!(index),
        Segment::TupleItem(_) => Value::Null,
    };
    let path: Value = entry.path.segments().iter().map(step).collect();
    assert_eq!(path, planner.get(name).cloned().unwrap_or(json!([name])), "{at}: {name}");
    let Some(tensor) = entry.as_tensor() else { return assert_eq!(what, "bytes", "{at}: {name}") };
    assert_eq!(json!(tensor.dtype.name()), what["dtype"], "{at}: {name}");
    assert_eq!(json!(tensor.shape.dims()), what["size"], "{at}: {name}");
    let expected = what["chunks"].as_array().expect("list").iter().map(region).filter(|region| !region.is_empty());
    let found = match &tensor.chunks {
        Chunks::List(list) => list.regions().to_vec(),
        _ => vec![Region::full(&tensor.shape)].into_iter().filter(|region| !region.is_empty()).collect(),
    };
    assert_eq!(found, expected.collect::<Vec<_>>(), "{at}: {name}");
}

fn region(chunk: &Value) -> Region {
    let extents =
        |list: &Value| list.as_array().expect("list").iter().map(|n| n.as_u64().expect("extent")).collect::<Vec<_>>();
    Region::new(extents(&chunk[0]), extents(&chunk[1])).expect("region")
}

/// Where the index says that a listed item lies.
fn stored(index: &Index, listed: &Value) -> Option<Value> {
    let (number, entry) = index.metadata().find(listed[0].as_str().expect("name")).expect("entry");
    let place = match (entry.as_tensor(), listed[1].as_array()) {
        (None, None) => index.value(number),
        (Some(tensor), Some(offset)) => {
            let offset: Vec<_> = offset.iter().map(|n| n.as_u64().expect("offset")).collect();
            let all = tensor.chunks_meeting(&Region::full(&tensor.shape));
            let chunk = all.into_iter().find(|chunk| chunk.region.offsets() == offset)?;
            // The number is a help, not a must.
            assert_eq!(index.chunk(number, &Chunk { number: 77, ..chunk.clone() }), index.chunk(number, &chunk));
            index.chunk(number, &chunk)
        }
        _ => None,
    };
    place.map(|Place { file, offset, length, transforms }| json!([file.as_str(), offset, length, transforms.len()]))
}

fn place_json(listed: &Value) -> Value {
    json!([listed[3], listed[4], listed[5], listed[6].as_array().map_or(0, Vec::len)])
}
