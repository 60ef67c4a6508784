//! Files that were cut, extended, flipped or lost.

use dcp::StorageError;

use crate::support::{DATA, INDEX, corrupt_at, get, load, refused, small, with};

#[test]
fn the_small_checkpoint_is_sound() {
    load(&small()).expect("loads");
}

#[test]
fn a_file_of_any_other_length_is_corrupt() {
    let sound = small();
    for name in [INDEX, DATA] {
        for length in 0..get(&sound, name).len() {
            let error = refused(&with(&sound, name, |content| content.truncate(length)));
            assert!(corrupt_at(&error, name), "{name} of {length} bytes: {error}");
        }
        for more in [1, 4, 1 << 20] {
            let error = refused(&with(&sound, name, |content| content.resize(content.len() + more, 0)));
            assert!(corrupt_at(&error, name), "{name} with {more} more bytes: {error}");
        }
    }
}

#[test]
fn every_flipped_bit_of_an_index_is_found() {
    let sound = small();
    for bit in 0..8 * get(&sound, INDEX).len() {
        let error = refused(&with(&sound, INDEX, |content| content[bit / 8] ^= 1 << (bit % 8)));
        match bit / 8 {
            // The version and the flags. A newer version may well have another checksum.
            8..16 if matches!(error, StorageError::TooNew { supported: 4, .. }) => {}
            _ => assert!(corrupt_at(&error, INDEX), "bit {bit}: {error}"),
        }
    }
}

#[test]
fn every_flipped_bit_of_data_is_found() {
    let sound = small();
    // The larger tensor, padding to 64 bytes, the smaller one, the value (an integer: a map of one entry), a checksum for each.
    let content = get(&sound, DATA);
    let value = content.len() - 3 * 4 - (64 + 5);
    let damaged = |byte: usize| match byte {
        0..48 => Some("matrix"),
        64..69 => Some("bytes"),
        at if (69..69 + value).contains(&at) => Some("step"),
        _ => None,
    };
    for bit in 0..8 * content.len() {
        let changed = with(&sound, DATA, |content| content[bit / 8] ^= 1 << (bit % 8));
        match damaged(bit / 8) {
            Some(expected) => {
                let error = refused(&changed);
                let found = matches!(&error, StorageError::Damaged { fqn, .. } if fqn.as_str() == expected);
                assert!(found, "bit {bit}: {error}");
            }
            // Nobody reads padding.
            None if (48..64).contains(&(bit / 8)) => load(&changed).expect("loads"),
            None => assert!(corrupt_at(&refused(&changed), DATA), "bit {bit}"),
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let mut objects = small();
    objects.retain(|(name, _)| name != DATA);
    let error = refused(&objects);
    assert!(matches!(&error, StorageError::NotFound { path, .. } if path.as_str() == DATA), "{error}");
    let error = refused(&Vec::new());
    assert!(matches!(error, StorageError::NoCheckpoint { .. }), "{error}");
}
