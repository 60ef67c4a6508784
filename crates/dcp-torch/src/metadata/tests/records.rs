//! Records come to the same as single operations.

use proptest::prelude::*;

use super::{Strictness, cases, decode_files, fixtures, index_files, without_records};

/// What comes of files, with all that is in it or wrong with it.
fn outcome(files: &[(dcp_storage::StorePath, Vec<u8>)]) -> [String; 2] {
    [Strictness::Strict, Strictness::Salvage].map(|strictness| format!("{:?}", decode_files(files, strictness)))
}

#[test]
fn records_say_what_their_operations_say() {
    for case in [cases("torch"), cases("torch-hostile")].concat() {
        let files = index_files(&case);
        assert_eq!(outcome(&files), without_records(|| outcome(&files)), "{}", case.display());
    }
}

/// Bytes that mean something in a record.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(&b")\x81\x94}(hjKMJ\x8a\x8cNt\x85\x86\x87Rusb0q\x95]"[..])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn damaged_records_say_what_their_operations_say(
        case in prop::sample::select(&["07_2d_w4", "11_hand_w4", "22_zstd", "13_nocoll_w2", "04_fsdp1_w2"][..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, byte()), 1..4),
    ) {
        let mut files = index_files(&fixtures("torch").join(case));
        let file = &mut files[0].1;
        // A frame covers it all: without, bytes may be put in and taken out.
        prop_assert_eq!(file.drain(2..11).next(), Some(0x95));
        for (at, how, byte) in damage {
            let at = at.index(file.len());
            match how {
                0 => file[at] = byte,
                1 => file.insert(at, byte),
                _ => drop(file.remove(at)),
            }
        }
        prop_assert_eq!(outcome(&files), without_records(|| outcome(&files)));
    }
}
