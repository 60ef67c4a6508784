//! This system.

use std::sync::Arc;
use std::time::Instant;

use crate::Fault;
use crate::contestants::WRONG;
use crate::used::Used;
use dcp::crates::dcp_storage::Store;
use dcp::{Bucket, Loader, NativeFormat, Saver, StateDict, StateTarget, Traffic, TypesError};
use ndarray::Array1;

use super::job::{Job, PART, TENSORS, Task};

/// Does it, in this process; returns the time, and the memory beyond the state.
pub(super) fn run(task: Task, job: &Job) -> Result<Used, Fault> {
    let traffic = Traffic::default().part_size(PART as u64).read_size(PART as u64);
    let traffic = traffic.parts_in_flight(job.in_flight).reads_in_flight(job.in_flight);
    let bucket: Arc<dyn Store> = Arc::new(Bucket::open(&job.url)?.traffic(traffic));
    let names: Vec<_> = (0..TENSORS).map(|number| format!("tensor.{number}")).collect();
    // With their pages present.
    let value = |number: usize| if task == Task::Save { number as f32 + 1.0 } else { -1.0 };
    let mut tensors: Vec<_> = (0..TENSORS).map(|number| Array1::from_elem(job.elements, value(number))).collect();
    let start = Instant::now();
    let before = Used::since(start)?;
    let named = names.iter().map(String::as_str);
    if task == Task::Save {
        let state = named.zip(&tensors).map(|(name, array)| Ok((name, dcp::whole(array)?)));
        let state = state.collect::<Result<StateDict<'_>, TypesError>>()?;
        Saver::new().format(NativeFormat::new().files_per_rank(job.files as u32)).save_dict(&state, bucket)?;
    } else {
        let target = named.zip(&mut tensors).map(|(name, array)| Ok((name, dcp::whole_mut(array)?)));
        let target = target.collect::<Result<StateTarget<'_>, TypesError>>()?;
        Loader::new().load_into(target, bucket)?;
    }
    let after = Used::since(start)?;
    for (number, tensor) in tensors.iter().enumerate() {
        if tensor.iter().any(|&element| element != number as f32 + 1.0) {
            return Err(format!("{}: tensor {number}: {WRONG}", job.url).into());
        }
    }
    Ok(after.beyond(before))
}
