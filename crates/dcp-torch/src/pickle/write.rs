//! Writes pickles as CPython's pickler does.

use std::collections::HashMap;

/// A pickle that is being written.
///
/// What is written last lies on top of the reader's stack; methods without a content take their operands from there. Of equal text, and of
/// equal globals, there is one copy.
pub(crate) struct Pickler {
    out: Vec<u8>,
    protocol: Protocol,
    memoised: u32,
    texts: HashMap<Box<str>, Slot>,
    globals: Globals,
    /// Those with names of another protocol.
    others: Globals,
}

/// By module and name.
type Globals = HashMap<Box<str>, HashMap<Box<str>, Slot>>;

/// Which opcodes are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// That of `torch.save`. Everything that can be fetched again is numbered, as pickled by reference.
    Two,
    /// That of `.metadata`. Only what will be fetched again is numbered.
    Four,
}

impl Protocol {
    fn version(self) -> u8 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// Something that can be fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// What does not fit into a pickle of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes are too many for one piece of text or bytes in a pickle")]
pub(crate) struct TooLong(pub(crate) usize);

const PROTO: u8 = 0x80;
/// Longer text is written as often as it comes.
const SHARED: usize = 1 << 10;

impl Pickler {
    pub(crate) fn new(protocol: Protocol) -> Self {
        let out = vec![PROTO, protocol.version()];
        let (texts, globals, others) = Default::default();
        Self { out, protocol, memoised: 0, texts, globals, others }
    }

    /// The pickle, with what lies on top as its content.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'.');
        self.out
    }

    pub(crate) fn none(&mut self) {
        self.out.push(b'N');
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.out.push(if value { 0x88 } else { 0x89 });
    }

    pub(crate) fn int(&mut self, value: i64) {
        match (u8::try_from(value), u16::try_from(value), i32::try_from(value)) {
            (Ok(value), ..) => self.out.extend([b'K', value]),
            (_, Ok(value), _) => self.op(b'M', &value.to_le_bytes()),
            (.., Ok(value)) => self.op(b'J', &value.to_le_bytes()),
            _ => self.long(&value.to_le_bytes()),
        }
    }

    /// An integer of any size: two's complement, little-endian.
    pub(crate) fn long(&mut self, digits: &[u8]) {
        // No more bytes than it needs: the last one must say something.
        let says_nothing = |pair: &[u8]| {
            matches!(pair, [before, 0] if *before < 0x80) || matches!(pair, [before, 0xff] if *before >= 0x80)
        };
        let mut length = digits.len();
        while length > 1 && says_nothing(&digits[length - 2..length]) {
            length -= 1;
        }
        match u8::try_from(length) {
            Ok(short) => self.op(0x8a, &[short]),
            Err(_) => self.op(0x8b, &(length as u32).to_le_bytes()),
        }
        self.out.extend_from_slice(&digits[..length]);
    }

