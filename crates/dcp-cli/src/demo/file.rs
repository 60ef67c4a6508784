//! A model out of a safetensors file.

use std::path::Path;

use dcp::crates::dcp_types::reexports::bytes::Bytes;
use dcp::{DType, Shape};
use safetensors::{Dtype, SafeTensors};

use super::model::Step::Key;
use super::model::{Leaf, Model, Tensor, path};
use crate::failure::Failure;

/// Reads a file once; its tensors are parts of what was read. They stand under `model`, in the order of the file.
pub(super) fn open(file: &Path) -> Result<Model, Failure> {
    let bytes = Bytes::from(std::fs::read(file).map_err(|error| Failure::path("read", file, &error))?);
    let bad = |reason: &dyn std::fmt::Display| Failure::Bad(format!("{}: {reason}", file.display()));
    let parsed = SafeTensors::deserialize(&bytes).map_err(|error| bad(&error))?;
    let mut leaves = Vec::with_capacity(parsed.len());
    for (name, tensor) in parsed.iter() {
        let mut shape: Vec<u64> = tensor.shape().iter().map(|&extent| extent as u64).collect();
        let dtype = dtype(tensor.dtype(), &mut shape).ok_or_else(|| {
            let dtype = tensor.dtype();
            Failure::Impossible(format!(
                "{}: {name} is of dtype {dtype:?}, which no checkpoint can hold",
                file.display()
            ))
        })?;
        let tensor = Tensor { dtype, shape: Shape::new(shape)?, bytes: bytes.slice_ref(tensor.data()) };
        leaves.push((tensor.bytes.as_ptr(), (path([Key("model"), Key(name)]), Leaf::Tensor(tensor))));
    }
    leaves.sort_by_key(|(start, (path, _))| (*start, path.fqn()));
    let leaves = leaves.into_iter().map(|(_, leaf)| leaf).collect();
    let title = file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned());
    Ok(Model { title, leaves })
}

/// The dtype by PyTorch's name. Two packed 4-bit floats count as one element there.
fn dtype(dtype: Dtype, shape: &mut [u64]) -> Option<DType> {
    Some(match dtype {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::UInt8,
        Dtype::U16 => DType::UInt16,
        Dtype::U32 => DType::UInt32,
        Dtype::U64 => DType::UInt64,
        Dtype::I8 => DType::Int8,
        Dtype::I16 => DType::Int16,
        Dtype::I32 => DType::Int32,
        Dtype::I64 => DType::Int64,
        Dtype::F16 => DType::Float16,
        Dtype::BF16 => DType::BFloat16,
        Dtype::F32 => DType::Float32,
        Dtype::F64 => DType::Float64,
        Dtype::C64 => DType::Complex64,
        Dtype::F8_E4M3 => DType::Float8E4M3Fn,
        Dtype::F8_E4M3FNUZ => DType::Float8E4M3FnUz,
        Dtype::F8_E5M2 => DType::Float8E5M2,
        Dtype::F8_E5M2FNUZ => DType::Float8E5M2FnUz,
        Dtype::F8_E8M0 => DType::Float8E8M0Fnu,
        Dtype::F4 => {
            let last = shape.last_mut().filter(|last| last.is_multiple_of(2))?;
            *last /= 2;
            DType::Float4E2M1FnX2
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use safetensors::tensor::TensorView;

    fn written(tensors: Vec<(&str, Dtype, Vec<usize>, &[u8])>) -> tempfile::NamedTempFile {
        let view = |(name, dtype, shape, data)| (name, TensorView::new(dtype, shape, data).expect("view"));
        let bytes = safetensors::serialize(tensors.into_iter().map(view), None).expect("serialises");
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), bytes).expect("written");
        file
    }

    #[test]
    fn tensors_are_parts_of_the_file() {
        let file = written(vec![
            ("b", Dtype::F8_E4M3, vec![3], &[1, 2, 3]),
            ("a", Dtype::F4, vec![2, 4], &[1, 2, 3, 4]),
            ("none", Dtype::F32, vec![0, 4], &[]),
        ]);
        let model = open(file.path()).expect("opens");
        let find = |name: &str| {
            let (_, tensor) = model.tensors().find(|(fqn, _)| fqn.as_str() == name).expect(name);
            (tensor.dtype, tensor.shape.dims().to_vec(), tensor.bytes.to_vec())
        };
        assert_eq!(find("model.b"), (DType::Float8E4M3Fn, vec![3], vec![1, 2, 3]));
        assert_eq!(find("model.a"), (DType::Float4E2M1FnX2, vec![2, 2], vec![1, 2, 3, 4]));
        assert_eq!(find("model.none"), (DType::Float32, vec![0, 4], vec![]));
        assert_eq!(model.nbytes(), 7);
    }

    #[test]
    fn other_files_are_refused() {
        let status = |path: &Path| open(path).map(|_| ()).map_err(|failure| failure.status());
        assert_eq!(status(Path::new("/nowhere/model.safetensors")), Err(Status::Impossible));
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), b"no tensors at all").expect("written");
        assert_eq!(status(file.path()), Err(Status::Bad));
        let six_bits = written(vec![("a", Dtype::F6_E2M3, vec![4], &[0; 3])]);
        assert_eq!(status(six_bits.path()), Err(Status::Impossible));
    }
}
