//! `dcpctl consolidate`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use dcp::{Checkpoint, Converter, DcpFormat};
use tempfile::TempDir;

use crate::support::{Said, dcpctl, flip, small, weight};

fn consolidate(from: &Path, options: &[&str]) -> Said {
    let args = [OsStr::new("consolidate"), from.as_os_str()].into_iter();
    dcpctl(args.chain(options.iter().map(OsStr::new)))
}

/// A small checkpoint in several files, of PyTorch's format.
fn of_pytorch() -> (TempDir, PathBuf) {
    let (dir, native) = small();
    let place = dir.path().join("epoch=1.ckpt");
    let converter = Converter::new().exclude("{opaque,model.scale,by_number}");
    converter.expect("a pattern").to(DcpFormat::new()).convert(&native, &place).expect("converts");
    (dir, place)
}

/// Says in one line what is wrong.
fn fails(said: &Said, code: i32, with: &str) {
    assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    assert!(said.err.starts_with("dcpctl: ") && said.err.contains(with), "{said:?}");
}

fn names(place: &Path) -> Vec<String> {
    let checkpoint = Checkpoint::open(place).expect("opens");
    checkpoint.metadata().entries().map(|(fqn, _)| fqn.to_string()).collect()
}

#[test]
fn what_is_not_lightnings_becomes_a_file_beside_it() {
    let (dir, place) = of_pytorch();
    let said = consolidate(&place, &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let file = dir.path().join("epoch=1.ckpt.consolidated");
    assert!(said.out.contains(&format!(", to {} (torch-save) in ", file.display())), "{said:?}");
    assert_eq!(names(&file), names(&place));
    let [ours, theirs] = [&file, &place].map(|place| Checkpoint::open(place).expect("opens"));
    let bytes = |of: &Checkpoint| of.tensor("model.weight").expect("a tensor").bytes().to_vec();
    assert_eq!(bytes(&ours), bytes(&theirs));
    assert_eq!(ours.value("betas").expect("a value"), theirs.value("betas").expect("a value"));
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_asked() {
    let (dir, place) = of_pytorch();
    let file = dir.path().join("out.pt");
    let options = ["--output", file.to_str().expect("text")];
    let forced = [options[0], options[1], "--force", "--quiet"];
    fs::write(&file, b"something else").expect("written");
    fails(&consolidate(&place, &forced), 2, "out.pt is something else than torch-save, and is not replaced");
    assert_eq!(fs::read(&file).expect("read"), b"something else");
    fs::remove_file(&file).expect("removed");
    assert_eq!(consolidate(&place, &options).code, Some(0));
    let before = fs::read(&file).expect("read");
    fails(&consolidate(&place, &options), 2, "already holds");
    assert_eq!(fs::read(&file).expect("read"), before);
    let said = consolidate(&place, &forced);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(names(&file), names(&place));
}

#[test]
fn for_the_trainer_the_state_is_arranged_anew() {
    let (dir, place) = of_pytorch();
    let file = dir.path().join("epoch=1.ckpt.consolidated");
    let said = consolidate(&place, &["--form", "trainer", "--dry-run"]);
    assert!(said.out.starts_with("would write ") && said.out.contains("(torch-save, for the Trainer)"), "{said:?}");
    assert!(!file.exists());
    let said = consolidate(&place, &["--form", "trainer"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let expected = names(&place).into_iter().map(|name| name.replace("model.", "state_dict."));
    let (mut names, mut expected) = (names(&file), expected.collect::<Vec<_>>());
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing() {
    let (dir, place) = of_pytorch();
    let before = fs::read_dir(dir.path()).expect("listed").count();
    fails(&consolidate(&dir.path().join("none"), &[]), 2, "there is no checkpoint in");
    fails(&consolidate(Path::new(".."), &[]), 2, "say with -o");
    let same = place.to_str().expect("text");
    fails(&consolidate(&place, &["-o", same, "--force"]), 2, "both source and destination");
    let weight = weight();
    let (data, offset) = (0..4)
        .map(|rank| place.join(format!("__{rank}_0.distcp")))
        .filter(|data| data.exists())
        .find_map(|data| {
            let content = fs::read(&data).expect("read");
            let offset = content.windows(16).position(|bytes| bytes == &weight[16..32])?;
            Some((data, offset))
        })
        .expect("the first row of the weight");
    flip(&data, offset);
    fails(&consolidate(&place, &[]), 1, "model.weight");
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), before);
}
