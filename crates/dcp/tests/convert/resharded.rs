//! What is resharded is what the ranks themselves would have saved.

use std::sync::Arc;

use dcp::{
    Collective, Converter, DType, DcpFormat, DeviceMesh, Format, LocalTensor, MemoryStore, NativeFormat, Placement,
    Saver, Shape, StateDict, TensorSpec, ThreadGroup,
};
use ndarray::{ArrayD, Axis, Slice};

use crate::support::{Place, contents, counting, save};

/// What a rank has of a tensor that is cut along one dimension.
fn part(tensor: &ArrayD<f32>, spec: &TensorSpec, rank: u32) -> ArrayD<f32> {
    let parts = spec.parts(rank);
    let Some(held) = parts.first() else {
        let extents: Vec<usize> = spec.local_shape(rank).expect("on the mesh").iter().map(|&x| x as usize).collect();
        return ArrayD::zeros(extents);
    };
    let mut part = tensor.view();
    for (dim, (&offset, &size)) in held.region.offsets().iter().zip(held.region.sizes()).enumerate() {
        part.slice_axis_inplace(Axis(dim), Slice::from(offset as usize..(offset + size) as usize));
    }
    part.to_owned()
}

fn by_ranks(tensors: &[(&str, ArrayD<f32>)], mesh: &DeviceMesh, placements: &[Placement], place: &Place, dcp: bool) {
    let saved = ThreadGroup::run(mesh.size() as usize, |rank| {
        let number = rank.rank() as u32;
        let spec = |tensor: &ArrayD<f32>| {
            let shape = Shape::new(tensor.shape().iter().map(|&extent| extent as u64)).expect("a shape");
            TensorSpec::sharded(DType::Float32, &shape, &Arc::new(mesh.clone()), placements.to_vec()).expect("a spec")
        };
        let parts: Vec<_> =
            tensors.iter().map(|(name, tensor)| (name, spec(tensor), part(tensor, &spec(tensor), number))).collect();
        let mut model = StateDict::new();
        for (name, spec, part) in &parts {
            let view = dcp::View::from_array(part.view());
            model.insert(**name, LocalTensor::new(spec.clone(), view));
        }
        let state = StateDict::new().with("model", model).with("step", 7);
        let saver = Saver::new().group(&rank);
        let saver = if dcp { saver.format(DcpFormat::new()) } else { saver };
        saver.save_dict(&state, Arc::clone(place)).map(drop)
    });
    saved.into_iter().for_each(|outcome| outcome.expect("no panic").expect("saves"));
}

fn format(dcp: bool) -> Box<dyn FnOnce(Converter<'static>) -> Converter<'static>> {
    if dcp { Box::new(|to| to.to(DcpFormat::new())) } else { Box::new(|to| to.to(NativeFormat::new())) }
}

#[test]
fn files_are_byte_for_byte_those_of_the_ranks() {
    let tensors = [("a", counting(30, 4, 0.0)), ("b", counting(3, 5, 1e3)), ("long", counting(300, 1000, 0.5))];
    let source: Place = Arc::new(MemoryStore::new());
    save(&tensors, &source);
    let line = DeviceMesh::new([5]).expect("a mesh");
    let square = DeviceMesh::new([2, 2]).and_then(|mesh| mesh.with_names(["dp", "tp"])).expect("a mesh");
    let cases = [
        (line, vec![Placement::Shard(0)]),
        (square.clone(), vec![Placement::Replicate, Placement::Shard(1)]),
        (square, vec![Placement::StridedShard { dim: 0, split_factor: 2 }, Placement::Shard(0)]),
    ];
    for (mesh, placements) in cases {
        for dcp in [false, true] {
            let (expected, found): (Place, Place) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
            by_ranks(&tensors, &mesh, &placements, &expected, dcp);
            let converter = Converter::new().reshard(mesh.clone(), [("*", placements.clone())]).expect("a pattern");
            let report = format(dcp)(converter).convert(Arc::clone(&source), Arc::clone(&found)).expect("converts");
            assert_eq!(report.format, if dcp { DcpFormat::new().name() } else { NativeFormat::new().name() });
            let ours = |place: &Place| {
                let mut contents = contents(&**place);
                contents.retain(|name, _| !name.contains("claim"));
                contents
            };
            let (expected, found) = (ours(&expected), ours(&found));
            assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
            for (name, bytes) in expected {
                assert!(found[&name] == bytes, "{name} differs on {mesh:?} with {placements:?}");
            }
        }
    }
}
