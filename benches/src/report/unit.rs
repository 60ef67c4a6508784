//! What figures are measured in.

use serde::Serialize;

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// 10^9 bytes a second: more is better. Of all others less is.
    #[serde(rename = "GB/s")]
    GbPerSecond,
    #[serde(rename = "s")]
    Seconds,
    /// 10^6 bytes.
    #[serde(rename = "MB")]
    Megabytes,
    /// 2^20 bytes.
    #[serde(rename = "MiB")]
    Mebibytes,
}

impl Unit {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::GbPerSecond => "GB/s",
            Self::Seconds => "s",
            Self::Megabytes => "MB",
            Self::Mebibytes => "MiB",
        }
    }

    /// How many times as good as another value one is.
    pub(crate) fn times(self, value: f64, than: f64) -> f64 {
        if self == Self::GbPerSecond { value / than } else { than / value }
    }

    /// A value with three digits that count.
    pub(crate) fn show(self, value: f64) -> String {
        // Before the first digit that counts are so many zeros, or after it so many digits.
        let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
        let decimals = (2.0 - magnitude).clamp(0.0, 6.0) as usize;
        format!("{value:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn three_digits_count() {
        let shown = [1234.5, 123.4, 12.34, 1.234, 0.1234, 0.001_234, 0.0].map(|value| Unit::Seconds.show(value));
        assert_eq!(shown, ["1234", "123", "12.3", "1.23", "0.123", "0.00123", "0.00"]);
    }
}
