//! One state is the same in every format and on every mesh, and differs where one byte of it does.

use std::sync::Arc;

use dcp::{Comparer, Comparison, MemoryStore, Mismatch, NativeFormat, Outcome, TorchSaveFormat};
use dcp_tests::{Case, Coding, Leaf, Place, cases, map_tree, tensors_of};
use proptest::prelude::*;

use crate::one_file::{file_in, for_one_file};

/// Saves it in each format.
fn saved(case: &Case) -> Vec<(&'static str, Place)> {
    let memory = || Arc::new(MemoryStore::new()) as Place;
    let places = vec![("native", memory()), ("dcp", memory()), ("zstd", memory()), ("pt", file_in(MemoryStore::new()))];
    for (form, place) in &places {
        let saved = case.save_with(place, |saver| match *form {
            "native" => saver.format(NativeFormat::new()),
            "dcp" => saver.format(dcp::DcpFormat::new()),
            "zstd" => saver.format(Coding::Zstd.dcp()),
            _ => saver.format(TorchSaveFormat::new()),
        });
        saved.unwrap_or_else(|error| panic!("{form}: {error}"));
    }
    places
}

/// The same case without values that a format cannot hold, or that fall apart in one.
fn for_all(case: Case) -> Case {
    let mut case = for_one_file(case);
    case.tree = map_tree(&case.tree, &mut |leaf| {
        Some(match leaf {
            Leaf::Value(value) if value.has_opaque() => Leaf::Value("what one file cannot hold".into()),
            leaf => leaf.clone(),
        })
    });
    case
}

fn compare(left: &Place, right: &Place) -> Comparison {
    Comparer::new().compare(Arc::clone(left), Arc::clone(right)).expect("both open")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whoever_saves_it_how_ever_it_is_the_same(case in cases(8, true).prop_map(for_all)) {
        let (lefts, rights) = (saved(&case), saved(&case.clone().swapped()));
        for (left_form, left) in &lefts {
            for (right_form, right) in &rights {
                let comparison = compare(left, right);
                prop_assert_eq!(comparison.outcome(), Outcome::Same, "{} {}: {:?}", left_form, right_form, comparison);
                prop_assert_eq!(comparison.tensors, tensors_of(&case.tree).len() as u64);
            }
        }
    }

    #[test]
    fn one_byte_makes_the_difference(case in cases(6, true).prop_map(for_all), at in any::<prop::sample::Index>()) {
        let lengths: Vec<usize> = tensors_of(&case.tree).iter().map(|tensor| tensor.whole.bytes.len()).collect();
        let total: usize = lengths.iter().sum();
        prop_assume!(total > 0);
        let byte = at.index(total);
        let right = changed(case.clone().swapped(), byte);
        let (lefts, rights) = (saved(&case), saved(&right));
        for ((form, left), (_, right)) in lefts.iter().zip(rights.iter().rev()) {
            let comparison = compare(left, right);
            prop_assert_eq!(&comparison.unreadable, &vec![]);
            // Unless the byte makes a NaN another NaN.
            let found = comparison.differences.iter().map(|one| match &one.mismatch {
                Mismatch::Elements(elements) => elements.differing,
                other => panic!("{form}: {other:?}"),
            });
            prop_assert!(found.clone().count() <= 1 && found.sum::<u64>() <= 1, "{}: {:?}", form, comparison);
            let strict = Comparer::new().equal_nan(false).compare(Arc::clone(left), Arc::clone(right)).expect("both open");
            prop_assert_eq!(strict.outcome(), Outcome::Different, "{}", form);
        }
    }
}

/// The same with a bit of a byte flipped, of all tensors together.
fn changed(mut case: Case, mut byte: usize) -> Case {
    case.tree = map_tree(&case.tree, &mut |leaf| {
        let mut leaf = leaf.clone();
        if let Leaf::Tensor(tensor) = &mut leaf {
            let length = tensor.whole.bytes.len();
            if byte < length {
                Arc::make_mut(tensor).whole.bytes[byte] ^= 1;
            }
            byte = byte.wrapping_sub(length);
        }
        Some(leaf)
    });
    case
}
