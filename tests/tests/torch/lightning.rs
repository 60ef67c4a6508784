//! Lightning itself, as the one that saves, and that loads what is made here. `DCP_TORCH_PYTHON` names a Python that has it:
//!
//! ```text
//! DCP_TORCH_PYTHON=python3 cargo test -p dcp-tests --test torch -- --ignored lightning
//! ```

use std::path::{Path, PathBuf};

use dcp::{Converter, DcpFormat, DeviceMesh, LightningForm, Placement};
use tempfile::TempDir;

use crate::pytorch::Python;

const SCRIPT: &str = "lightning_checkpoints.py";

/// A checkpoint that Lightning has saved, and the file that was made of it here.
struct Saved<'p> {
    python: &'p Python,
    kind: &'static str,
    dir: TempDir,
}

impl<'p> Saved<'p> {
    fn new(python: &'p Python, kind: &'static str, options: &[&str]) -> Self {
        let saved = Self { python, kind, dir: tempfile::tempdir().expect("temporary directory") };
        python.run(SCRIPT, &[&["save", kind, text(&saved.checkpoint())], options].concat());
        let consolidated = Converter::new().consolidate(None).convert(saved.checkpoint(), saved.file());
        let is_trainers = consolidated.expect("consolidates").form == Some(LightningForm::Trainer);
        assert_eq!(is_trainers, kind.starts_with("trainer"), "{kind}");
        python.run(SCRIPT, &[&["same", kind, text(&saved.checkpoint()), text(&saved.file())], options].concat());
        saved
    }

    fn checkpoint(&self) -> PathBuf {
        self.dir.path().join("epoch=0.ckpt")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("epoch=0.ckpt.consolidated")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
#[ignore = "needs a Python with Lightning: DCP_TORCH_PYTHON"]
fn a_trainer_trains_on_from_one_file() {
    let python = Python::new();
    for kind in ["trainer-fsdp", "trainer-mp"] {
        let saved = Saved::new(&python, kind, &[]);
        python.run(SCRIPT, &["resume", text(&saved.file())]);
    }
}

#[test]
#[ignore = "needs a Python with Lightning: DCP_TORCH_PYTHON"]
fn objects_and_ties_in_a_trainers_state_are_kept() {
    Saved::new(&Python::new(), "trainer-mp", &["odd"]);
}

/// Cut as three ranks would have saved it, and loaded by two.
#[test]
#[ignore = "needs a Python with Lightning: DCP_TORCH_PYTHON"]
fn fabric_loads_what_is_written_in_its_layout() {
    let python = Python::new();
    for kind in ["fabric-fsdp", "fabric-mp"] {
        let saved = Saved::new(&python, kind, &[]);
        let again = saved.dir.path().join("again");
        let mesh = DeviceMesh::new([3]).expect("a mesh");
        let converter = Converter::new().reshard(mesh, Vec::<(&str, Vec<Placement>)>::new()).expect("no patterns");
        converter.to(DcpFormat::new().lightning()).convert(saved.checkpoint(), &again).expect("converts");
        saved.python.run(SCRIPT, &["load", saved.kind, text(&again), text(&saved.file())]);
    }
}
