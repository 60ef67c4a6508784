//! Reads a few rows of a large tensor. No other byte of it is read.

use dcp::{Checkpoint, Region, Saver, StateDict, ViewMut, whole};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let embedding = Array2::from_shape_fn((32_000, 256), |(token, channel)| (token * 256 + channel) as f32);
    Saver::new().save_dict(&StateDict::new().with("embedding", whole(&embedding)?), directory.path())?;

    let checkpoint = Checkpoint::open(directory.path())?;
    for (fqn, entry) in checkpoint.metadata().entries() {
        if let Some(tensor) = entry.as_tensor() {
            println!("{fqn}: {} {:?}, {} bytes", tensor.dtype, tensor.shape, tensor.nbytes());
        }
    }

    // Into memory of its own ...
    let tokens = Region::new([17_000, 0], [4, 256])?;
    let rows = checkpoint.slice("embedding", &tokens)?.to_array::<f32>()?;
    assert_eq!(rows[[3, 255]], embedding[[17_003, 255]]);

    // ... or into yours; then you also learn what it cost.
    let mut rows = Array2::<f32>::zeros((4, 256));
    let report = checkpoint.read_into("embedding", &tokens, ViewMut::from_array(rows.view_mut().into_dyn()))?;
    println!("{tokens}: {} bytes needed, {} read", report.needed, report.read);
    assert_eq!(report.needed, report.read);
    Ok(())
}
