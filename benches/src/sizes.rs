//! How large everything is.

/// The sizes of one run.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    /// Of the state that is saved and loaded, in bytes.
    pub(crate) state: usize,
    pub(crate) ranks: &'static [usize],
    /// The chunk of which a slice is read, in bytes.
    pub(crate) chunk: usize,
    /// How many small tensors.
    pub(crate) small: usize,
    /// Of the repeated save: tensors, thread ranks.
    pub(crate) repeated: (usize, usize),
    /// Ranks and tensors that PyTorch plans, too.
    pub(crate) plan: (u32, usize),
    /// Ranks and tensors that it would not come to an end with.
    pub(crate) large_plan: (u32, usize),
    /// Ranks whose planning is measured one after the other, and the tensors of each.
    pub(crate) scaling: (&'static [u32], usize),
    /// States whose saving takes memory, in bytes.
    pub(crate) memory: &'static [usize],
    /// The checkpoint that is converted, in bytes.
    pub(crate) converted: usize,
    /// What goes into a bucket, in bytes.
    #[cfg(feature = "s3")]
    pub(crate) in_bucket: usize,
    #[cfg(feature = "s3")]
    pub(crate) requests_in_flight: &'static [usize],
}

impl Sizes {
    /// What is documented.
    pub(crate) const FULL: Self = Self {
        state: 2 << 30,
        ranks: &[1, 2, 4, 8],
        chunk: 256 << 20,
        small: 10_000,
        repeated: (1000, 64),
        plan: (1024, 1000),
        large_plan: (16_384, 1000),
        scaling: (&[16, 64, 256, 1024, 4096, 16_384], 100),
        memory: &[512 << 20, 2 << 30, 4 << 30],
        converted: 4 << 30,
        #[cfg(feature = "s3")]
        in_bucket: 2 << 30,
        #[cfg(feature = "s3")]
        requests_in_flight: &[1, 4, 16],
    };
    /// A look, for developers.
    pub(crate) const QUICK: Self = Self {
        state: 256 << 20,
        ranks: &[1, 4],
        chunk: 64 << 20,
        small: 1000,
        repeated: (100, 16),
        plan: (128, 100),
        large_plan: (1024, 1000),
        scaling: (&[16, 128, 1024], 100),
        memory: &[64 << 20, 256 << 20],
        converted: 256 << 20,
        #[cfg(feature = "s3")]
        in_bucket: 64 << 20,
        #[cfg(feature = "s3")]
        requests_in_flight: &[4],
    };
    /// Whether it runs at all.
    pub(crate) const TINY: Self = Self {
        state: 4 << 20,
        ranks: &[1, 2],
        chunk: 1 << 20,
        small: 20,
        repeated: (5, 4),
        plan: (16, 5),
        large_plan: (32, 5),
        scaling: (&[16, 32], 5),
        memory: &[1 << 20, 4 << 20],
        converted: 4 << 20,
        #[cfg(feature = "s3")]
        in_bucket: 4 << 20,
        #[cfg(feature = "s3")]
        requests_in_flight: &[2],
    };
}

/// A number of bytes, for people.
pub(crate) fn show(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 30 => format!("{} GiB", bytes as f64 / f64::from(1 << 30)),
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

/// A number of ranks or threads, for people.
pub(crate) fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{count, show};

    #[test]
    fn bytes_are_shown_in_their_own_unit() {
        assert_eq!([1 << 12, 3 << 20, 1 << 29, 2 << 30].map(show), ["4 KiB", "3 MiB", "512 MiB", "2 GiB"]);
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([count(1, "rank"), count(2, "rank")], ["1 rank", "2 ranks"]);
    }
}
