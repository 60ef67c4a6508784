use std::sync::LazyLock;

use dcp_storage::StorePath;
use proptest::prelude::*;

use super::{Strictness, decode_files, fixtures, index_files};

type Files = Vec<(StorePath, Vec<u8>)>;

static SOUND: LazyLock<Vec<Files>> = LazyLock::new(|| {
    let cases = ["07_2d_w4", "22_zstd", "13_nocoll_w2", "18_sharded_w2@2.0.1", "01_nested@2.9.1-py313"];
    cases.iter().map(|case| index_files(&fixtures("torch").join(case))).collect()
});

proptest! {
    #[test]
    fn a_damaged_index_is_read_or_refused(
        case in 0..5usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut files = SOUND[case].clone();
        let file = &mut files[0].1;
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let strict = decode_files(&files, Strictness::Strict);
        if let Ok((_, problems)) = decode_files(&files, Strictness::Salvage) {
            prop_assert_eq!(strict.is_ok(), problems.is_empty());
        }
    }
}
