//! Tensors that were saved with `SerializationFormat.SAFETENSORS`: the tensors of a file are one blob at its end, and every one of
//! them claims to start where the blob does. Only the blob's header says where each lies.

use safetensors::tensor::Metadata;

use crate::archive::{Known, Lack, malformed, unreadable};

/// A tensor in a blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InBlob {
    /// From the start of the blob.
    pub(super) offset: u64,
    pub(super) length: u64,
    /// By PyTorch's name.
    pub(super) dtype: String,
    pub(super) shape: Vec<u64>,
}

/// The largest header that is read, as in the safetensors library.
const MAX_HEADER: u64 = 100_000_000;

/// Whether what starts so is a blob: the length of a header, and its brace.
pub(super) fn is_blob(start: &[u8]) -> bool {
    start.get(8) == Some(&b'{') && start[6..8] == [0, 0]
}

/// The header of a blob.
#[derive(Debug)]
pub(super) struct Blob {
    tensors: Metadata,
    /// Where the tensors' bytes start, from the start of the blob.
    data: u64,
}

impl Blob {
    /// Reads the header of a blob that reaches to the end of what is known of the file.
    pub(super) fn read(known: &Known) -> Result<Self, Lack> {
        let length = known.get(0, 8)?;
        let length = u64::from_le_bytes(length.first_chunk().copied().unwrap_or_default());
        if length > MAX_HEADER {
            return Err(unreadable(0, format!("a header of {length} bytes")));
        }
        let header = known.get(8, length)?;
        let tensors: Metadata = serde_json::from_slice(&header)
            .map_err(|fault| malformed(8, format!("the header of the safetensors blob: {fault}")))?;
        let (data, there) = (8 + length, known.length());
        let ends = tensors.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
        match data.checked_add(ends) {
            Some(end) if end <= there => Ok(Self { tensors, data }),
            _ => Err(malformed(data, format!("the blob's tensors have {ends} bytes, of {there} that are there"))),
        }
    }

    pub(super) fn find(&self, fqn: &str) -> Option<InBlob> {
        let info = self.tensors.info(fqn)?;
        let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        Some(InBlob {
            offset: self.data + from,
            length: to.saturating_sub(from),
            dtype: dtype(&info.dtype.to_string()).to_owned(),
            shape: info.shape.iter().map(|&extent| extent as u64).collect(),
        })
    }
}

/// PyTorch's name of a dtype of safetensors.
fn dtype(name: &str) -> &str {
    match name {
        "BOOL" => "bool",
        "U8" => "uint8",
        "U16" => "uint16",
        "U32" => "uint32",
        "U64" => "uint64",
        "I8" => "int8",
        "I16" => "int16",
        "I32" => "int32",
        "I64" => "int64",
        "F16" => "float16",
        "BF16" => "bfloat16",
        "F32" => "float32",
        "F64" => "float64",
        "C64" => "complex64",
        "F8_E4M3" => "float8_e4m3fn",
        "F8_E4M3FNUZ" => "float8_e4m3fnuz",
        "F8_E5M2" => "float8_e5m2",
        "F8_E5M2FNUZ" => "float8_e5m2fnuz",
        "F8_E8M0" => "float8_e8m0fnu",
        "F4" => "float4_e2m1fn_x2",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn blob(header: &str, data: usize) -> Known {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        assert!(is_blob(&bytes));
        Known::whole(Bytes::from(bytes))
    }

    #[test]
    fn a_tensor_is_found_by_its_name() {
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I8","shape":[3],"data_offsets":[8,11]}}"#;
        let found = Blob::read(&blob(header, 11)).expect("reads");
        let start = 8 + header.len() as u64;
        let expected = InBlob { offset: start + 8, length: 3, dtype: "int8".into(), shape: vec![3] };
        assert_eq!((found.find("b"), found.find("c")), (Some(expected), None));
    }

    #[test]
    fn blobs_that_lie_are_refused() {
        let short = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        for known in [blob(short, 7), blob("{\"a\":1}", 10), blob(&short.replace("[0,8]", "[0,4]"), 10)] {
            assert!(matches!(Blob::read(&known), Err(Lack::Fault(_))));
        }
        let known = Known::new(1 << 40);
        assert_eq!(Blob::read(&known).err(), Some(Lack::Bytes { offset: 0, length: 8 }));
    }
}
