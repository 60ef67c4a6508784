//! Any bytes as an archive of `torch.save`.

#![no_main]

use dcp_fuzz::expect_modest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    expect_modest(input, || dcp_torch::fuzzing::archive(input));
});
