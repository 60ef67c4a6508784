//! What one rank declares that it has.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{DType, DeviceMesh, Placement, Region, Shape, StatePath, TypesError};

/// What one rank has, as a planner describes it to the coordinator.
///
/// It falls into parts with a digest each. Ranks whose part has the same digest have the same part, so that
/// of thousands of ranks with one model only one need send its description. What commonly differs (meshes, explicit regions, values)
/// is apart from what commonly does not.
#[derive(Clone, Debug)]
pub struct SavePlan {
    /// The meshes that tensors lie on, by number.
    pub meshes: PlanPart<DeviceMesh>,
    /// Tensors.
    pub tensors: PlanPart<TensorDecl>,
    /// What this rank has of the tensors that are sharded by explicit regions, by ascending number of the tensor.
    pub regions: PlanPart<RegionDecl>,
    /// Plain values.
    pub values: PlanPart<ValueDecl>,
    /// The order of all of them in this rank's tree. Known to this rank alone.
    pub order: Vec<StatePath>,
}

/// A list of declarations and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanPart<T> {
    items: Arc<Vec<T>>,
    digest: Digest,
}

/// 128 bits that stand for a content: equal contents have equal digests, and different ones never do by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(u64, u64);

/// A tensor, and how it lies over the ranks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorDecl {
    /// Its place in the tree.
    pub path: StatePath,
    /// The element type.
    pub dtype: DType,
    /// The extents of the whole tensor.
    pub shape: Shape,
    /// How it lies over the ranks.
    pub sharding: ShardingDecl,
    /// The number, in this part, of an earlier tensor of which this one is another name: the same memory, in the same way.
    pub tied: Option<u32>,
}

/// How a tensor lies over the ranks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardingDecl {
    /// Each rank that declares it has it whole.
    #[serde(rename = "w")]
    Replicated,
    /// Over the mesh of this number in [`SavePlan::meshes`], with one placement per mesh dimension.
    #[serde(rename = "g")]
    Mesh(u32, Arc<[Placement]>),
    /// Each rank has what it declares in [`SavePlan::regions`].
    #[serde(rename = "r")]
    Regions,
}

/// A region of a tensor that a rank has.
///
/// It does not name the tensor, but says its number: of thousands of ranks each has other regions, but of the same tensors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionDecl {
    /// The number of the tensor in [`SavePlan::tensors`].
    pub tensor: u32,
    /// The region.
    pub region: Region,
}

/// A plain value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueDecl {
    /// Its place in the tree.
    pub path: StatePath,
    /// Whether a foreign object is in it.
    pub object: bool,
    /// The digest of the encoded value, by which ranks see that they have the same one.
    pub content: Digest,
}

impl Digest {
    /// The digest of bytes (XXH3-128).
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = twox_hash::XxHash3_128::oneshot(bytes);
        Self((hash >> 64) as u64, hash as u64)
    }
}

impl<T: Serialize> PlanPart<T> {
    /// The part with these declarations.
    ///
    /// # Errors
    /// [`TypesError::Decode`] if they cannot be encoded.
    pub fn new(items: Vec<T>) -> Result<Self, TypesError> {
        let encoded = encode(&items)?;
        Ok(Self { items: items.into(), digest: Digest::of(&encoded) })
    }

    /// The part as bytes, to be sent.
    ///
    /// # Errors
    /// [`TypesError::Decode`] if it cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, TypesError> {
        encode(&self.items)
    }
}

impl<T: DeserializeOwned> PlanPart<T> {
    /// The part that these bytes, all of them, are.
    ///
    /// # Errors
    /// [`TypesError::Decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TypesError> {
        let fault = |reason: String| TypesError::Decode { what: "a part of a plan", reason };
        let mut rest = bytes;
        let items: Vec<T> = rmp_serde::from_read(&mut rest).map_err(|error| fault(error.to_string()))?;
        if !rest.is_empty() {
            return Err(fault("bytes follow it".into()));
        }
        Ok(Self { items: items.into(), digest: Digest::of(bytes) })
    }
}

impl<T> PlanPart<T> {
    /// The declarations.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The digest of the declarations.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

fn encode<T: Serialize>(items: &[T]) -> Result<Vec<u8>, TypesError> {
    let mut encoded = Vec::with_capacity(items.len() * TYPICAL);
    rmp_serde::encode::write(&mut encoded, items)
        .map_err(|fault| TypesError::Decode { what: "a part of a plan", reason: fault.to_string() })?;
    Ok(encoded)
}

/// What a declaration takes, in bytes, more or less.
const TYPICAL: usize = 64;
