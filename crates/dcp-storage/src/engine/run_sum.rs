//! The CRC-32 of an array that several write, each some runs of it.
//!
//! A CRC without its usual complements is a polynomial modulo another (Peterson and Brown, "Cyclic Codes for Error Detection",
//! 1961): it is linear. So what the parts of an array, each among zeros, contribute to it is summed up in any order.

/// What some runs contribute to the checksum of a whole. Contributions to one whole are joined by exclusive or.
pub(super) struct RunSum {
    sum: u32,
    /// Where the last run ended.
    position: u64,
    /// The last distance, and what it multiplies with: runs mostly lie at equal distances.
    shift: (u64, u32),
}

impl RunSum {
    pub(super) fn new() -> Self {
        Self { sum: 0, position: 0, shift: (0, ONE) }
    }

    /// A run of `length` bytes that ends at `end`, which is not before the end of the last one, with its CRC-32.
    pub(super) fn add(&mut self, crc: u32, length: u64, end: u64) {
        self.advance(end);
        self.sum ^= crc ^ zeros(length);
    }

    /// The contribution to the checksum of an array of so many bytes.
    pub(super) fn finish(mut self, length: u64) -> u32 {
        self.advance(length);
        self.sum
    }

    fn advance(&mut self, to: u64) {
        let distance = to - self.position;
        if self.shift.0 != distance {
            self.shift = (distance, power(distance));
        }
        self.sum = multiply(self.shift.1, self.sum);
        self.position = to;
    }
}

/// The CRC-32 of an array of so many bytes with these contributions, joined.
pub(crate) fn checksum(contributions: u32, length: u64) -> u32 {
    contributions ^ zeros(length)
}

/// The polynomial of the CRC-32 of zip, bits reversed: the highest bit is the coefficient of 1.
const POLYNOMIAL: u32 = 0xedb8_8320;
const ONE: u32 = 1 << 31;
/// x to the 8th.
const BYTE: u32 = 1 << 23;

/// The CRC-32 of so many zeros.
fn zeros(length: u64) -> u32 {
    !multiply(power(length), u32::MAX)
}

/// What so many bytes more multiply with.
fn power(mut bytes: u64) -> u32 {
    let (mut product, mut square) = (ONE, BYTE);
    while bytes > 0 {
        if bytes & 1 == 1 {
            product = multiply(square, product);
        }
        square = multiply(square, square);
        bytes >>= 1;
    }
    product
}

fn multiply(left: u32, mut right: u32) -> u32 {
    let mut product = 0;
    for bit in (0..u32::BITS).rev() {
        if left >> bit & 1 == 1 {
            product ^= right;
        }
        right = if right & 1 == 1 { right >> 1 ^ POLYNOMIAL } else { right >> 1 };
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn contributions_make_the_checksum(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            owners in proptest::collection::vec(0..3usize, 1..40),
        ) {
            // Runs of one length, dealt out to three.
            let length = bytes.len().div_ceil(owners.len()).max(1);
            let mut sums = [RunSum::new(), RunSum::new(), RunSum::new()];
            for (number, run) in bytes.chunks(length).enumerate() {
                let end = (number * length + run.len()) as u64;
                sums[owners[number]].add(crc32fast::hash(run), run.len() as u64, end);
            }
            let all = bytes.len() as u64;
            let joined = sums.into_iter().fold(0, |joined, sum| joined ^ sum.finish(all));
            prop_assert_eq!(checksum(joined, all), crc32fast::hash(&bytes));
        }
    }
}
