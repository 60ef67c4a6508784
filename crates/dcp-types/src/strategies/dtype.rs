//! Dtypes.

use proptest::sample::select;
use proptest::strategy::Strategy;

use crate::DType;

/// Any dtype.
pub fn dtypes() -> impl Strategy<Value = DType> + Clone {
    select(DType::ALL)
}
