//! Any bytes as the index of a native checkpoint.

#![no_main]

use dcp_fuzz::{expect_modest, store, walk};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let store = store(&[("index.dcp", input)]);
    expect_modest(input, || walk(store));
});
