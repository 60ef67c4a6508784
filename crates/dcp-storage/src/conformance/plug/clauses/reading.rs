//! What is read is what was saved, wherever it is to go.

use std::thread;

use dcp_types::{DType, DataError, DataSink, Dest, OwnedTensor, ReadItem, ReadWhat, Region, Shape, ViewMut};

use crate::StorageError;
use crate::conformance::block_on;
use crate::conformance::check::{Checked, Must, equal, same_bytes};
use crate::conformance::plug::Plug;
use crate::conformance::plug::sample::{Opened, Sample, io, lacks, save};

pub(super) async fn missing_checkpoint_is_told(plug: &dyn Plug) -> Checked {
    lacks(plug).await
}

pub(super) async fn data_before_metadata_fails(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let (item, region) = first_item(&opened, "model.whole")?;
    let reader = plug.reader();
    let mut buffer = tensor(DType::UInt8, &region);
    let items = vec![(item, Dest::Memory(buffer.view_mut().expect("a view")))];
    match reader.read_data(items, &io().must("threads")?).await {
        Err(_) => Ok(()),
        Ok(report) => Err(format!("read_data without read_metadata should fail, but gave {report:?}")),
    }
}

pub(super) async fn metadata_is_what_was_saved(plug: &dyn Plug) -> Checked {
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let found = Opened::at(plug).await.must("read_metadata")?.found.metadata;
    let names = |metadata: &dcp_types::Metadata| {
        let mut names: Vec<String> = metadata.entries().map(|(fqn, _)| fqn.to_string()).collect();
        names.sort();
        names
    };
    equal("names in the metadata", names(&found), names(sample.metadata()))?;
    for (fqn, entry) in sample.metadata().entries() {
        let (expected, found) = (entry.as_tensor(), found.tensor(fqn.as_str()));
        equal(&format!("dtype of {fqn}"), found.map(|tensor| tensor.dtype), expected.map(|tensor| tensor.dtype))?;
        let shape = |tensor: &dcp_types::TensorEntry| tensor.shape.clone();
        equal(&format!("shape of {fqn}"), found.map(shape), expected.map(shape))?;
        let chunks = found.map_or(Vec::new(), |tensor| tensor.chunks_meeting(&Region::full(&tensor.shape)));
        let covered: u64 = chunks.iter().map(|chunk| chunk.region.numel()).sum();
        equal(&format!("elements in the chunks of {fqn}"), Some(covered), expected.map(|tensor| tensor.shape.numel()))?;
    }
    Ok(())
}

pub(super) async fn fingerprint_is_the_same_for_all_readers(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    let (one, other) = (Opened::at(plug).await.must("read_metadata")?, Opened::at(plug).await.must("read_metadata")?);
    equal("the fingerprint that another reader gets", other.found.fingerprint, one.found.fingerprint)?;
    let again = one.reader.read_metadata(&io().must("threads")?).await.must("read_metadata once more")?;
    equal("the fingerprint that the same reader gets", again.fingerprint, one.found.fingerprint)
}

pub(super) async fn fingerprint_tells_checkpoints_apart(plug: &dyn Plug) -> Checked {
    let mut seen = Vec::new();
    // The last one has the content of the first.
    for seed in [1, 2, 1] {
        save(plug, Sample::new(seed), true).await?;
        let found = Opened::at(plug).await.must("read_metadata")?.found.fingerprint;
        if seen.contains(&found) {
            return Err(format!("two checkpoints have the fingerprint {found:?}"));
        }
        seen.push(found);
    }
    Ok(())
}

pub(super) async fn check_accepts_what_is_there(plug: &dyn Plug) -> Checked {
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let mut items = Vec::new();
    for (entry, tensor) in sample.tensors() {
        let name = sample.metadata().entry(entry).map_or("?", |(fqn, _)| fqn.as_str());
        items.extend(opened.items(name, &Region::full(&tensor.shape))?.into_iter().map(|(item, _)| item));
    }
    opened.reader.check(&items, &io().must("threads")?).await.must("check of all items")?;
    opened.reader.check(&[], &io().must("threads")?).await.must("check of no items")?;
    opened.compare(&sample).await?.must("read_data after check").map(drop)
}

