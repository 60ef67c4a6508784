//! Files that lie.

use std::fs;

use dcp_storage::StorageError;
use serde_json::Value;

use super::{Strictness, cases, decode_files, fixtures, index_files};
use crate::peak::peak_of;

#[test]
fn every_lie_of_an_index_is_found() {
    let mut found = 0;
    for case in cases("torch-hostile") {
        let files = index_files(&case);
        if files.is_empty() {
            continue;
        }
        let at = case.display();
        let note: Value = serde_json::from_slice(&fs::read(case.join("NOTE.json")).expect("note")).expect("JSON");
        let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let (decoded, peak) = peak_of(|| decode_files(&files, Strictness::Strict));
        assert!(peak < 100 * size + (1 << 16), "{at}: {peak} bytes for {size}");
        let _ = decode_files(&files, Strictness::Salvage);
        if note["must"] == "either" {
            continue;
        }
        // A transform that is not known matters only to who wants what went through it.
        if note["detect_at"] != "metadata" || case.ends_with("h120_transform_unknown") {
            assert!(decoded.is_ok(), "{at}: {decoded:?}");
            continue;
        }
        let error = decoded.expect_err("a lie");
        let text = error.to_string();
        let fits = match note["error_kind"].as_str().expect("kind") {
            // Its frame is too long as well, which is found first.
            "unsupported" if case.ends_with("h09_pickle_layout_unknown") => {
                matches!(error, StorageError::Corrupt { .. })
            }
            "unsupported" => matches!(error, StorageError::Unreadable { .. }),
            "unsafe-path" => matches!(error, StorageError::InvalidPath { .. }),
            "forbidden-global" => matches!(error, StorageError::Corrupt { .. }) && text.contains("not allowed"),
            "limit-exceeded" => matches!(error, StorageError::Corrupt { .. }) && text.contains("limit"),
            _ => matches!(error, StorageError::Corrupt { .. }),
        };
        assert!(fits, "{at}: {error:?}");
        found += 1;
    }
    assert!(found > 39, "{found}");
}

#[test]
fn what_is_sound_is_rescued() {
    for (case, bad) in [
        ("h39_path_absolute", "a"),
        ("h51_extent_u64_plus", "a"),
        ("h56_extent_float", "a"),
        ("h57_geo_negative_size", "a"),
        ("h62_geo_hole", "a"),
        ("h65_geo_dims_10000", "a"),
        ("h68_storage_entry_missing", "a"),
        ("h72_planner_conflict", "b"),
    ] {
        let files = index_files(&fixtures("torch-hostile").join(case));
        let (index, problems) =
            decode_files(&files, Strictness::Salvage).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(!index.metadata().is_empty(), "{case}");
        assert!(
            problems.iter().any(|problem| problem.fqn.as_ref().is_some_and(|fqn| fqn.as_str() == bad)),
            "{case}: {problems:?}"
        );
        assert!(index.metadata().find(bad).is_none(), "{case}");
        assert!(problems.iter().all(|problem| problem.fault.is_bad_checkpoint()), "{case}");
        let error = decode_files(&files, Strictness::Strict).expect_err("strict");
        assert!(error.to_string().contains(bad), "{case}: {error}");
    }
}

#[test]
fn layouts_and_dtypes_that_are_not_known_are_not_supported() {
    for (known, unknown) in [("torch.strided", "torch.jagged_"), ("int64", "qint8")] {
        let mut files = index_files(&fixtures("torch").join("22_zstd"));
        let (_, bytes) = &mut files[0];
        let at = bytes.windows(known.len()).position(|text| text == known.as_bytes()).expect("there");
        bytes[at..at + known.len()].copy_from_slice(unknown.as_bytes());
        let error = decode_files(&files, Strictness::Strict).expect_err("unknown");
        assert!(matches!(&error, StorageError::Unreadable { what, .. } if what.contains(unknown)), "{error:?}");
        let (index, problems) = decode_files(&files, Strictness::Salvage).expect("the rest");
        assert!(!index.metadata().is_empty() && !problems.is_empty());
    }
}
