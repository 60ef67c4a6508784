//! Every command over a bucket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dcp::{ComposedWriter, Error, LocalTensor, NativeFormat, OneObject, Saver, StateDict, Store, StorePath};
use dcp_cli::Dcpctl;
use dcp_s3::object_store::memory::InMemory;
use dcp_s3::{Bucket, object_store::ObjectStore};
use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
use serde_json::{Value, json};

use crate::support::Said;

/// A bucket that commands and the test reach in their own ways.
pub(crate) trait Reach {
    /// Runs `dcpctl`.
    fn dcpctl(&self, args: &[&str]) -> Said;
    /// The URL of a place in the bucket.
    fn url(&self, name: &str) -> String;
    /// The store of a directory in the bucket.
    fn store(&self, name: &str) -> Arc<dyn Store>;
}

/// A scheme that a vendor adds, with the bucket in memory.
struct Vendor(Arc<InMemory>);

impl Reach for Vendor {
    fn dcpctl(&self, args: &[&str]) -> Said {
        let bucket = Arc::clone(&self.0);
        let open = move |url: &str| -> Result<Arc<dyn Store>, Error> {
            let prefix = url.trim_start_matches("vendor://").trim_end_matches('/');
            match prefix.rsplit_once('/') {
                Some((parent, name)) if name.ends_with(".pt") => {
                    Ok(Arc::new(OneObject::new(Arc::new(over(&bucket, parent)), StorePath::parse(name)?)))
                }
                _ => Ok(Arc::new(over(&bucket, prefix))),
            }
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = std::iter::once("dcpctl").chain(args.iter().copied());
        let status = Dcpctl::new().scheme("vendor", open).run(args, &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Said { code: Some(status.code().into()), out: text(out), err: text(err) }
    }

    fn url(&self, name: &str) -> String {
        format!("vendor://run/{name}")
    }

    fn store(&self, name: &str) -> Arc<dyn Store> {
        Arc::new(over(&self.0, &format!("run/{name}")))
    }
}

fn over(bucket: &Arc<InMemory>, prefix: &str) -> Bucket {
    Bucket::over(Arc::clone(bucket) as Arc<dyn ObjectStore>, Some(StorePath::parse(prefix).expect("path")))
}

#[test]
fn every_command_works_over_a_vendors_scheme() {
    every_command(&Vendor(Arc::new(InMemory::new())));
}

/// Saves, then does to the checkpoint what every command does.
pub(crate) fn every_command(bucket: &dyn Reach) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let local = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    for step in [10, 9] {
        save(&NativeFormat::new(), bucket.store(&format!("step-{step}")), step, Duration::from_secs(3600))
            .expect("saved");
    }
    let (ten, nine) = (bucket.url("step-10"), bucket.url("step-9"));

    fine(bucket, &["inspect", &ten, "--digest"]);
    let listed = lines(&fine(bucket, &["ls", &bucket.url(""), "--json"]));
    let told: Vec<_> =
        listed.iter().map(|line| (&line["name"], &line["step"], &line["format"], &line["state"])).collect();
    let (native, complete) = (json!("native"), json!("complete"));
    assert_eq!(
        told,
        [(&json!("step-9"), &json!(9), &native, &complete), (&json!("step-10"), &json!(10), &native, &complete)]
    );
    fine(bucket, &["verify", &ten]);
    let verified = lines(&fine(bucket, &["verify", &bucket.url(""), "--json"]));
    assert!(verified.len() == 2 && verified.iter().all(|line| line["status"] == "good"), "{verified:?}");
    assert_eq!(bucket.dcpctl(&["verify", &ten, "--cold"]).code, Some(2));
    assert_eq!(bucket.dcpctl(&["diff", &ten, &nine]).code, Some(1));

    // There and back again, through every form.
    let (dcp, native, file) = (bucket.url("dcp"), local("native"), local("model.pt"));
    fine(bucket, &["convert", &ten, &dcp, "--to", "dcp"]);
    assert_eq!(bucket.dcpctl(&["convert", &ten, &format!("{ten}/"), "--to", "dcp"]).code, Some(2), "one place");
    assert_eq!(bucket.dcpctl(&["convert", &nine, &dcp, "--to", "dcp"]).code, Some(2), "it is there already");
    fine(bucket, &["convert", &nine, &dcp, "--to", "dcp", "--force"]);
    fine(bucket, &["diff", &nine, &dcp]);
    fine(bucket, &["convert", &dcp, &native, "--to", "native"]);
    fine(bucket, &["diff", &nine, &native]);
    fine(bucket, &["convert", &native, &file]);
    put(&*bucket.store("files"), "model.pt", Path::new(&file));
    let object = bucket.url("files/model.pt");
    fine(bucket, &["verify", &object]);
    let written = bucket.url("files/written.pt");
    fine(bucket, &["convert", &dcp, &written]);
    fine(bucket, &["diff", &object, &written]);
    assert_eq!(bucket.dcpctl(&["convert", &ten, &written, "--force"]).code, Some(2), "it is replaced nowhere");
    fine(bucket, &["diff", &object, &written]);
    fine(bucket, &["convert", &object, &bucket.url("back"), "--to", "native"]);
    fine(bucket, &["diff", &nine, &bucket.url("back")]);
    fine(bucket, &["reshard", &ten, &bucket.url("resharded"), "--ranks", "3"]);
    fine(bucket, &["diff", &ten, &bucket.url("resharded")]);
    fine(bucket, &["consolidate", &dcp, "-o", &local("consolidated.pt")]);
    fine(bucket, &["diff", &nine, &local("consolidated.pt")]);

    leftovers_go(bucket);
}

/// A save dies over one checkpoint, and another where nothing was.
fn leftovers_go(bucket: &dyn Reach) {
    for place in ["step-10", "step-11"] {
        let counted = Faults::none();
        let store: Arc<dyn Store> = Arc::new(FaultStore::new(bucket.store("counted"), counted.clone()));
        save(&NativeFormat::new(), store, 1, Duration::ZERO).expect("saved");
        // Where its data is being written, or a little later.
        let at = counted.log().iter().position(|operation| operation.name == "finish").expect("a file") + 1;
        let store: Arc<dyn Store> = Arc::new(FaultStore::new(bucket.store(place), Faults::none().at(at, Fault::Stop)));
        save(&NativeFormat::new(), store, 12, Duration::ZERO).expect_err("stopped");
        let objects = block_on(bucket.store("counted").list(None)).expect("listed");
        for object in objects {
            block_on(bucket.store("counted").delete(&object.path)).expect("removed");
        }
    }
    let all = bucket.url("");
    let listed = lines(&fine(bucket, &["ls", &all, "--json"]));
    assert!(listed.iter().any(|line| line["name"] == "step-11" && line["state"] == "unfinished"), "{listed:?}");
    let found = lines(&fine(bucket, &["gc", &all, "--json"]));
    assert!(found.iter().all(|line| line["state"] == "to-remove"), "{found:?}");
    for place in ["step-10/.dcp-claim-1", "step-11/.dcp-claim-0"] {
        assert!(found.iter().any(|line| line["name"] == place), "{place}: {found:?}");
    }
    fine(bucket, &["gc", &all, "--yes"]);
    assert_eq!(fine(bucket, &["gc", &all, "--json"]).out, "");
    assert!(block_on(bucket.store("step-11").list(None)).expect("listed").is_empty());
    fine(bucket, &["verify", &bucket.url("step-10")]);
    save(&NativeFormat::new(), bucket.store("step-10"), 12, Duration::ZERO).expect("saved");
    let told = fine(bucket, &["inspect", &bucket.url("step-10"), "--json"]);
    assert!(told.out.contains("12"), "{told:?}");
}

fn save(format: &NativeFormat, to: Arc<dyn Store>, step: i64, lifetime: Duration) -> Result<(), Error> {
    let weight =
        ndarray::Array2::from_shape_fn((64, 48), |(row, column)| (step * 10_000 + (48 * row + column) as i64) as f32);
    let tensor = LocalTensor::whole(weight.view().into_dyn())?;
    let state = StateDict::new().with("model", StateDict::new().with("weight", tensor)).with("step", step);
    let writer = ComposedWriter::new(Arc::new(format.clone()), to).overwrite(true).claim_lifetime(lifetime);
    Saver::new().save_to(&writer, &state).map(drop)
}

fn put(store: &dyn Store, name: &str, file: &Path) {
    let mut upload = block_on(store.create(&StorePath::parse(name).expect("path"), None)).expect("begun");
    block_on(upload.write(&std::fs::read(file).expect("read"))).expect("written");
    block_on(upload.finish()).expect("finished");
}

fn fine(bucket: &dyn Reach, args: &[&str]) -> Said {
    let said = bucket.dcpctl(args);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args:?}: {said:?}");
    said
}

fn lines(said: &Said) -> Vec<Value> {
    said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
