//! Any bytes as the body of an index whose checksum is right, and any bytes as its data files.

#![no_main]

use dcp_fuzz::{expect_modest, index, parts, store, walk};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((body, data)) = parts(input) else { return };
    let index = index(0, body);
    let names = ["__0_0.distcp", "__0_1.distcp", "__1_0.distcp", "__2_0.distcp", "__3_0.distcp"];
    let mut objects = vec![("index.dcp", index.as_slice())];
    objects.extend(names.map(|name| (name, data)));
    let store = store(&objects);
    expect_modest(input, || walk(store));
});