pub(super) async fn no_items_at_all(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let report = opened.read(Vec::new()).await.must("read_data of nothing")?;
    equal("bytes needed for nothing", report.needed, 0)
}

pub(super) async fn parts_of_chunks(plug: &dyn Plug) -> Checked {
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    for (name, region) in regions() {
        let dtype = sample.metadata().tensor(name).map_or(DType::UInt8, |tensor| tensor.dtype);
        let parts = opened.items(name, &region)?;
        let mut buffers: Vec<_> = parts.iter().map(|(_, part)| tensor(dtype, part)).collect();
        let views = buffers.iter_mut().map(|buffer| Dest::Memory(buffer.view_mut().expect("a view")));
        let items = parts.iter().map(|(item, _)| item.clone()).zip(views).collect();
        opened.read(items).await.must(&format!("read_data of {region} of {name}"))?;
        let (entry, _) = sample.metadata().find(name).ok_or("no such tensor")?;
        for ((_, part), buffer) in parts.iter().zip(&buffers) {
            same_bytes(&format!("{part} of {name}"), buffer.bytes(), &sample.bytes(entry, part))?;
        }
    }
    Ok(())
}

pub(super) async fn transposed_destination(plug: &dyn Plug) -> Checked {
    strided(plug, |rows, columns| (vec![1, rows], rows * columns)).await
}

pub(super) async fn destination_inside_a_larger_buffer(plug: &dyn Plug) -> Checked {
    strided(plug, |rows, columns| (vec![columns + 3, 1], rows * (columns + 3))).await
}

pub(super) async fn sink_gets_each_byte_once_in_order(plug: &dyn Plug) -> Checked {
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    for (name, region) in regions() {
        let (entry, _) = sample.metadata().find(name).ok_or("no such tensor")?;
        let parts = opened.items(name, &region)?;
        let mut taken: Vec<Vec<u8>> = vec![Vec::new(); parts.len()];
        let sinks = taken.iter_mut().map(|taken| Dest::Sink(Box::new(Sink { taken, room: usize::MAX })));
        let items = parts.iter().map(|(item, _)| item.clone()).zip(sinks).collect();
        opened.read(items).await.must(&format!("read_data of {region} of {name} into sinks"))?;
        for ((_, part), taken) in parts.iter().zip(&taken) {
            same_bytes(&format!("what the sink of {part} of {name} got"), taken, &sample.bytes(entry, part))?;
        }
    }
    Ok(())
}

pub(super) async fn items_of_several_tensors(plug: &dyn Plug) -> Checked {
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let mut parts: Vec<(usize, ReadItem, Region)> = Vec::new();
    for (entry, tensor) in sample.tensors() {
        let name = sample.metadata().entry(entry).map_or("?", |(fqn, _)| fqn.as_str());
        let items = opened.items(name, &Region::full(&tensor.shape))?;
        parts.extend(items.into_iter().map(|(item, region)| (entry, item, region)));
    }
    // Neither by name nor by file.
    parts.reverse();
    let dtype = |entry| sample.tensors().find(|(number, _)| *number == entry).map_or(DType::UInt8, |(_, t)| t.dtype);
    let mut buffers: Vec<_> = parts.iter().map(|(entry, _, region)| tensor(dtype(*entry), region)).collect();
    let views = buffers.iter_mut().map(|buffer| Dest::Memory(buffer.view_mut().expect("a view")));
    let items = parts.iter().map(|(_, item, _)| item.clone()).zip(views).collect();
    opened.read(items).await.must("read_data of everything at once")?;
    for ((entry, _, region), buffer) in parts.iter().zip(&buffers) {
        same_bytes(&format!("{region} of entry {entry}"), buffer.bytes(), &sample.bytes(*entry, region))?;
    }
    Ok(())
}

pub(super) async fn report_counts_what_was_needed(plug: &dyn Plug) -> Checked {
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let report = opened.compare(&sample).await?.must("read_data of everything")?;
    equal("bytes needed for everything", report.needed, sample.nbytes())?;
    if report.verified > report.needed || report.read < report.needed {
        return Err(format!("the report contradicts itself: {report:?}"));
    }
    Ok(())
}

pub(super) async fn readers_do_not_disturb_each_other(plug: &dyn Plug) -> Checked {
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    thread::scope(|scope| {
        let read = || block_on(opened.compare(&sample))?.must("read_data beside others").map(drop);
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a reader panicked"))
    })
}

