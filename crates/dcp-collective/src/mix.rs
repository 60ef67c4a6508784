//! Hashing that all ranks agree on: the same on every machine, in every build, unlike the hashers of the standard
//! library, which promise that only within one release.

/// Folds `word` into `state` (the finaliser of SplitMix64: each input bit changes about half of the output bits).
pub(crate) fn mix(state: u64, word: u64) -> u64 {
    let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Folds a text into `state`, its length included, so that two texts in a row cannot trade letters.
pub(crate) fn mix_text(state: u64, text: &str) -> u64 {
    let start = mix(state, text.len() as u64);
    text.bytes().fold(start, |state, byte| mix(state, u64::from(byte)))
}
