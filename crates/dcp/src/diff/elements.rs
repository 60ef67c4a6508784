//! Compares the elements of tensors: as bytes, and where these differ as numbers.

use dcp_default_planner::{Conversion, conversion};
use dcp_types::DType;

use super::rule::{Gap, Rule};

/// How many elements are converted at a time: few enough to stay in the cache.
const BLOCK: usize = 2048;

/// What was found among elements.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) differing: u64,
    pub(super) nan: u64,
    /// The number of the first that differs.
    pub(super) first: Option<u64>,
    pub(super) max_abs: Option<f64>,
    pub(super) max_rel: Option<f64>,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        let largest = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        self.differing += other.differing;
        self.nan += other.nan;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.max_abs = largest(self.max_abs, other.max_abs);
        self.max_rel = largest(self.max_rel, other.max_rel);
    }

    fn count(&mut self, number: u64, gap: Option<Gap>) {
        let (nan, abs, rel) = match gap {
            Some(Gap::Same) => return,
            Some(Gap::By { abs, rel }) => (0, Some(abs), Some(rel)),
            Some(Gap::Nan) => (1, None, None),
            None => (0, None, None),
        };
        self.add(&Self { differing: 1, nan, first: Some(number), max_abs: abs, max_rel: rel });
    }
}

/// Compares elements of one dtype.
pub(super) struct ElementComparer {
    rule: Rule,
    size: usize,
    /// `None` where elements are no numbers here.
    numbers: Option<Numbers>,
    /// Whether the same bytes may not be the same number.
    looks_at_all: bool,
    converted: [Vec<u8>; 2],
}

#[derive(Clone, Copy)]
struct Numbers {
    kind: Kind,
    convert: Conversion,
}

/// What holds every number of a dtype without loss.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    Unsigned,
    Real,
    Complex,
}

impl ElementComparer {
    pub(super) fn new(dtype: DType, rule: Rule) -> Self {
        let kind = Kind::of(dtype);
        let numbers = conversion(dtype, kind.dtype()).map(|convert| Numbers { kind, convert });
        let may_be_nan = numbers.is_some() && matches!(kind, Kind::Real | Kind::Complex);
        let converted = numbers.map_or(0, |_| BLOCK * kind.dtype().size() as usize);
        Self {
            rule,
            size: dtype.size() as usize,
            numbers,
            looks_at_all: may_be_nan && !rule.equal_nan,
            converted: [vec![0; converted], vec![0; converted]],
        }
    }

    /// Compares as many whole elements of the two sides, the first of which has this number.
    pub(super) fn compare(&mut self, first: u64, left: &[u8], right: &[u8]) -> Tally {
        let mut tally = Tally::default();
        if !self.looks_at_all && left == right {
            return tally;
        }
        let block = BLOCK * self.size;
        for (number, (left, right)) in (0..).zip(left.chunks(block).zip(right.chunks(block))) {
            if self.looks_at_all || left != right {
                tally.add(&self.block(first + number * BLOCK as u64, left, right));
            }
        }
        tally
    }

    fn block(&mut self, first: u64, left: &[u8], right: &[u8]) -> Tally {
        let mut tally = Tally::default();
        let differ = |(left, right): (&[u8], &[u8])| left != right;
        let pairs = left.chunks_exact(self.size).zip(right.chunks_exact(self.size));
        let Some(Numbers { kind, convert }) = self.numbers else {
            (first..).zip(pairs).filter(|(_, pair)| differ(*pair)).for_each(|(number, _)| tally.count(number, None));
            return tally;
        };
        let width = kind.dtype().size() as usize;
        let length = left.len() / self.size * width;
        let [lefts, rights] = &mut self.converted;
        convert(left, &mut lefts[..length]);
        convert(right, &mut rights[..length]);
        let numbers = lefts.chunks_exact(width).zip(rights.chunks_exact(width));
        for (number, (bytes, (left, right))) in (first..).zip(pairs.zip(numbers)) {
            let differ = differ(bytes);
            if !differ && !self.looks_at_all {
                continue;
            }
            let gap = kind.gap(self.rule, left, right);
            if differ || gap == Gap::Nan {
                tally.count(number, Some(gap));
            }
        }
        tally
    }
}

impl Kind {
    fn of(dtype: DType) -> Self {
        match dtype {
            DType::Bool | DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => Self::Signed,
            DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => Self::Unsigned,
            DType::Complex32 | DType::Complex64 | DType::Complex128 => Self::Complex,
            _ => Self::Real,
        }
    }

    fn dtype(self) -> DType {
        match self {
            Self::Signed => DType::Int64,
            Self::Unsigned => DType::UInt64,
            Self::Real => DType::Float64,
            Self::Complex => DType::Complex128,
        }
    }

    /// How two converted elements compare.
    fn gap(self, rule: Rule, left: &[u8], right: &[u8]) -> Gap {
        match self {
            Self::Signed => {
                rule.integers(i64::from_le_bytes(first_8(left)).into(), i64::from_le_bytes(first_8(right)).into())
            }
            Self::Unsigned => {
                rule.integers(u64::from_le_bytes(first_8(left)).into(), u64::from_le_bytes(first_8(right)).into())
            }
            Self::Real => rule.reals(real(left), real(right)),
            Self::Complex => {
                let parts = |bytes: &[u8]| [real(bytes), real(&bytes[8..])];
                rule.complex(parts(left), parts(right))
            }
        }
    }
}

fn real(bytes: &[u8]) -> f64 {
    f64::from_le_bytes(first_8(bytes))
}

fn first_8(bytes: &[u8]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    first
}
