//! What cannot be read is an error: nothing is made up, and nobody is left with a mixture.

use dcp_types::{DType, Dest, Region};

use super::reading::{Sink, first_item, is_destination, tensor, with_region};
use crate::conformance::check::{Checked, Must, equal, noise};
use crate::conformance::plug::Plug;
use crate::conformance::plug::sample::{Opened, Sample, io, save};
use crate::{Precondition, ReadRange, StorageError, Store, StorePath};

pub(super) async fn destination_of_the_wrong_shape_fails(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let (item, region) = first_item(&opened, "model.sharded")?;
    let [rows, columns] = region.sizes() else { return Err("two dimensions were saved".to_owned()) };
    // As many elements, but not the same ones; fewer; more; another number of dimensions.
    for sizes in [vec![*columns, *rows], vec![rows - 1, *columns], vec![rows + 1, *columns], vec![rows * columns]] {
        let wrong = Region::new(vec![0; sizes.len()], sizes.iter().copied()).expect("a region");
        misfit(&opened, &item, &mut tensor(DType::Int16, &wrong), &format!("a buffer of {sizes:?}")).await?;
    }
    let part = with_region(&item, region.split(0, region.offsets()[0] + 1).0);
    misfit(&opened, &part, &mut tensor(DType::Int16, &region), "a buffer for more than the region").await
}

pub(super) async fn destination_of_the_wrong_size_fails(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let (item, region) = first_item(&opened, "model.sharded")?;
    for dtype in [DType::UInt8, DType::Float32, DType::Complex128] {
        misfit(&opened, &item, &mut tensor(dtype, &region), &format!("a buffer of {dtype} for int16")).await?;
    }
    Ok(())
}

pub(super) async fn failing_sink_fails(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    let opened = Opened::at(plug).await.must("read_metadata")?;
    let (item, region) = first_item(&opened, "model.sharded")?;
    let bytes = 2 * region.numel() as usize;
    for room in [0, bytes - 1] {
        let mut taken = Vec::new();
        let sink = Dest::Sink(Box::new(Sink { taken: &mut taken, room }));
        match opened.read(vec![(item.clone(), sink)]).await {
            Err(error) if is_destination(&error) => {}
            other => return Err(format!("a sink that fails should be Destination, but gave {other:?}")),
        }
    }
    Ok(())
}

pub(super) async fn overwritten_one_is_old_or_told(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), true).await?;
    // One reader has read before, so that it may remember where things lie; the other one has just opened it.
    let (fresh, used) = (Opened::at(plug).await.must("read_metadata")?, Opened::at(plug).await.must("read_metadata")?);
    used.compare(&Sample::new(1)).await?.must("read_data")?;
    // The next ones have the same structure, so that every byte of theirs could pass for one of the first.
    for seed in 2..5 {
        save(plug, Sample::new(seed), true).await?;
        for opened in [&fresh, &used] {
            match opened.compare(&Sample::new(1)).await? {
                Ok(_) | Err(StorageError::Overwritten { .. }) => {}
                Err(other) => return Err(format!("an overwritten checkpoint should be Overwritten, but is {other:?}")),
            }
        }
    }
    Ok(())
}

pub(super) async fn reopened_reader_finds_the_new_one(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), true).await?;
    let mut opened = Opened::at(plug).await.must("read_metadata")?;
    opened.compare(&Sample::new(1)).await?.must("read_data")?;
    save(plug, Sample::new(2), true).await?;
    let before = opened.found.fingerprint;
    opened.found = opened.reader.read_metadata(&io().must("threads")?).await.must("read_metadata once more")?;
    equal("whether the fingerprint is still the same", opened.found.fingerprint == before, false)?;
    opened.compare(&Sample::new(2)).await?.must("read_data of the new one").map(drop)
}

pub(super) async fn lost_object_is_an_error(plug: &dyn Plug) -> Checked {
    tampered(plug, |_, content| vec![None; content.len().min(1)]).await
}

pub(super) async fn cut_object_is_an_error(plug: &dyn Plug) -> Checked {
    tampered(plug, |_, content| {
        let lengths = [0, content.len() / 2, content.len().saturating_sub(1)];
        lengths.into_iter().map(|length| Some(content[..length].to_vec())).collect()
    })
    .await
}

pub(super) async fn damage_is_an_error(plug: &dyn Plug) -> Checked {
    tampered(plug, |seed, content| {
        let places = noise(seed, 8 * 12);
        let flipped = places.chunks(8).map(|place| {
            let place = place.iter().fold(0_usize, |sum, &byte| (sum << 8 | usize::from(byte)) & 0xff_ffff_ffff);
            let mut content = content.to_vec();
            let at = place % content.len().max(1);
            content[at] ^= 1 << (place % 7);
            Some(content)
        });
        flipped.collect()
    })
    .await
}

async fn misfit(
    opened: &Opened,
    item: &dcp_types::ReadItem,
    buffer: &mut dcp_types::OwnedTensor,
    what: &str,
) -> Checked {
    let dest = Dest::Memory(buffer.view_mut().expect("a view"));
    match opened.read(vec![(item.clone(), dest)]).await {
        Err(error) if is_destination(&error) => Ok(()),
        other => Err(format!("{what} should be Destination, but gave {other:?}")),
    }
}

/// Replaces each object of a checkpoint in turn, in the given ways (`None`: it is gone). Then whoever reads all of it gets
/// an error; or else all of it, if what was changed is no part of it.
async fn tampered(plug: &dyn Plug, ways: impl Fn(u64, &[u8]) -> Vec<Option<Vec<u8>>>) -> Checked {
    let sample = Sample::new(1);
    save(plug, Sample::new(1), false).await?;
    let store = plug.behind().ok_or("the plug has nothing behind it, and does not say that it lacks `objects`")?;
    let mut errors = 0;
    for (seed, object) in (1..).zip(store.list(None).await.must("list")?) {
        let sound = whole(&*store, &object.path, object.size).await?;
        for changed in ways(seed, &sound).into_iter().filter(|changed| changed.as_ref() != Some(&sound)) {
            match &changed {
                Some(changed) => put(&*store, &object.path, changed).await?,
                None => store.delete(&object.path).await.must("delete")?,
            }
            let read = match Opened::at(plug).await {
                Ok(opened) => {
                    opened.compare(&sample).await.map_err(|what| format!("{} was changed: {what}", object.path))?
                }
                Err(error) => Err(error),
            };
            errors += u32::from(read.is_err());
            put(&*store, &object.path, &sound).await?;
        }
    }
    if errors == 0 { Err("whatever was changed, nobody noticed".to_owned()) } else { Ok(()) }
}

async fn whole(store: &dyn Store, path: &StorePath, size: u64) -> Checked<Vec<u8>> {
    let mut content = vec![0; size as usize];
    store.read(path, &mut [ReadRange { offset: 0, buffer: &mut content }]).await.must("read")?;
    Ok(content)
}

async fn put(store: &dyn Store, path: &StorePath, content: &[u8]) -> Checked {
    store.publish(path, content, Precondition::None).await.must("publish").map(drop)
}
