//! Any bytes as an encoded value. What decodes must encode and decode again to the same.

#![no_main]

use dcp::Value;
use dcp_fuzz::expect_modest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    expect_modest(input, || {
        let Ok(value) = Value::decode(input) else { return };
        let encoded = value.encode().expect("what was decoded encodes");
        let again = Value::decode(&encoded).expect("what was encoded decodes");
        // Not by `==`: a NaN is not equal to itself.
        assert_eq!(again.encode().expect("encodes again"), encoded);
    });
});
