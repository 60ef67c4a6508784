//! What is measured.

#[cfg(feature = "s3")]
pub(crate) mod bucket;
mod columns;
pub(crate) mod convert;
mod limits;
mod load;
pub(crate) mod memory;
mod plan;
mod repeat;
mod save;
mod scaling;
mod slice;
mod small;
pub(crate) mod torch_read;

use crate::Fault;
use crate::bench::Bench;
use crate::report::Comparison;

/// Something to be measured, which may make several comparisons.
#[derive(Debug)]
pub(crate) struct Contest {
    /// Its name, for `--only`.
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Bench) -> Result<Vec<Comparison>, Fault>,
}

/// All of them, in order.
pub(crate) const ALL: &[Contest] = &[
    Contest { name: "limits", run: limits::run },
    Contest { name: "save", run: save::run },
    Contest { name: "durable", run: save::run_durable },
    Contest { name: "load", run: load::run },
    Contest { name: "columns", run: columns::run },
    Contest { name: "slice", run: slice::run },
    Contest { name: "small", run: small::run },
    Contest { name: "plan", run: plan::run },
    Contest { name: "memory", run: memory::run },
    Contest { name: "repeat", run: repeat::run },
    Contest { name: "scaling", run: scaling::run },
    Contest { name: "convert", run: convert::run },
    Contest { name: "torch-read", run: torch_read::run },
    #[cfg(feature = "s3")]
    Contest { name: "bucket", run: bucket::run },
];