/// Regions of tensors: whole, within a chunk, across chunks, single elements, edges.
fn regions() -> Vec<(&'static str, Region)> {
    let region =
        |offsets: &[u64], sizes: &[u64]| Region::new(offsets.iter().copied(), sizes.iter().copied()).expect("a region");
    vec![
        ("model.whole", region(&[0], &[1001])),
        ("model.whole", region(&[999], &[2])),
        ("model.whole", region(&[1], &[300])),
        ("model.scalar", region(&[], &[])),
        ("model.empty", region(&[0, 0], &[0, 4])),
        ("model.listed", region(&[0, 5], &[3, 20])),
        ("model.listed", region(&[1, 11], &[1, 3])),
        ("model.listed", region(&[2, 29], &[1, 1])),
        ("model.sharded", region(&[0, 399], &[401, 1])),
        ("model.sharded", region(&[100, 0], &[200, 400])),
        ("model.sharded", region(&[130, 17], &[9, 250])),
        ("model.sharded", region(&[400, 398], &[1, 2])),
    ]
}

/// Reads parts of the sharded tensor into memory with gaps or another order, and nothing into what lies between.
async fn strided(plug: &dyn Plug, layout: impl Fn(u64, u64) -> (Vec<u64>, u64)) -> Checked {
    const SIZE: usize = 2;
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let (entry, _) = sample.metadata().find("model.sharded").ok_or("no such tensor")?;
    for (name, region) in regions().into_iter().filter(|(name, _)| *name == "model.sharded") {
        for (item, part) in opened.items(name, &region)? {
            let (strides, elements) = layout(part.sizes()[0], part.sizes()[1]);
            let mut memory = vec![0xa5; elements as usize * SIZE];
            let view = ViewMut::from_strided_bytes(DType::Int16, part.sizes(), &strides, &mut memory);
            let dest = Dest::Memory(view.map_err(|fault| fault.to_string())?);
            opened.read(vec![(item, dest)]).await.must(&format!("read_data of {part} into strided memory"))?;
            let mut expected = vec![0xa5; memory.len()];
            for (number, element) in sample.bytes(entry, &part).chunks(SIZE).enumerate() {
                let (row, column) = (number as u64 / part.sizes()[1], number as u64 % part.sizes()[1]);
                let at = (row * strides[0] + column * strides[1]) as usize * SIZE;
                expected[at..at + SIZE].copy_from_slice(element);
            }
            same_bytes(&format!("memory around {part} of {name}"), &memory, &expected)?;
        }
    }
    Ok(())
}

/// Takes bytes until there is no more room.
pub(super) struct Sink<'a> {
    pub(super) taken: &'a mut Vec<u8>,
    pub(super) room: usize,
}

impl DataSink for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        if self.taken.len() + bytes.len() > self.room {
            return Err("there is no more room".into());
        }
        self.taken.extend_from_slice(bytes);
        Ok(())
    }
}

pub(super) fn first_item(opened: &Opened, name: &str) -> Checked<(ReadItem, Region)> {
    let shape = opened.found.metadata.tensor(name).map(|tensor| tensor.shape.clone());
    let shape = shape.ok_or_else(|| format!("the metadata has no tensor {name}"))?;
    opened.items(name, &Region::full(&shape))?.into_iter().next().ok_or_else(|| format!("{name} has no chunks"))
}

/// A buffer for a region, filled with what was not saved.
pub(super) fn tensor(dtype: DType, region: &Region) -> OwnedTensor {
    let shape = Shape::new(region.sizes().iter().copied()).expect("part of a shape");
    let mut tensor = OwnedTensor::zeros(dtype, shape);
    tensor.bytes_mut().fill(0xa5);
    tensor
}

/// The same item with another region.
pub(super) fn with_region(item: &ReadItem, region: Region) -> ReadItem {
    let mut item = item.clone();
    if let ReadWhat::Region { region: old, .. } = &mut item.what {
        *old = region;
    }
    item
}

/// Whether an error says that the destination is at fault.
pub(super) fn is_destination(error: &StorageError) -> bool {
    matches!(error, StorageError::Destination { .. })
}
