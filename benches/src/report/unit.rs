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
        let decimals = match value.abs() {
            value if value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            value if value >= 1.0 => 2,
            value if value >= 0.1 => 3,
            _ => 4,
        };
        format!("{value:.decimals$}")
    }
}
