//! What a rank says that it has.

use std::collections::HashMap;

use dcp_planner::{PlanContext, PlanError};
use dcp_types::{
    DeviceMesh, Digest, FlatState, LocalTensor, PlanPart, Rank, RegionsDecl, SavePlan, Sharding, StateLeaf, StatePath,
    TensorDecl, TypesError, Value, ValueDecl,
};

pub(crate) fn declare(state: &FlatState<'_>, ctx: &PlanContext) -> Result<SavePlan, PlanError> {
    let mut declarations = Declarations::default();
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
    meshes: Meshes<'a>,
    tensors: Vec<TensorDecl>,
    regions: Vec<RegionsDecl>,
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
            Sharding::Mesh(grid) => Some((self.meshes.number(grid.mesh()), grid.placements().to_vec())),
            Sharding::Regions(parts) => {
                let regions = parts.iter().map(|part| part.region.clone()).collect();
                self.regions.push(RegionsDecl { path, dtype, shape, regions });
                return Ok(());
            }
            // Also what may be added to the enum: to whoever does not know it, it is a tensor that each rank has whole.
            _ => None,
        };
        self.tensors.push(TensorDecl { path, dtype, shape, sharding });
        Ok(())
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
}

impl<'a> Meshes<'a> {
    fn number(&mut self, mesh: &'a DeviceMesh) -> u32 {
        let next = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(mesh).or_insert_with(|| {
            self.list.push(mesh.clone());
            next
        })
    }
}
