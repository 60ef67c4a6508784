//! Any bytes as the index of a checkpoint of PyTorch, and any bytes as its data files.

#![no_main]

use dcp_fuzz::{expect_modest, parts, store, walk};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((index, data)) = parts(input) else { return };
    let mut objects = vec![(".metadata", index)];
    objects.extend(["__0_0.distcp", "__1_0.distcp", "meta.pt"].map(|name| (name, data)));
    let store = store(&objects);
    expect_modest(input, || walk(store));
});
