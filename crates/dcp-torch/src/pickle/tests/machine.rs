use super::symbols::load;
use crate::peak::peak_of;
use crate::pickle::{Fault, Node};

fn shown(pickle: &[u8]) -> String {
    let (node, length) = load(pickle).expect("read");
    assert_eq!(length, pickle.len());
    format!("{node:?}")
}

fn fault(pickle: &[u8]) -> Fault {
    *load(pickle).expect_err("refused").fault
}

fn is_malformed(pickle: &[u8]) -> bool {
    matches!(fault(pickle), Fault::Malformed { .. })
}

fn is_cut(pickle: &[u8]) -> bool {
    matches!(fault(pickle), Fault::Cut { .. })
}

#[test]
fn values_are_what_python_says() {
    assert_eq!(shown(b"\x80\x04N."), "None");
    assert_eq!(shown(b"\x88\x89\x86."), "tuple[True, False]");
    assert_eq!(shown(b"(I01\nI00\nI-7\nL123456789012L\nt."), "tuple[True, False, -7, 123456789012]");
    assert_eq!(shown(b"(K\xffM\xff\xffJ\xff\xff\xff\xfft."), "tuple[255, 65535, -1]");
    assert_eq!(shown(b"(\x8a\x00\x8a\x01\xff\x8a\x02\xff\x00t."), "tuple[0, -1, 255]");
    assert_eq!(shown(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00."), "int(9 bytes)");
    assert_eq!(shown(b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."), i64::MIN.to_string());
    assert_eq!(shown(b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\x00."), i64::MAX.to_string());
    assert_eq!(shown(b"G\x3f\xf8\x00\x00\x00\x00\x00\x00."), "1.5");
    assert_eq!(
        shown(b"\x80\x05(C\x01a\x96\x01\0\0\0\0\0\0\0b\x8c\x02\xc3\xa9t."),
        r#"tuple[b"a", bytearray(b"b"), "é"]"#
    );
    assert_eq!(shown(b"\x8f(K\x01\x90(K\x02\x91\x86."), "tuple[set{1}, frozenset{2}]");
    assert_eq!(shown(b"(K\x01K\x02d(K\x03l\x86."), "tuple[{1: 2}, [3]]");
    assert_eq!(shown(b"](K\x010K\x02(K\x031e."), "[2]");
}

#[test]
fn what_is_fetched_is_the_same_object() {
    // x = []; y = (x, x) after x was filled, fetched twice.
    assert_eq!(shown(b"\x80\x04]\x94(K\x01K\x02eh\x00\x86."), "tuple[[1, 2], [1, 2]]");
    let (node, _) = load(b"\x80\x04]\x94h\x00K\x07a\x86.").expect("read");
    assert_eq!(format!("{node:?}"), "tuple[[7], [7]]");
}

#[test]
fn what_holds_itself_is_refused() {
    for pickle in [
        &b"]q\x00h\x00a."[..],
        b"]q\x00]q\x01h\x00ah\x00h\x01a.",
        b"}q\x00K\x01h\x00s.",
        b"]q\x00\x85h\x00K\x01a\x86.",
        b"cm\nC\n)\x81q\x00}q\x01K\x01h\x00sb.",
    ] {
        assert!(matches!(fault(pickle), Fault::Unsupported(_)), "{pickle:?}");
    }
}

#[test]
fn a_pickle_ends_at_its_stop() {
    assert_eq!(load(b"K\x01.rest").map(|(_, length)| length).ok(), Some(3));
    assert!(is_cut(b""));
    assert!(is_cut(b"K\x01"));
    assert!(is_malformed(b"."));
    assert!(is_malformed(b"NN."));
    assert!(is_malformed(b"N(."));
    assert!(is_malformed(b"\x80\x06N."));
    assert!(is_cut(b"\x95\x03\0\0\0\0\0\0\0N."));
    assert_eq!(shown(b"\x95\x02\0\0\0\0\0\0\0N."), "None");
}

#[test]
fn what_makes_no_sense_is_malformed() {
    for pickle in [
        &b"K\x01a."[..],
        b"(K\x01a.",
        b"](K\x01s.",
        b"}K\x01K\x01\x85a.",
        b"}]K\x01s.",
        b"}]\x85K\x01s.",
        b"}(K\x01u.",
        b"\x8f(]\x90.",
        b"(]\x91.",
        b"h\x00.",
        b"e.",
        b"t.",
        b"K\x01}b.",
        b"K\x01K\x02R.",
        b"\x85.",
        b"K\x01K\x02\x93.",
        b"\x8b\xff\xff\xff\xff.",
        b"\xff.",
        b"I1x\n.",
    ] {
        assert!(is_malformed(pickle), "{pickle:?}: {:?}", fault(pickle));
    }
    for pickle in [&b"\x8d\0\0\0\0\0\0\0\x40."[..], b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", b"cno newline"] {
        assert!(is_cut(pickle), "{pickle:?}: {:?}", fault(pickle));
    }
    assert!(matches!(fault(b"\x82\x01."), Fault::Forbidden { .. }));
    assert!(matches!(fault(b"Pid\n."), Fault::Unsupported(_)));
    assert!(matches!(fault(b"\x8c\x01\xff."), Fault::Unsupported(_)));
    assert!(matches!(fault(b"]q\x00h\x00]\x94\x86."), Fault::Unsupported(_)));
    assert!(matches!(fault(b"Nr\xff\xff\xff\xff."), Fault::Limit { .. }));
}

#[test]
fn nesting_is_limited_before_it_is_dangerous() {
    let nested = |depth: usize| [vec![b']'; depth], vec![b'a'; depth - 1], vec![b'.']].concat();
    assert!(load(&nested(100)).is_ok());
    for wrap in [nested(1 << 20), [vec![b')'], vec![b'\x85'; 1 << 20], vec![b'.']].concat()] {
        assert_eq!(fault(&wrap), Fault::Limit { what: "the depth of nesting", limit: 100 });
    }
}

#[test]
fn shared_things_count_as_often_as_they_are_shared() {
    // Each tuple holds the one before it twice.
    let laughs = |levels: usize| [b")".to_vec(), b"q\x00h\x00\x86".repeat(levels), b".".to_vec()].concat();
    assert!(load(&laughs(18)).is_ok());
    assert!(matches!(fault(&laughs(60)), Fault::Limit { what: "the expanded size", .. }));
    // A list may be in many places, though.
    let many = [&b"]q\x00(K\x01K\x02e("[..], &b"h\x00".repeat(1000), b"t\x86."].concat();
    assert!(load(&many).is_ok());
}

#[test]
fn memory_follows_the_input() {
    let memoized = [b"(".to_vec(), b"]\x94".repeat(1 << 16), b"t.".to_vec()].concat();
    let popped = [b"]\x940".repeat(1 << 16), b"N.".to_vec()].concat();
    let (read, peak) = peak_of(|| load(&memoized).is_ok());
    assert!(read && peak < memoized.len() * 100, "{peak}");
    let (read, peak) = peak_of(|| load(&popped).is_ok());
    assert!(read && peak < 1 << 12, "memoised and dropped, yet {peak} bytes were held");
}

#[test]
fn containers_that_no_pickler_would_write_are_limited() {
    for container in [&b"]"[..], b"}", b"\x8f"] {
        let many = container.repeat(1 << 22);
        let (fault, peak) = peak_of(|| fault(&[&many[..], b"."].concat()));
        assert!(matches!(fault, Fault::Limit { .. }), "{fault:?}");
        assert!(peak < 60 * many.len(), "{peak}");
    }
    let few = [b"(".to_vec(), b"]".repeat(1 << 16), b"t.".to_vec()].concat();
    assert!(load(&few).is_ok());
}

#[test]
fn a_node_is_small() {
    assert!(size_of::<Node<'_, super::symbols::Symbols>>() <= 48);
}
