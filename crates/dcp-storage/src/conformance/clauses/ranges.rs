//! A read fills every buffer with exactly the bytes asked for, or fails.

use std::thread;

use crate::conformance::check::{Checked, Must, equal, expect_error, noise, path, put, read, same_bytes};
use crate::conformance::{Subject, block_on};
use crate::{ReadRange, StorageError, Store, StorePath};

pub(super) async fn range_is_exact(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    for (offset, length) in [(0, 1), (0, 4096), (1, 1), (4095, 2), (777, 5000), (SIZE - 1, 1), (0, SIZE)] {
        object.reads(&[(offset, length)]).await?;
    }
    Ok(())
}

pub(super) async fn ranges_in_any_order(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.reads(&[(9000, 100), (10, 100), (5000, 300), (0, 7), (SIZE - 5, 5), (20_000, 64)]).await
}

pub(super) async fn ranges_may_overlap(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.reads(&[(100, 1000), (600, 1000), (100, 1000), (0, SIZE), (650, 3)]).await
}

pub(super) async fn ranges_may_touch(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.reads(&[(0, 100), (100, 1), (101, 4096), (4197, 10)]).await?;
    object.reads(&[(200, 100), (100, 100), (0, 100), (300, 50)]).await
}

pub(super) async fn range_may_be_empty(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.reads(&[(0, 0)]).await?;
    object.reads(&[(50, 0), (10, 20), (30, 0), (30, 5)]).await?;
    object.reads(&[(SIZE, 0)]).await
}

pub(super) async fn range_may_end_at_the_end(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.reads(&[(SIZE - 1000, 1000)]).await?;
    object.reads(&[(SIZE - 2000, 1000), (SIZE - 1000, 1000), (SIZE, 0)]).await
}

pub(super) async fn range_past_the_end_fails(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.refuses(SIZE as u64 - 10, 11).await?;
    object.refuses(0, SIZE + 1).await
}

pub(super) async fn range_beyond_the_end_fails(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.refuses(SIZE as u64, 1).await?;
    object.refuses(SIZE as u64 + 1_000_000, 10).await
}

pub(super) async fn empty_range_beyond_the_end_fails(subject: &dyn Subject) -> Checked {
    Object::put(subject).await?.refuses(SIZE as u64 + 1, 0).await
}

pub(super) async fn range_past_the_largest_offset_fails(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    for offset in [u64::MAX, u64::MAX - 5, i64::MAX as u64, i64::MAX as u64 + 1] {
        object.refuses(offset, 10).await?;
    }
    Ok(())
}

pub(super) async fn one_bad_range_among_good_ones_fails(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    let (mut first, mut bad, mut last) = ([0; 10], [0; 10], [0; 10]);
    let result = object
        .store
        .read(
            &object.path,
            &mut [
                ReadRange { offset: 0, buffer: &mut first },
                ReadRange { offset: SIZE as u64 - 5, buffer: &mut bad },
                ReadRange { offset: 100, buffer: &mut last },
            ],
        )
        .await;
    out_of_range(result, SIZE as u64 - 5, 10)
}

pub(super) async fn thousands_of_ranges_in_one_read(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    // Touching ones, more than a system takes in one call; then scattered ones.
    let touching: Vec<_> = (0..3000).map(|index| (index * 7, 7)).collect();
    object.reads(&touching).await?;
    let scattered: Vec<_> = (0..3000).map(|index| ((index * 7919) % (SIZE - 16), 16)).collect();
    object.reads(&scattered).await
}

pub(super) async fn no_range_at_all(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.reads(&[]).await?;
    expect_error!(object.store.read(&path("elsewhere"), &mut []).await, NotFound, "no range of a missing object")
}

pub(super) async fn ranges_are_shown_when_they_are_full(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    object.shows(&(0..600).map(|index| (index * 100, index % 101)).collect::<Vec<_>>()).await?;
    object.shows(&[(0, SIZE)]).await?;
    object.shows(&[(5, 0), (5, 10), (15, 20_000), (SIZE, 0)]).await?;
    object.shows(&[]).await
}

