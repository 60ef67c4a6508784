//! Records: objects of a few leaves, read in one go.
//!
//! CPython's pickler writes every object whose state is a dict in the same way, and large indexes consist of little else. What is written
//! in another way is read operation by operation, from the start of the record: trying has changed nothing. Of what a record would leave in
//! the memo, leaves are left there; the rest does not exist here, and where it is ever fetched, there is no record.

use super::machine::{Machine, integer};
use super::memo::Memo;
use super::op::{OPENING, Ops, fetched};
use super::{Node, Vocabulary};

/// SETITEMS BUILD.
const CLOSING: &[u8] = b"ub";
const MEMOIZE: u8 = b'\x94';
/// TUPLE1 MEMOIZE REDUCE MEMOIZE, after the one argument of a call.
const CALL: &[u8] = b"\x85\x94R\x94";

/// So few that the limits of depth and weight are out of reach, and that trying in vain costs little.
const MOST_FIELDS: usize = 8;
const MOST_ITEMS: usize = 8;

/// The names and values of a record. As many as there is room for.
pub(super) struct Fields<'a, V: Vocabulary<'a>> {
    names: Vec<&'a str>,
    values: Vec<Node<'a, V>>,
}

impl<'a, V: Vocabulary<'a>> Fields<'a, V> {
    pub(super) fn new() -> Self {
        Self { names: Vec::with_capacity(MOST_FIELDS), values: Vec::with_capacity(MOST_FIELDS) }
    }
}

impl<'a, V: Vocabulary<'a>> Machine<'_, 'a, V> {
    /// Reads the record that comes next, if there is one and its class is not new.
    #[inline(always)]
    pub(super) fn record(&mut self, ops: &mut Ops<'a>) -> bool {
        let Some((class, rest)) = fetched(ops.rest()) else { return false };
        match rest.strip_prefix(OPENING) {
            Some(rest) if self.records => self.read_record(class, rest).map(|rest| ops.go_on(rest)).is_some(),
            _ => false,
        }
    }

    /// Returns what comes after the record.
    fn read_record(&mut self, class: u64, rest: &'a [u8]) -> Option<&'a [u8]> {
        let Node::Atom(class) = self.memo.peek(class)? else { return None };
        let class = class.clone();
        let numbered = self.memo.numbered();
        let Fields { names, values } = &mut self.fields;
        names.clear();
        values.clear();
        let mut reader = Reader { rest, memo: &mut self.memo, vocabulary: &mut *self.vocabulary, names, values };
        if reader.fields().is_some() {
            let rest = reader.rest;
            if let Some(atom) = self.vocabulary.record(&class, names, values) {
                self.stack.push(Node::Atom(atom));
                return Some(rest);
            }
        }
        self.memo.go_back(numbered);
        None
    }
}

struct Reader<'r, 'a, V: Vocabulary<'a>> {
    rest: &'a [u8],
    memo: &'r mut Memo<'a, V>,
    vocabulary: &'r mut V,
    names: &'r mut Vec<&'a str>,
    values: &'r mut Vec<Node<'a, V>>,
}

/// `None` wherever the record is not as usual.
impl<'a, V: Vocabulary<'a>> Reader<'_, 'a, V> {
    #[inline(always)]
    fn fields(&mut self) -> Option<()> {
        self.memo.pass()?;
        self.memo.pass()?;
        while !self.passes(CLOSING) {
            let name = self.name()?;
            if self.names.len() == self.names.capacity() {
                return None;
            }
            self.names.push(name);
            self.value()?;
        }
        Some(())
    }

    #[inline(always)]
    fn name(&mut self) -> Option<&'a str> {
        match self.slot() {
            Some(slot) => match self.memo.peek(slot)? {
                Node::Str(name) => Some(name),
                _ => None,
            },
            None => self.text(),
        }
    }

    #[inline(always)]
    fn value(&mut self) -> Option<()> {
        if let Some(int) = self.int() {
            self.push(Node::Int(int))
        } else if let Some(slot) = self.slot() {
            match self.memo.peek(slot)? {
                Node::Str(text) => self.push(Node::Str(text)),
                Node::Atom(atom) => {
                    let atom = atom.clone();
                    self.call(atom)
                }
                _ => None,
            }
        } else if self.passes(b"N") {
            self.push(Node::None)
        } else {
            let text = self.text()?;
            self.push(Node::Str(text))
        }
    }

    /// There is room for so many values, and no more is made: a value goes straight to its place.
    #[inline(always)]
    fn push(&mut self, value: Node<'a, V>) -> Option<()> {
        if self.values.len() == self.values.capacity() {
            return None;
        }
        self.values.push(value);
        Some(())
    }

    #[inline(always)]
    fn slot(&mut self) -> Option<u64> {
        let (slot, rest) = fetched(self.rest)?;
        self.rest = rest;
        Some(slot)
    }

    #[inline(always)]
    fn int(&mut self) -> Option<i64> {
        let (int, rest) = match self.rest {
            [b'K', a, rest @ ..] => (i64::from(*a), rest),
            [b'M', a, b, rest @ ..] => (u16::from_le_bytes([*a, *b]).into(), rest),
            [b'J', a, b, c, d, rest @ ..] => (i32::from_le_bytes([*a, *b, *c, *d]).into(), rest),
            [b'\x8a', length, rest @ ..] => {
                let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
                (integer(digits)?, rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some(int)
    }

    #[inline(always)]
    fn text(&mut self) -> Option<&'a str> {
        let [b'\x8c', length, rest @ ..] = self.rest else { return None };
        let (text, rest) = rest.split_at_checked(usize::from(*length))?;
        let (&MEMOIZE, rest) = rest.split_first()? else { return None };
        let text = std::str::from_utf8(text).ok()?;
        self.memo.memoize_with(|| Node::Str(text));
        self.rest = rest;
        Some(text)
    }

    /// What comes of calling an atom with the tuple of ints that follows; without one, it is a value itself.
    #[inline(always)]
    fn call(&mut self, callable: V::Atom) -> Option<()> {
        let mut items = [0; MOST_ITEMS];
        let mut count = 0;
        let marked = self.passes(b"(");
        while let Some(int) = self.int() {
            *items.get_mut(count)? = int;
            count += 1;
        }
        match (marked, count) {
            (true, _) if self.passes(b"t\x94") => self.memo.pass()?,
            (false, 0) if self.passes(b")") => {}
            (false, 0) => return self.push(Node::Atom(callable)),
            (false, 1) if self.passes(b"\x85\x94") => self.memo.pass()?,
            (false, 2) if self.passes(b"\x86\x94") => self.memo.pass()?,
            (false, 3) if self.passes(b"\x87\x94") => self.memo.pass()?,
            _ => return None,
        }
        self.passes(CALL).then_some(())?;
        self.memo.pass()?;
        let made = self.vocabulary.call_ints(&callable, items.get(..count)?)?;
        self.memo.memoize_with(|| Node::Atom(made.clone()));
        self.push(Node::Atom(made))
    }

    #[inline(always)]
    fn passes(&mut self, operations: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(operations);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}
