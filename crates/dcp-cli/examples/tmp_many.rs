//! Temporary.
use std::sync::Arc;
use dcp::*;
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let tensors: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let place = std::env::args().nth(3).unwrap();
    let rows: u64 = std::env::args().nth(4).unwrap().parse().unwrap();
    let cols: u64 = std::env::args().nth(5).unwrap().parse().unwrap();
    let mesh = Arc::new(DeviceMesh::new([n as u32]).unwrap());
    let spec = TensorSpec::sharded(DType::Float32, [rows, cols], &mesh, [Placement::Shard(0)]).unwrap();
    let t = std::time::Instant::now();
    for r in ThreadGroup::run(n, |rank| {
        let sh = spec.local_shape(rank.rank() as u32).unwrap();
        let buf = vec![1u8; (sh[0] * sh[1] * 4) as usize];
        let mut d = StateDict::new();
        for i in 0..tensors { d.insert(format!("t{i}"), LocalTensor::new(spec.clone(), View::from_bytes(DType::Float32, &sh, &buf).unwrap())); }
        for i in 0..tensors { d.insert(format!("v{i}"), i as i32); }
        Saver::new().fsync(false).threads(1).group(&rank).save_dict(&d, place.as_str()).map(|_| ())
    }) { r.unwrap().unwrap(); }
    eprintln!("saved {:?}", t.elapsed());
}