    pub(crate) fn float(&mut self, value: f64) {
        self.op(b'G', &value.to_be_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), TooLong> {
        if let Some(slot) = self.texts.get(text) {
            self.fetch(*slot);
            return Ok(());
        }
        let slot = self.text_again(text)?;
        if text.len() <= SHARED {
            self.texts.insert(text.into(), slot);
        }
        Ok(())
    }

    /// Text, even if it is there already. Returns where it can be fetched.
    pub(crate) fn text_again(&mut self, text: &str) -> Result<Slot, TooLong> {
        match (u8::try_from(text.len()), u32::try_from(text.len())) {
            (Ok(length), _) if self.protocol == Protocol::Four => self.op(0x8c, &[length]),
            (_, Ok(length)) => self.op(b'X', &length.to_le_bytes()),
            _ => return Err(TooLong(text.len())),
        }
        self.out.extend_from_slice(text.as_bytes());
        Ok(self.memoise())
    }

    /// Bytes, as newer protocols have them; any reader knows them.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        match (u8::try_from(bytes.len()), u32::try_from(bytes.len())) {
            (Ok(length), _) => self.op(b'C', &[length]),
            (_, Ok(length)) => self.op(b'B', &length.to_le_bytes()),
            _ => self.op(0x8e, &(bytes.len() as u64).to_le_bytes()),
        }
        self.out.extend_from_slice(bytes);
        self.made();
    }

    /// A bytearray, as newer protocols have them.
    pub(crate) fn byte_array(&mut self, bytes: &[u8]) {
        self.op(0x96, &(bytes.len() as u64).to_le_bytes());
        self.out.extend_from_slice(bytes);
        self.made();
    }

    /// A class or function, by its name.
    pub(crate) fn global(&mut self, module: &'static str, name: &'static str) {
        // Names in programs are never too long.
        let named = self.named(module, name, self.protocol);
        debug_assert_eq!(named, Ok(()));
    }

    /// The same by a name that comes from a pickle of this protocol. Python reads names by the protocol: up to 2 they are those of
    /// Python 2, and only from 4 on one may lead from one object to another, as `Outer.Inner`.
    pub(crate) fn named(&mut self, module: &str, name: &str, protocol: Protocol) -> Result<(), TooLong> {
        let is_other = protocol != self.protocol;
        let globals = if is_other { &self.others } else { &self.globals };
        if let Some(&slot) = globals.get(module).and_then(|names| names.get(name)) {
            self.fetch(slot);
            return Ok(());
        }
        if is_other {
            self.op(PROTO, &[protocol.version()]);
        }
        // A name in lines must have none itself.
        let is_line = |text: &str| !text.contains(['\n', '\r']);
        match protocol {
            Protocol::Two if is_line(module) && is_line(name) => {
                self.out.extend([b"c", module.as_bytes(), b"\n", name.as_bytes(), b"\n"].concat());
            }
            Protocol::Two | Protocol::Four => {
                self.text(module)?;
                self.text(name)?;
                self.out.push(0x93);
            }
        }
        if is_other {
            self.op(PROTO, &[self.protocol.version()]);
        }
        let slot = self.memoise();
        let globals = if is_other { &mut self.others } else { &mut self.globals };
        globals.entry(module.into()).or_default().insert(name.into(), slot);
        Ok(())
    }

    /// Where a tuple of more than 3 items, the items of a list, or the entries of a dict begin.
    pub(crate) fn mark(&mut self) {
        self.out.push(b'(');
    }

    /// A tuple of the last `count` items; of those since the mark if they are more than 3.
    pub(crate) fn tuple(&mut self, count: usize) {
        self.out.push(match count {
            0 => return self.out.push(b')'),
            1 => 0x85,
            2 => 0x86,
            3 => 0x87,
            _ => b't',
        });
        self.made();
    }

    pub(crate) fn empty_list(&mut self) {
        self.out.push(b']');
        self.made();
    }

    pub(crate) fn empty_dict(&mut self) {
        self.out.push(b'}');
        self.made();
    }

    pub(crate) fn empty_set(&mut self) {
        self.out.push(0x8f);
        self.made();
    }

    /// Puts the items since the mark into a set.
    pub(crate) fn add_items(&mut self) {
        self.out.push(0x90);
    }

    /// A frozenset of the items since the mark.
    pub(crate) fn frozen_set(&mut self) {
        self.out.push(0x91);
        self.made();
    }

    /// Appends one item to a list.
    pub(crate) fn append(&mut self) {
        self.out.push(b'a');
    }

    /// Appends the items since the mark to a list.
    pub(crate) fn append_all(&mut self) {
        self.out.push(b'e');
    }

    /// Sets one entry of a dict.
    pub(crate) fn set_item(&mut self) {
        self.out.push(b's');
    }

    /// Sets the entries since the mark in a dict.
    pub(crate) fn set_items(&mut self) {
        self.out.push(b'u');
    }

    /// Calls what lies below the tuple of arguments on top.
    pub(crate) fn reduce(&mut self) {
        self.out.push(b'R');
        self.made();
    }

    /// An object of the class on top, which is made without arguments.
    pub(crate) fn new_object(&mut self) {
        self.out.extend([b')', 0x81]);
        self.made();
    }

    /// An object of what lies below the tuple of arguments on top.
    pub(crate) fn new_object_of(&mut self) {
        self.out.push(0x81);
        self.made();
    }

    /// The same, with a dict of more arguments on top of that.
    pub(crate) fn new_object_with(&mut self) {
        self.out.push(0x92);
        self.made();
    }

    /// Gives an object the state on top.
    pub(crate) fn build(&mut self) {
        self.out.push(b'b');
    }

    /// What the id on top stands for.
    pub(crate) fn persistent(&mut self) {
        self.out.push(b'Q');
    }

    /// Throws away what lies on top.
    pub(crate) fn pop(&mut self) {
        self.out.push(b'0');
    }

    /// What has been numbered last.
    pub(crate) fn last(&self) -> Option<Slot> {
        self.memoised.checked_sub(1).map(Slot)
    }

    /// Numbers what lies on top, so that it can be fetched.
    pub(crate) fn memoise(&mut self) -> Slot {
        let number = self.memoised;
        match (self.protocol, u8::try_from(number)) {
            (Protocol::Four, _) => self.out.push(0x94),
            (Protocol::Two, Ok(number)) => self.op(b'q', &[number]),
            (Protocol::Two, Err(_)) => self.op(b'r', &number.to_le_bytes()),
        }
        self.memoised += 1;
        Slot(number)
    }

    /// The same thing once more.
    pub(crate) fn fetch(&mut self, Slot(number): Slot) {
        match u8::try_from(number) {
            Ok(number) => self.op(b'h', &[number]),
            Err(_) => self.op(b'j', &number.to_le_bytes()),
        }
    }

    /// Something was made that may be referred to.
    fn made(&mut self) {
        if self.protocol == Protocol::Two {
            self.memoise();
        }
    }

    fn op(&mut self, code: u8, argument: &[u8]) {
        self.out.push(code);
        self.out.extend_from_slice(argument);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Pickler)) -> Vec<u8> {
        let mut pickler = Pickler::new(Protocol::Two);
        write(&mut pickler);
        pickler.finish().split_off(2)
    }

    #[test]
    fn integers_are_as_short_as_cpythons() {
        for (value, expected) in [
            (0, &b"K\0."[..]),
            (255, b"K\xff."),
            (256, b"M\0\x01."),
            (-1, b"J\xff\xff\xff\xff."),
            (1 << 31, b"\x8a\x05\0\0\0\x80\0."),
            (-(1 << 31) - 1, b"\x8a\x05\xff\xff\xff\x7f\xff."),
            (i64::MIN, b"\x8a\x08\0\0\0\0\0\0\0\x80."),
        ] {
            assert_eq!(written(|pickler| pickler.int(value)), expected, "{value}");
        }
    }

    #[test]
    fn what_is_equal_is_there_once() {
        let twice = written(|pickler| {
            pickler.text("ab").expect("short");
            pickler.text("ab").expect("short");
            pickler.global("m", "n");
            pickler.global("m", "n");
        });
        assert_eq!(twice, b"X\x02\0\0\0abq\0h\0cm\nn\nq\x01h\x01.");
    }
}
