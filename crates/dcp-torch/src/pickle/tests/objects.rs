//! The second use of the machine: objects that `torch.save` has written.

use super::symbols::{Object, Symbols, load};
use crate::pickle::{Node, unpickle};

/// The pickles in a file of `torch.save` archives: each follows the padded header of its archive's `data.pkl`.
fn pickles(file: &[u8]) -> Vec<&[u8]> {
    let name = b"/data.pkl";
    let mut found = Vec::new();
    for at in 0..file.len().saturating_sub(64) {
        let is_local = file[..at].ends_with(b"archive")
            && file[..at - 7].get(at.wrapping_sub(37)..).is_some_and(|h| h.starts_with(b"PK\x03\x04"));
        if is_local && file[at..].starts_with(name) {
            let body = &file[at + name.len()..];
            let start = body.windows(2).position(|pair| pair == b"\x80\x02").expect("a pickle");
            found.push(&body[start..]);
        }
    }
    found
}

#[test]
fn every_item_that_pytorch_has_saved_is_read_to_its_end() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/torch");
    let (mut read, mut tensors) = (0, 0);
    for case in ["01_nested", "01_nested@2.0.1", "02_dtypes", "05_fsdp2_w2", "20_titan_w2", "19_flatopt_w2"] {
        let file = std::fs::read(format!("{root}/{case}/__0_0.distcp")).expect("fixture");
        for pickle in pickles(&file) {
            let mut symbols = Symbols::default();
            let (node, length) = unpickle(pickle, &mut symbols).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(pickle[length - 1], b'.');
            read += 1;
            if let Node::Object(object) = node {
                let is_whole = |key: &str, numel: i64| key.parse::<u64>().is_ok() && numel >= 0;
                tensors +=
                    usize::from(matches!(&*object.borrow(), Object::Tensor { key, numel } if is_whole(key, *numel)));
            }
        }
    }
    assert!(read > 50 && tensors > 20, "{read} read, {tensors} tensors");
}

#[test]
fn an_unknown_class_is_kept_with_its_state_and_named() {
    // argparse.Namespace(a=(1, 2)), protocol 2.
    let pickle = b"\x80\x02cargparse\nNamespace\nq\x00)\x81q\x01}q\x02X\x01\x00\x00\x00aq\x03K\x01K\x02\x86q\x04sb.";
    let mut symbols = Symbols::default();
    let (node, length) = unpickle(pickle, &mut symbols).expect("read");
    assert_eq!(length, pickle.len());
    assert_eq!(symbols.unknown.into_iter().collect::<Vec<_>>(), ["argparse.Namespace"]);
    let Node::Object(object) = node else { panic!("an object") };
    let Object::Symbolic(symbolic) = &*object.borrow() else { panic!("a symbolic object") };
    assert_eq!(format!("{:?}", symbolic.state.as_ref().expect("a state")), r#"{"a": tuple[1, 2]}"#);
    assert!(symbolic.args.is_empty() && symbolic.items.is_empty() && symbolic.pairs.is_empty());
    assert_eq!(format!("{:?}", symbolic.callable), r#"Global("argparse", "Namespace")"#);
}

#[test]
fn a_dict_made_by_a_call_is_filled_where_all_see_it() {
    // o = OrderedDict(); o["a"] = 1; (o, o)
    let pickle = b"\x80\x02ccollections\nOrderedDict\n)Rq\x01U\x01aK\x01sh\x01\x86.";
    let (node, _) = load(pickle).expect("read");
    assert_eq!(format!("{node:?}"), r#"tuple[{"a": 1}, {"a": 1}]"#);
    let (node, _) = load(b"\x80\x02c__builtin__\nset\n](K\x01K\x02e\x85R.").expect("read");
    assert_eq!(format!("{node:?}"), "set{1, 2}");
}
