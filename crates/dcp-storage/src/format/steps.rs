//! What is done to elements after they have been read.

use dcp_types::DType;

use crate::PostStep;

/// Steps for the elements of one chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    /// The size of an element in bytes.
    element: u64,
    all: Vec<Step>,
}

/// A step, for units of so many bytes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Reverse(usize),
    /// Flips bits of the last byte, where the sign is.
    Flip(usize, u8),
    /// The same, but for zero, which has no negative, and for what its pattern would be, which is not a number.
    FlipUnlessZero(u8),
    /// Two's complement.
    Negate(usize),
}

impl Steps {
    /// Finds out what steps mean for a dtype; says what is wrong if they mean nothing.
    pub(crate) fn new(steps: &[PostStep], dtype: Option<DType>) -> Result<Self, String> {
        let Some(dtype) = dtype else {
            return if steps.is_empty() { Ok(Self::default()) } else { Err(format!("{steps:?} of a value")) };
        };
        let meaning = |step: &PostStep| match step {
            PostStep::SwapBytes(unit) => match usize::try_from(*unit) {
                Ok(size @ (1 | 2 | 4 | 8 | 16)) if dtype.size().is_multiple_of(*unit) => Some(Step::Reverse(size)),
                _ => None,
            },
            // The imaginary part comes last, and with it its sign.
            PostStep::Conjugate => is_complex(dtype).then_some(Step::Flip(dtype.size() as usize, 0x80)),
            PostStep::Negate => negate(dtype),
        };
        let all = steps.iter().map(|step| meaning(step).ok_or_else(|| format!("{step:?} of elements of {dtype}")));
        Ok(Self { element: dtype.size(), all: all.collect::<Result<_, _>>()? })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes must come in multiples of this, counted from the first element.
    pub(crate) fn unit(&self) -> u64 {
        if self.all.is_empty() { 1 } else { self.element }
    }

    /// Does them to whole elements.
    pub(crate) fn apply(&self, elements: &mut [u8]) {
        for step in &self.all {
            match *step {
                Step::Reverse(2) => each::<2>(elements, |unit| unit.reverse()),
                Step::Reverse(4) => each::<4>(elements, |unit| unit.reverse()),
                Step::Reverse(8) => each::<8>(elements, |unit| unit.reverse()),
                Step::Reverse(size) => elements.chunks_exact_mut(size).for_each(<[u8]>::reverse),
                Step::Flip(size, bits) => {
                    elements.iter_mut().skip(size - 1).step_by(size).for_each(|last| *last ^= bits)
                }
                Step::FlipUnlessZero(bits) => {
                    elements.iter_mut().filter(|byte| **byte & !bits != 0).for_each(|byte| *byte ^= bits);
                }
                Step::Negate(1) => {
                    each::<1>(elements, |unit| *unit = i8::from_le_bytes(*unit).wrapping_neg().to_le_bytes())
                }
                Step::Negate(2) => {
                    each::<2>(elements, |unit| *unit = i16::from_le_bytes(*unit).wrapping_neg().to_le_bytes())
                }
                Step::Negate(4) => {
                    each::<4>(elements, |unit| *unit = i32::from_le_bytes(*unit).wrapping_neg().to_le_bytes())
                }
                Step::Negate(_) => {
                    each::<8>(elements, |unit| *unit = i64::from_le_bytes(*unit).wrapping_neg().to_le_bytes())
                }
            }
        }
    }
}

impl PostStep {
    /// Does steps to whole elements of a dtype, wherever they are.
    ///
    /// # Errors
    /// What is wrong, if a step means nothing for the dtype.
    pub fn apply(steps: &[PostStep], dtype: DType, elements: &mut [u8]) -> Result<(), String> {
        Steps::new(steps, Some(dtype))?.apply(elements);
        Ok(())
    }
}

fn each<const N: usize>(elements: &mut [u8], change: impl Fn(&mut [u8; N])) {
    elements.as_chunks_mut::<N>().0.iter_mut().for_each(change);
}

fn is_complex(dtype: DType) -> bool {
    matches!(dtype, DType::Complex32 | DType::Complex64 | DType::Complex128)
}

fn negate(dtype: DType) -> Option<Step> {
    let size = dtype.size() as usize;
    match dtype {
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => Some(Step::Negate(size)),
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => Some(Step::Negate(size)),
        DType::Float16 | DType::BFloat16 | DType::Float32 | DType::Float64 => Some(Step::Flip(size, 0x80)),
        DType::Float8E4M3Fn | DType::Float8E5M2 => Some(Step::Flip(size, 0x80)),
        DType::Float8E4M3FnUz | DType::Float8E5M2FnUz => Some(Step::FlipUnlessZero(0x80)),
        DType::Float4E2M1FnX2 => Some(Step::Flip(size, 0x88)),
        complex if is_complex(complex) => Some(Step::Flip(size / 2, 0x80)),
        _ => None,
    }
}
