//! Ranged reads into the caller's buffers.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::thread;

use dcp_storage::{Look, ReadRange, StorageError};
use rustix::io::{preadv, retry_on_intr};

use crate::beneath::OpenObject;
use crate::site::Site;

/// Fills all buffers. Ranges that touch in the file are read together, in whichever order they were given, until there are `step` bytes; these
/// are then shown to `look`.
pub(crate) fn ranges(
    site: &Site,
    object: &OpenObject,
    ranges: &mut [ReadRange<'_>],
    step: usize,
    look: &mut Look<'_>,
) -> Result<(), StorageError> {
    for range in &*ranges {
        if end_of(range).is_none_or(|end| end > object.size) {
            return Err(site.out_of_range(range.offset, range.buffer.len() as u64, object.size));
        }
    }
    let mut wanted: Vec<_> = ranges.iter_mut().collect();
    wanted.sort_by_key(|range| range.offset);
    let mut rest = &mut wanted[..];
    while !rest.is_empty() {
        let (run, tail) = rest.split_at_mut(touching(rest, step));
        read_run(site, &object.file, run)?;
        run.iter().try_for_each(|range| look(range))?;
        rest = tail;
    }
    Ok(())
}

/// How many ranges at the front follow each other in the file, as far as one system call takes them, and until there are `step` bytes.
fn touching(ranges: &[&mut ReadRange<'_>], step: usize) -> usize {
    let mut bytes = 0;
    let goes_on = |pair: &&[&mut ReadRange<'_>]| {
        bytes += pair[0].buffer.len();
        bytes < step && end_of(pair[0]) == Some(pair[1].offset)
    };
    1 + ranges.windows(2).take(MAX_BUFFERS - 1).take_while(goes_on).count()
}

fn read_run(site: &Site, file: &File, run: &mut [&mut ReadRange<'_>]) -> Result<(), StorageError> {
    let start = run[0].offset;
    let filled = if let [only] = &mut *run {
        fill_one(file, start, only.buffer)
    } else {
        let mut buffers: Vec<_> = run.iter_mut().map(|range| IoSliceMut::new(range.buffer)).collect();
        fill(file, start, &mut buffers)
    };
    match filled.map_err(site.io("read"))? {
        Filled::Whole => Ok(()),
        // Somebody cut the file short after we had asked for its size.
        Filled::UpTo(size) => {
            let short = run.iter().find(|range| end_of(range).is_none_or(|end| end > size)).unwrap_or(&run[0]);
            Err(site.out_of_range(short.offset, short.buffer.len() as u64, size))
        }
    }
}

enum Filled {
    Whole,
    /// The file ends at this offset.
    UpTo(u64),
}

/// So much is read in two halves at once: most of the time goes into pages that are touched for the first time.
const LARGE: usize = if cfg!(test) { 4 << 10 } else { 16 << 20 };

fn fill_one(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<Filled> {
    if buffer.len() < LARGE {
        return fill(file, offset, &mut [IoSliceMut::new(buffer)]);
    }
    let (front, back) = buffer.split_at_mut(buffer.len() / 2);
    let middle = offset + front.len() as u64;
    let (front_filled, back_filled) = thread::scope(|scope| {
        let back = thread::Builder::new().spawn_scoped(scope, || fill(file, middle, &mut [IoSliceMut::new(back)]));
        let front = fill(file, offset, &mut [IoSliceMut::new(front)]);
        (front, back.ok().and_then(|back| back.join().ok()))
    });
    match (front_filled?, back_filled) {
        (Filled::Whole, Some(filled)) => filled,
        // There was no thread to be had.
        (Filled::Whole, None) => fill(file, middle, &mut [IoSliceMut::new(&mut buffer[(middle - offset) as usize..])]),
        (short, _) => Ok(short),
    }
}

fn fill(file: &File, mut offset: u64, mut buffers: &mut [IoSliceMut<'_>]) -> io::Result<Filled> {
    // Empty ones at the front: to read nothing would look like the end of the file.
    IoSliceMut::advance_slices(&mut buffers, 0);
    while !buffers.is_empty() {
        match retry_on_intr(|| preadv(file, buffers, offset))? {
            0 => return Ok(Filled::UpTo(offset)),
            read => {
                offset += read as u64;
                IoSliceMut::advance_slices(&mut buffers, read);
            }
        }
    }
    Ok(Filled::Whole)
}

fn end_of(range: &ReadRange<'_>) -> Option<u64> {
    range.offset.checked_add(range.buffer.len() as u64)
}

/// What Linux takes in one call (`IOV_MAX`), and others no less.
const MAX_BUFFERS: usize = 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use dcp_storage::StorePath;

    use super::*;

    #[test]
    fn file_that_shrinks_under_a_read_is_out_of_range() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&[7; 1000]).expect("written");
        let site = Site::of("here".to_owned(), &StorePath::parse("object").expect("valid")).expect("not reserved");
        // What a read sees when the file had 5000 bytes as it was opened.
        let object = OpenObject { file, size: 5000 };
        let (mut whole, mut cut) = ([0; 900], [0; 200]);
        let result = ranges(
            &site,
            &object,
            &mut [ReadRange { offset: 900, buffer: &mut cut }, ReadRange { offset: 0, buffer: &mut whole }],
            usize::MAX,
            &mut |_| Ok(()),
        );
        assert!(
            matches!(result, Err(StorageError::OutOfRange { offset: 900, length: 200, size: 1000, .. })),
            "{result:?}"
        );
    }

    #[test]
    fn large_ranges_are_read_in_halves() {
        let content: Vec<u8> = (0..2 * LARGE + 7).map(|index| (index % 251) as u8).collect();
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&content).expect("written");
        let read = |offset: u64, length: usize| {
            let mut buffer = vec![0; length];
            let filled = fill_one(&file, offset, &mut buffer).expect("read");
            (buffer, filled)
        };
        let (whole, filled) = read(3, content.len() - 3);
        assert!(matches!(filled, Filled::Whole) && whole == content[3..]);
        for length in [content.len() + 1, 3 * content.len()] {
            let (_, filled) = read(0, length);
            assert!(matches!(filled, Filled::UpTo(size) if size == content.len() as u64), "{length}");
        }
    }

    #[test]
    fn runs_end_where_the_system_call_does() {
        let mut bytes = vec![[0_u8; 1]; 3 * MAX_BUFFERS];
        let mut ranges: Vec<_> = bytes
            .iter_mut()
            .enumerate()
            .map(|(index, buffer)| ReadRange { offset: index as u64 + u64::from(index >= 2000), buffer })
            .collect();
        let ranges: Vec<_> = ranges.iter_mut().collect();
        assert_eq!(touching(&ranges, usize::MAX), MAX_BUFFERS);
        assert_eq!(touching(&ranges[MAX_BUFFERS..], usize::MAX), 2000 - MAX_BUFFERS);
        assert_eq!(touching(&ranges[3 * MAX_BUFFERS - 1..], usize::MAX), 1);
    }
}
