//! `dcpctl reshard`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use dcp::{Checkpoint, Placement};

use crate::support::{Said, dcpctl, small, weight};

fn reshard(from: &Path, to: &Path, options: &[&str]) -> Said {
    let args = [OsStr::new("reshard"), from.as_os_str(), to.as_os_str()].into_iter();
    dcpctl(args.chain(options.iter().map(OsStr::new)))
}

fn placements(place: &Path, name: &str) -> Vec<Placement> {
    let checkpoint = Checkpoint::open(place).expect("opens");
    match &checkpoint.metadata().tensor(name).expect("there").chunks {
        dcp::crates::dcp_types::Chunks::Grid(grid) => grid.placements().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_number_of_ranks_shards_rows() {
    let (dir, from) = small();
    let to = dir.path().join("to");
    let said = reshard(&from, &to, &["--ranks", "3"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.starts_with("wrote 3 tensors, 8 values, ") && said.out.contains("(native)"), "{said:?}");
    assert_eq!(placements(&to, "model.weight"), [Placement::Shard(0)]);
    let mut names: Vec<String> = fs::read_dir(&to)
        .expect("listed")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("text"))
        .collect();
    names.sort_unstable();
    names.retain(|name| !name.contains("claim"));
    assert_eq!(names, ["__0_0.distcp", "__1_0.distcp", "__2_0.distcp", "index.dcp"]);
    assert_eq!(Checkpoint::open(&to).expect("opens").tensor("model.weight").expect("there").bytes(), weight());
}

#[test]
fn a_mesh_and_rules_say_how_tensors_lie() {
    let (dir, from) = small();
    let to = dir.path().join("to");
    let rules = ["--placement", "*.weight=shard(1),shard(0)", "--placement", "*=replicate,replicate"];
    let said = reshard(&from, &to, &[&["--mesh", "dp=2,tp=3"], &rules[..]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(placements(&to, "model.weight"), [Placement::Shard(1), Placement::Shard(0)]);
    assert_eq!(placements(&to, "model.scale"), [Placement::Replicate, Placement::Replicate]);
    let checkpoint = Checkpoint::open(&to).expect("opens");
    assert_eq!(checkpoint.tensor("model.weight").expect("there").bytes(), weight());
    let dcp = dir.path().join("dcp");
    let said = reshard(&from, &dcp, &["--ranks", "2", "--to", "dcp", "--include", "model.weight"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(Checkpoint::open(&dcp).expect("opens").format(), "dcp");
}

#[test]
fn what_does_not_fit_is_an_error_that_names_the_tensor() {
    let (dir, from) = small();
    let to = dir.path().join("to");
    let cases: [(&[&str], &str); 6] = [
        (&["--ranks", "2", "--placement", "*.weight=shard(2)"], "model.weight"),
        (&["--mesh", "dp=2,tp=2", "--placement", "*.weight=shard(0)"], "model.weight"),
        (&["--ranks", "2", "--placement", "[=shard(0)"], "the pattern \"[\""),
        (&["--ranks", "2", "--to", "torch-save"], "it is one file"),
        (&[], "--ranks"),
        (&["--ranks", "0"], "--ranks"),
    ];
    for (options, with) in cases {
        let said = reshard(&from, &to, options);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
        assert!(said.err.contains(with), "{with}: {said:?}");
        assert!(!to.exists());
    }
}