pub(super) async fn whoever_looks_can_end_the_read(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    let mut buffers = [[0; 100]; 3];
    let mut offsets = (0..).step_by(1000);
    let mut ranges = buffers.each_mut().map(|buffer| ReadRange { offset: offsets.next().unwrap_or(0), buffer });
    let mut shown = 0;
    let mut look = |range: &ReadRange<'_>| {
        shown += 1;
        let enough = StorageError::Corrupt { path: object.path.clone(), offset: range.offset, reason: "enough".into() };
        if range.offset == 1000 { Err(enough) } else { Ok(()) }
    };
    let result = object.store.read_each(&object.path, &mut ranges, &mut look).await;
    expect_error!(result, Corrupt, "a read at whose second range somebody says no")?;
    equal("looks at three ranges, an error at the second", shown, 2)
}

pub(super) async fn concurrent_reads_do_not_disturb_each_other(subject: &dyn Subject) -> Checked {
    let object = Object::put(subject).await?;
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|reader| {
                let object = &object;
                scope.spawn(move || {
                    (0..100).try_for_each(|round| {
                        let offset = (reader * 7000 + round * 131) % (SIZE - 3000);
                        block_on(object.reads(&[(offset, 1500), (offset / 2, 900), (offset + 1500, 1500)]))
                    })
                })
            })
            .collect();
        readers.into_iter().try_for_each(|reader| reader.join().expect("a reader panicked"))
    })
}

const SIZE: usize = 60_001;

struct Object {
    store: std::sync::Arc<dyn Store>,
    path: StorePath,
    content: Vec<u8>,
}

impl Object {
    async fn put(subject: &dyn Subject) -> Checked<Self> {
        let object = Self { store: subject.open(), path: path("step/data"), content: noise(11, SIZE) };
        put(&*object.store, &object.path, &object.content).await?;
        Ok(object)
    }

    /// One read of all these ranges gives each its own bytes.
    async fn reads(&self, ranges: &[(usize, usize)]) -> Checked {
        let mut buffers = Vec::new();
        let mut wanted = into(&mut buffers, ranges);
        self.store.read(&self.path, &mut wanted).await.must(&format!("a read of {} ranges", ranges.len()))?;
        ranges.iter().zip(&buffers).try_for_each(|(&(offset, length), buffer)| {
            same_bytes(&format!("{length} bytes at {offset}"), buffer, &self.content[offset..offset + length])
        })
    }

    /// Each of these ascending ranges is shown once, in order, with its own bytes.
    async fn shows(&self, ranges: &[(usize, usize)]) -> Checked {
        let mut buffers = Vec::new();
        let mut wanted = into(&mut buffers, ranges);
        let mut shown = Vec::new();
        let mut look = |range: &ReadRange<'_>| {
            shown.push((range.offset as usize, range.buffer.to_vec()));
            Ok(())
        };
        let read = self.store.read_each(&self.path, &mut wanted, &mut look).await;
        read.must(&format!("a read of {} ranges that are looked at", ranges.len()))?;
        equal("ranges that were shown", shown.len(), ranges.len())?;
        ranges.iter().zip(&shown).try_for_each(|(&(offset, length), (at, bytes))| {
            equal("the offset of the range that was shown", *at, offset)?;
            same_bytes(
                &format!("{length} bytes at {offset}, when shown"),
                bytes,
                &self.content[offset..offset + length],
            )
        })
    }

    async fn refuses(&self, offset: u64, length: usize) -> Checked {
        out_of_range(read(&*self.store, &self.path, offset, length).await, offset, length as u64)
    }
}

/// Buffers for these ranges, and what is to be read into them.
fn into<'a>(buffers: &'a mut Vec<Vec<u8>>, ranges: &[(usize, usize)]) -> Vec<ReadRange<'a>> {
    buffers.extend(ranges.iter().map(|&(_, length)| vec![0xa5; length]));
    let range =
        |(&(offset, _), buffer): (&(usize, usize), &'a mut Vec<u8>)| ReadRange { offset: offset as u64, buffer };
    ranges.iter().zip(buffers).map(range).collect()
}

/// The error must say which range it was, and how large the object is.
fn out_of_range<T: std::fmt::Debug>(result: Result<T, StorageError>, offset: u64, length: u64) -> Checked {
    match result {
        Err(StorageError::OutOfRange { offset: o, length: l, size, .. })
            if (o, l, size) == (offset, length, SIZE as u64) =>
        {
            Ok(())
        }
        Ok(_) => Err(format!("{length} bytes at {offset} of {SIZE} should be OutOfRange, but the read succeeded")),
        Err(other) => Err(format!(
            "{length} bytes at {offset} of {SIZE} should be OutOfRange with these numbers, but gave {other:?}"
        )),
    }
}
