//! Everything in them, bit for bit, as a user sees it: `dcpctl inspect --json --digest`.

use dcp_cli::{Dcpctl, Status};
use serde_json::Value;

use crate::expected::{Fixture, all, one};

fn inspect(fixture: &Fixture) -> Value {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let path = fixture.path.to_str().expect("text");
    let status = Dcpctl::new().run(["dcpctl", "inspect", "--json", "--digest", path], &mut out, &mut err);
    assert_eq!(status, Status::Fine, "{path}: {}", String::from_utf8_lossy(&err));
    serde_json::from_slice(&out).expect("JSON")
}

#[test]
fn every_tensor_and_object_is_what_pytorch_says() {
    for fixture in all() {
        let report = inspect(&fixture);
        let path = fixture.path.display();
        assert_eq!(report["format"], "dcp", "{path}");
        let entries = report["entries"].as_array().expect("entries");
        let entry = |fqn: &str| {
            let found = entries.iter().find(|entry| entry["fqn"] == fqn);
            found.unwrap_or_else(|| panic!("{path} lacks {fqn}"))
        };
        let (tensors, objects) = (fixture.tensors(), fixture.objects());
        for (fqn, (dtype, shape, sha256)) in &tensors {
            let found = entry(fqn);
            assert_eq!(found["kind"], "tensor", "{path}: {fqn}");
            assert_eq!(found["dtype"], **dtype, "{path}: {fqn}");
            assert_eq!(found["shape"], serde_json::json!(shape), "{path}: {fqn}");
            assert_eq!(found["sha256"], **sha256, "{path}: {fqn}");
        }
        for (fqn, object) in &objects {
            assert_eq!(entry(fqn)["value"], *object, "{path}: {fqn}");
        }
        if fixture.companion().is_none() {
            assert_eq!(entries.len(), tensors.len() + objects.len(), "{path}");
        }
    }
}

#[test]
fn what_lightning_saves_beside_is_part_of_the_state() {
    for name in ["16_fabric_fsdp_w2/ckpt", "16_fabric_mp_w2/ckpt"] {
        let fixture = one(name);
        let companion = fixture.companion().expect("meta.pt");
        let report = inspect(&fixture);
        let entries = report["entries"].as_array().expect("entries");
        let value = |fqn: &str| &entries.iter().find(|entry| entry["fqn"] == fqn).expect(fqn)["value"];
        assert_eq!(*value("step"), companion["step"]);
        assert_eq!(*value("hparams.lr"), companion["hparams"]["lr"]);
        assert_eq!(*value("hparams.tags"), companion["hparams"]["tags"]);
        let mask = entries.iter().find(|entry| entry["fqn"] == "mask").expect("a tensor");
        assert_eq!(mask["sha256"], companion["mask"]["__tensor__"]["sha256"]);
    }
}
