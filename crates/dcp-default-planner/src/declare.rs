//! What a rank says that it has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use dcp_planner::{PlanContext, PlanError};
use dcp_types::{
    DeviceMesh, Digest, FlatState, LocalTensor, PlanPart, Rank, RegionDecl, SavePlan, Sharding, ShardingDecl, Source,
    StateLeaf, StatePath, TensorDecl, TensorSpec, TypesError, Value, ValueDecl,
};

pub(crate) fn declare(state: &FlatState<'_>, ctx: &PlanContext) -> Result<SavePlan, PlanError> {
    let mut declarations = Declarations { tensors: Vec::with_capacity(state.len()), ..Declarations::default() };
    for (fqn, (path, leaf)) in state {
        let declared = match leaf {
            StateLeaf::Tensor(tensor) => declarations.tensor(path, tensor, ctx.rank),
            StateLeaf::Value(value) => declarations.value(path, value),
        };
        declared.map_err(|fault| PlanError::types(fqn, fault))?;
    }
    Ok(SavePlan {
        meshes: PlanPart::new(declarations.meshes.list)?,
        tensors: PlanPart::new(declarations.tensors)?,
        regions: PlanPart::new(declarations.regions)?,
        values: PlanPart::new(declarations.values)?,
        order: if ctx.rank == ctx.coordinator {
            state.values().map(|(path, _)| path.clone()).collect()
        } else {
            Vec::new()
        },
    })
}

#[derive(Default)]
struct Declarations<'a> {
    /// Tensors that can be lent in one piece, by where they lie, with the numbers of their declarations.
    memory: HashMap<*const u8, (&'a TensorSpec, u32)>,
    meshes: Meshes<'a>,
    tensors: Vec<TensorDecl>,
    regions: Vec<RegionDecl>,
    values: Vec<ValueDecl>,
}

impl<'a> Declarations<'a> {
    fn tensor(&mut self, path: &StatePath, tensor: &'a LocalTensor<'_>, rank: Rank) -> Result<(), TypesError> {
        let spec = &tensor.spec;
        let Some((dtype, extents)) = tensor.source.tensor_type() else {
            return Err(TypesError::Decode { what: "a tensor's source", reason: "it is a value".into() });
        };
        spec.check_buffer(rank, dtype, &extents)?;
        let (path, dtype, shape) = (path.clone(), spec.dtype(), spec.shape().clone());
        let sharding = match spec.sharding() {
            Sharding::Mesh(grid) => ShardingDecl::Mesh(self.meshes.number(grid.mesh()), grid.shared_placements()),
            Sharding::Regions(parts) => {
                let tensor = u32::try_from(self.tensors.len()).unwrap_or(u32::MAX);
                self.regions.extend(parts.iter().map(|part| RegionDecl { tensor, region: part.region.clone() }));
                ShardingDecl::Regions
            }
            Sharding::Replicated => ShardingDecl::Replicated,
            // What may be added to the enum must not be taken for something else.
            other => {
                let reason = format!("this planner does not know {other:?}");
                return Err(TypesError::Decode { what: "the sharding of a tensor", reason });
            }
        };
        let tied = if sharding == ShardingDecl::Regions { None } else { self.tied(tensor) };
        self.tensors.push(TensorDecl { path, dtype, shape, sharding, tied });
        Ok(())
    }

    /// The tensor that has been declared of which this is another name, as input and output embeddings are of one weight.
    fn tied(&mut self, tensor: &'a LocalTensor<'_>) -> Option<u32> {
        let Source::View(view) = &tensor.source else { return None };
        let memory = view.as_bytes().filter(|bytes| !bytes.is_empty())?.as_ptr();
        match self.memory.entry(memory) {
            Entry::Occupied(known) => {
                let (spec, first) = *known.get();
                (*spec == tensor.spec).then_some(first)
            }
            Entry::Vacant(new) => {
                new.insert((&tensor.spec, u32::try_from(self.tensors.len()).unwrap_or(u32::MAX)));
                None
            }
        }
    }

    fn value(&mut self, path: &StatePath, value: &Value) -> Result<(), TypesError> {
        let content = Digest::of(&value.encode()?);
        self.values.push(ValueDecl { path: path.clone(), object: value.has_opaque(), content });
        Ok(())
    }
}

/// Distinct meshes in the order of their first appearance.
#[derive(Default)]
struct Meshes<'a> {
    list: Vec<DeviceMesh>,
    numbers: HashMap<&'a DeviceMesh, u32>,
    /// Of the tensor before. Most are on one mesh, and to look up a mesh of many ranks takes long.
    last: Option<(&'a Arc<DeviceMesh>, u32)>,
}

impl<'a> Meshes<'a> {
    fn number(&mut self, mesh: &'a Arc<DeviceMesh>) -> u32 {
        if let Some((last, number)) = self.last
            && Arc::ptr_eq(last, mesh)
        {
            return number;
        }
        let next = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(mesh).or_insert_with(|| {
            self.list.push(DeviceMesh::clone(mesh));
            next
        });
        self.last = Some((mesh, number));
        number
    }
}
