use proptest::prelude::*;

use super::symbols::load;
use crate::peak::peak_of;

/// Bytes that are mostly operations, so that something happens.
fn program() -> impl Strategy<Value = Vec<u8>> {
    let op = prop::sample::select(
        [&b"NNKKK(((()]]}}}\x8f\x94\x94h\x00h\x01h\x02q\x00r01tltdeaasu\x85\x86\x87\x90\x91\x81\x92RRboQQcig\x93\x8c\x01\x88"[..], b"\x8a\x8b."]
            .concat(),
    );
    prop::collection::vec(prop_oneof![9 => op, 1 => any::<u8>()], 0..200)
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = load(&bytes);
    }

    #[test]
    fn any_program_is_read_or_refused_within_its_memory(bytes in program()) {
        let (result, peak) = peak_of(|| load(&bytes).map(|(_, length)| length));
        prop_assert!(result.is_err() || result.is_ok_and(|length| length <= bytes.len()));
        prop_assert!(peak < 2000 + 400 * bytes.len(), "{} bytes for {}", peak, bytes.len());
    }
}
