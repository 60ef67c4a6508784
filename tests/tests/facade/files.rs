//! Into how many files a rank writes unless it is told.

use std::sync::Arc;

use dcp::{DType, DataSource, DeviceMesh, LocalTensor, Placement, Saver, StateDict, TensorSpec, ThreadGroup};
use dcp_types::DataError;

/// Few ranks with much write several files each; many ranks, or little, make one each. Only as much as each file is worth.
#[test]
fn files_are_as_many_as_the_state_is_worth() {
    let files = |mib: u64, ranks: usize| {
        let place = tempfile::tempdir().expect("temporary directory");
        let saved = ThreadGroup::run(ranks, |group| {
            let mesh = Arc::new(DeviceMesh::new([ranks as u32]).expect("mesh"));
            let mut state = StateDict::new();
            for number in 0..32 {
                let spec = TensorSpec::sharded(DType::UInt8, [mib << 15], &mesh, [Placement::Shard(0)]).expect("spec");
                let part = Zeros((mib << 15) / ranks as u64);
                state.insert(format!("tensor_{number}"), LocalTensor::lazy(spec, part));
            }
            let report = Saver::new().group(&group).fsync(false).save_dict(&state, place.path()).expect("saves");
            report.ranks.iter().map(|(_, rank)| rank.files).collect::<Vec<_>>()
        });
        saved.into_iter().map(|rank| rank.expect("no panic")).next().expect("a rank")
    };
    assert_eq!(files(64, 1), [1]);
    assert_eq!(files(256, 1), [4]);
    assert_eq!(files(256, 2), [2, 2]);
}

/// So many bytes that nobody holds.
struct Zeros(u64);
impl DataSource for Zeros {
    fn dtype(&self) -> DType {
        DType::UInt8
    }
    fn shape(&self) -> Vec<u64> {
        vec![self.0]
    }
    fn read_at(&self, _offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        out.fill(0);
        Ok(())
    }
}
