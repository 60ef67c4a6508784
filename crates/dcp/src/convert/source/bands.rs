//! A chunk that is read band by band: a part that is contiguous in the order of writing and fits a budget.

use std::sync::{Mutex, PoisonError};

use dcp_types::{DType, DataError, DataSource, Region};

use super::{Origin, Wanted};

/// The bytes of a chunk, of which one band is in memory.
pub(super) struct Bands<'a> {
    origin: &'a Origin<'a>,
    wanted: Wanted<'a>,
    /// The bands, and where each starts among the bytes.
    bands: Vec<(u64, Region)>,
    /// The number of the band in memory, and its bytes.
    current: Mutex<Option<(usize, Vec<u8>)>>,
}

impl<'a> Bands<'a> {
    pub(super) fn new(origin: &'a Origin<'a>, wanted: Wanted<'a>, most: u64) -> Result<Self, DataError> {
        let element = wanted.dtype.size();
        let mut start = 0;
        let bands = cut(&wanted.region, (most / element).max(1))?.into_iter().map(|band| {
            let at = start;
            start += band.numel() * element;
            (at, band)
        });
        let bands = bands.collect();
        Ok(Self { origin, wanted, bands, current: Mutex::new(None) })
    }

    fn load(&self, number: usize) -> Result<Vec<u8>, DataError> {
        let Wanted { entry, stored, dtype, is_checked, .. } = self.wanted;
        let region = self.bands[number].1.clone();
        let mut bytes = vec![0; (region.numel() * dtype.size()) as usize];
        let band = Wanted { entry, stored, dtype, region, is_checked };
        self.origin.read(&[band], std::slice::from_mut(&mut bytes))?;
        Ok(bytes)
    }
}

impl DataSource for Bands<'_> {
    fn dtype(&self) -> DType {
        self.wanted.dtype
    }

    fn shape(&self) -> Vec<u64> {
        self.wanted.region.sizes().to_vec()
    }

    fn read_at(&self, mut offset: u64, mut out: &mut [u8]) -> Result<(), DataError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        while !out.is_empty() {
            let number = self.bands.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
            if current.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
                // The one goes before the next is taken memory for.
                *current = None;
                *current = Some((number, self.load(number)?));
            }
            let bytes = current.as_ref().map_or(&[][..], |(_, bytes)| bytes);
            let rest = bytes.get((offset - self.bands[number].0) as usize..).unwrap_or_default();
            let length = rest.len().min(out.len());
            if length == 0 {
                return Err("it has no more bytes".into());
            }
            let (now, later) = out.split_at_mut(length);
            now.copy_from_slice(&rest[..length]);
            (offset, out) = (offset + length as u64, later);
        }
        Ok(())
    }
}

/// A region in row-major order in parts of at most so many elements, and of half as many where it can be.
fn cut(region: &Region, most: u64) -> Result<Vec<Region>, DataError> {
    let sizes = region.sizes();
    let inner = |dim: usize| sizes[dim + 1..].iter().product::<u64>();
    // The outermost dimension of which at least one index fits.
    let Some(dim) = (0..sizes.len()).find(|&dim| inner(dim) <= most) else { return Ok(vec![region.clone()]) };
    let step = (most / inner(dim).max(1)).max(1);
    let mut bands = Vec::new();
    let outer: u64 = sizes[..dim].iter().product();
    for number in 0..outer {
        let mut offsets = region.offsets().to_vec();
        let mut extents = sizes.to_vec();
        let mut rest = number;
        for outer in (0..dim).rev() {
            offsets[outer] += rest % sizes[outer];
            extents[outer] = 1;
            rest /= sizes[outer];
        }
        let first = offsets[dim];
        for start in (0..sizes[dim]).step_by(usize::try_from(step)?) {
            offsets[dim] = first + start;
            extents[dim] = step.min(sizes[dim] - start);
            bands.push(Region::new(offsets.iter().copied(), extents.iter().copied())?);
        }
    }
    Ok(bands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_the_region_in_order() {
        let region = Region::new([1, 2, 3], [3, 4, 5]).expect("region");
        for most in 1..=61 {
            let bands = cut(&region, most).expect("cut");
            let mut position = 0;
            for band in &bands {
                assert!(band.numel() <= most && !band.is_empty());
                let mut runs = band.relative_to(&region).expect("inside").runs(region.sizes()).expect("runs");
                assert_eq!((runs.next(), runs.run_length()), (Some(position), band.numel()), "{most}");
                assert_eq!(runs.next(), None);
                position += band.numel();
            }
            assert_eq!(position, 60);
        }
    }
}
