//! Any bytes as a pickle of PyTorch: an index, or an item's.

#![no_main]

use dcp_fuzz::expect_modest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    expect_modest(input, || dcp_torch::fuzzing::pickle(input));
});
