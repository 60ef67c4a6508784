//! Converting tensors from one dtype to another while they are loaded.

mod number;
mod scalar;

use dcp_types::{DType, DataError, DataSink, Dest, ViewMut};

/// Converts elements of one dtype to another: row-major, little-endian bytes of whole elements into bytes of just as many.
pub type Conversion = fn(&[u8], &mut [u8]);

/// The conversion of elements from one dtype to another, if there is one: numbers convert as
/// [`convert_dtypes`](crate::DefaultLoadPlanner::convert_dtypes) says.
///
/// ```
/// use dcp_types::DType;
/// let to_float64 = dcp_default_planner::conversion(DType::BFloat16, DType::Float64).expect("both are numbers");
/// let mut converted = [0; 8];
/// to_float64(&[0x80, 0x3f], &mut converted);
/// assert_eq!(f64::from_le_bytes(converted), 1.0);
/// ```
#[must_use]
pub fn conversion(from: DType, to: DType) -> Option<Conversion> {
    scalar::converter(from, to)
}

/// Whether elements of dtype `from` can be converted to `to`, as [`convert_dtypes`](crate::DefaultLoadPlanner::convert_dtypes) says.
#[must_use]
pub fn converts(from: DType, to: DType) -> bool {
    scalar::converter(from, to).is_some()
}

/// A destination that takes elements of dtype `from` and hands them on to one of dtype `to`; `None` if there is no conversion,
/// or the destination is none of a tensor.
#[must_use]
pub fn cast<'a>(from: DType, to: DType, dest: Dest<'a>) -> Option<Dest<'a>> {
    let convert = scalar::converter(from, to)?;
    let out = match dest {
        Dest::Memory(view) => Out::Memory { view, offset: 0 },
        Dest::Sink(sink) => Out::Sink(sink),
        _ => return None,
    };
    let (from, to) = (from.size() as usize, to.size() as usize);
    Some(Dest::Sink(Box::new(Cast { out, convert, from, to, begun: Vec::new(), converted: vec![0; BLOCK * to] })))
}

/// How many elements are converted at a time: few enough to stay in the cache between conversion and copy.
const BLOCK: usize = 2048;

struct Cast<'a> {
    out: Out<'a>,
    convert: Conversion,
    /// The sizes of an element before and after.
    from: usize,
    to: usize,
    /// The first bytes of an element whose last bytes are still to come.
    begun: Vec<u8>,
    converted: Vec<u8>,
}

enum Out<'a> {
    Memory { view: ViewMut<'a>, offset: u64 },
    Sink(Box<dyn DataSink + 'a>),
}

impl DataSink for Cast<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), DataError> {
        if !self.begun.is_empty() {
            let (now, later) = bytes.split_at((self.from - self.begun.len()).min(bytes.len()));
            self.begun.extend_from_slice(now);
            bytes = later;
            if self.begun.len() < self.from {
                return Ok(());
            }
            let element = std::mem::take(&mut self.begun);
            self.convert(&element)?;
        }
        let (whole, begun) = bytes.split_at(bytes.len() / self.from * self.from);
        whole.chunks(BLOCK * self.from).try_for_each(|block| self.convert(block))?;
        self.begun.extend_from_slice(begun);
        Ok(())
    }
}

impl Cast<'_> {
    /// Converts at most [`BLOCK`] whole elements.
    fn convert(&mut self, elements: &[u8]) -> Result<(), DataError> {
        let converted = &mut self.converted[..elements.len() / self.from * self.to];
        (self.convert)(elements, converted);
        match &mut self.out {
            Out::Memory { view, offset } => {
                view.write_at(*offset, converted)?;
                *offset += converted.len() as u64;
                Ok(())
            }
            Out::Sink(sink) => sink.write(converted),
        }
    }
}

#[cfg(test)]
mod tests;
