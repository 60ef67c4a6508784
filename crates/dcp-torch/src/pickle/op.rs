//! The operations of a pickle, as they stand in the bytes.

use super::{Fault, PickleError};

/// One operation with its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op<'a> {
    /// Says something of the stream only: a protocol version, a frame.
    Nothing,
    Stop,
    Mark,
    Pop,
    PopMark,
    Dup,
    None,
    Bool(bool),
    Int(i64),
    /// Two's complement, little-endian.
    Long(&'a [u8]),
    Float(f64),
    /// Not yet checked to be UTF-8: the first pass has no need.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    ByteArray(&'a [u8]),
    /// A tuple of the topmost nodes.
    TupleOf(u8),
    Tuple,
    List,
    EmptyList,
    Append,
    Appends,
    Dict,
    EmptyDict,
    SetItem,
    SetItems,
    EmptySet,
    AddItems,
    FrozenSet,
    /// Module and name, two lines.
    Global(&'a [u8]),
    StackGlobal,
    Reduce,
    NewObj,
    NewObjEx,
    Obj,
    /// Module and name, two lines.
    Inst(&'a [u8]),
    Build,
    PersistentId,
    Put(u64),
    Memoize,
    Get(u64),
}

/// What operations that were run over do with the memo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skipped {
    pub(super) get: Option<u64>,
    pub(super) memoizes: bool,
}

impl Skipped {
    /// Runs over operations with a MEMOIZE among them, if they come next.
    #[inline(always)]
    fn memoizing<'a>(&mut self, rest: &'a [u8], operations: &[u8]) -> &'a [u8] {
        let after = rest.strip_prefix(operations);
        self.memoizes |= after.is_some();
        after.unwrap_or(rest)
    }
}

/// EMPTY_TUPLE NEWOBJ MEMOIZE EMPTY_DICT MEMOIZE MARK: the beginning of a record, after a class that is fetched.
pub(super) const OPENING: &[u8] = b")\x81\x94}\x94(";

/// The slot that is fetched here, and what comes after that.
#[inline(always)]
pub(super) fn fetched(rest: &[u8]) -> Option<(u64, &[u8])> {
    match rest {
        [b'h', slot, rest @ ..] => Some((u64::from(*slot), rest)),
        [b'j', a, b, c, d, rest @ ..] => Some((u32::from_le_bytes([*a, *b, *c, *d]).into(), rest)),
        _ => None,
    }
}

/// Reads one operation after the other.
#[derive(Clone, Debug)]
pub(super) struct Ops<'a> {
    rest: &'a [u8],
    /// Of the whole.
    length: usize,
}

/// The newest protocol there is.
const NEWEST: u8 = 5;

impl<'a> Ops<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self::at(bytes, 0)
    }

    /// Starts at a position that is not beyond the end.
    pub(super) fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { rest: &bytes[position..], length: bytes.len() }
    }

    /// Where the next operation starts.
    #[inline(always)]
    pub(super) fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    /// What was not read yet.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Runs over an operation that often comes, and what often comes after it; `None` at others, and at slots that are not below a limit.
    /// Together, as each step has to wait for the one before it.
    #[inline(always)]
    pub(super) fn skip(&mut self, limit: u64) -> Option<Skipped> {
        let (code, rest) = self.rest.split_first()?;
        let mut skipped = Skipped { get: None, memoizes: false };
        self.rest = match code {
            b'h' | b'j' => {
                let (slot, rest) = fetched(self.rest).filter(|(slot, _)| *slot < limit)?;
                skipped.get = Some(slot);
                skipped.memoizing(rest, OPENING)
            }
            b'K' => rest.get(1..)?,
            b'M' => rest.get(2..)?,
            b'J' => rest.get(4..)?,
            b'\x85'..=b'\x87' => skipped.memoizing(rest, b"\x94\x85\x94R\x94"),
            b'\x94' => skipped.memoizing(self.rest, b"\x94"),
            b'\x8c' => {
                let (length, text) = rest.split_first()?;
                skipped.memoizing(text.get(usize::from(*length)..)?, b"\x94")
            }
            b'u' => rest.strip_prefix(b"b").unwrap_or(rest),
            b'(' | b')' | b']' | b'}' | b'N' | b'R' | b'a' | b'b' | b'e' | b's' | b't' => rest,
            b'\x81' | b'\x88' | b'\x89' | b'\x8f'..=b'\x93' => rest,
            _ => return None,
        };
        Some(skipped)
    }

    /// Goes on with this end of the rest.
    #[inline(always)]
    pub(super) fn go_on(&mut self, rest: &'a [u8]) {
        self.rest = rest;
    }

    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Op<'a>, PickleError> {
        let start = self.position();
        self.read().map_err(|fault| fault.at(start))
    }

    #[inline(always)]
    fn read(&mut self) -> Result<Op<'a>, Box<Fault>> {
        let [code] = self.array()?;
        Ok(match code {
            b'\x80' => self.protocol()?,
            b'\x95' => self.frame()?,
            b'.' => Op::Stop,
            b'(' => Op::Mark,
            b'0' => Op::Pop,
            b'1' => Op::PopMark,
            b'N' => Op::None,
            b'\x88' => Op::Bool(true),
            b'\x89' => Op::Bool(false),
            b'J' => Op::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Op::Int(u8::from_le_bytes(self.array()?).into()),
            b'M' => Op::Int(u16::from_le_bytes(self.array()?).into()),
            b'I' => self.decimal(false)?,
            b'L' => self.decimal(true)?,
            b'\x8a' => Op::Long(self.short()?),
            b'\x8b' => {
                let length = i32::from_le_bytes(self.array()?);
                let length = u64::try_from(length).map_err(|_| Fault::malformed(length, "the length of an int"))?;
                Op::Long(self.take(length)?)
            }
            b'G' => Op::Float(f64::from_be_bytes(self.array()?)),
            b'\x8c' | b'U' => Op::Text(self.short()?),
            b'X' | b'T' => Op::Text(self.medium()?),
            b'\x8d' => Op::Text(self.long()?),
            b'C' => Op::Bytes(self.short()?),
            b'B' => Op::Bytes(self.medium()?),
            b'\x8e' => Op::Bytes(self.long()?),
            b'\x96' => Op::ByteArray(self.long()?),
            b')' => Op::TupleOf(0),
            b'\x85' => Op::TupleOf(1),
            b'\x86' => Op::TupleOf(2),
            b'\x87' => Op::TupleOf(3),
            b't' => Op::Tuple,
            b'l' => Op::List,
            b']' => Op::EmptyList,
            b'a' => Op::Append,
            b'e' => Op::Appends,
            b'd' => Op::Dict,
            b'}' => Op::EmptyDict,
            b's' => Op::SetItem,
            b'u' => Op::SetItems,
            b'\x8f' => Op::EmptySet,
            b'\x90' => Op::AddItems,
            b'\x91' => Op::FrozenSet,
            b'c' => Op::Global(self.two_lines()?),
            b'\x93' => Op::StackGlobal,
            b'R' => Op::Reduce,
            b'\x81' => Op::NewObj,
            b'\x92' => Op::NewObjEx,
            b'o' => Op::Obj,
            b'i' => Op::Inst(self.two_lines()?),
            b'b' => Op::Build,
            b'Q' => Op::PersistentId,
            b'q' => Op::Put(u8::from_le_bytes(self.array()?).into()),
            b'r' => Op::Put(u32::from_le_bytes(self.array()?).into()),
            b'p' => Op::Put(self.slot()?),
            b'\x94' => Op::Memoize,
            b'h' => Op::Get(u8::from_le_bytes(self.array()?).into()),
            b'j' => Op::Get(u32::from_le_bytes(self.array()?).into()),
            b'g' => Op::Get(self.slot()?),
            b'\x82' => self.extension::<1>()?,
            b'\x83' => self.extension::<2>()?,
            b'\x84' => self.extension::<4>()?,
            b'S' => Op::Text(self.quoted()?),
            b'2' => Op::Dup,
            b'P' | b'V' | b'F' | b'\x97' | b'\x98' => {
                return Err(Fault::unsupported(format_args!("pickle operation 0x{code:02x}")));
            }
            _ => return Err(Fault::malformed(format_args!("byte 0x{code:02x}"), "a pickle operation")),
        })
    }

    #[cold]
    fn protocol(&mut self) -> Result<Op<'a>, Box<Fault>> {
        match self.array()? {
            [version] if version <= NEWEST => Ok(Op::Nothing),
            [version] => Err(Fault::malformed(format_args!("protocol {version}"), "a protocol up to 5")),
        }
    }

    #[cold]
    fn frame(&mut self) -> Result<Op<'a>, Box<Fault>> {
        let length = u64::from_le_bytes(self.array()?);
        self.check(length)?;
        Ok(Op::Nothing)
    }

    /// Registered codes stand for globals of the process that wrote the pickle.
    #[cold]
    fn extension<const N: usize>(&mut self) -> Result<Op<'a>, Box<Fault>> {
        let code = self.array::<N>()?.iter().rev().fold(0u32, |code, byte| code << 8 | u32::from(*byte));
        Err(Fault::forbidden("copyreg", &format!("extension {code}")))
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Box<Fault>> {
        match self.rest.split_first_chunk() {
            Some((array, rest)) => {
                self.rest = rest;
                Ok(*array)
            }
            None => Err(self.too_short(N as u64)),
        }
    }

    #[inline(always)]
    fn take(&mut self, length: u64) -> Result<&'a [u8], Box<Fault>> {
        self.check(length)?;
        let (taken, rest) = self.rest.split_at(length as usize);
        self.rest = rest;
        Ok(taken)
    }

    #[inline(always)]
    fn check(&self, length: u64) -> Result<(), Box<Fault>> {
        if length <= self.rest.len() as u64 { Ok(()) } else { Err(self.too_short(length)) }
    }

    #[cold]
    fn too_short(&self, needed: u64) -> Box<Fault> {
        let left = self.rest.len();
        let expected = if left == 0 { "an operation, and STOP at last" } else { "as many as are announced" };
        Fault::malformed(format_args!("{left} bytes before the end where {needed} are needed"), expected)
    }

    #[inline(always)]
    fn short(&mut self) -> Result<&'a [u8], Box<Fault>> {
        let [length] = self.array()?;
        self.take(length.into())
    }

    fn medium(&mut self) -> Result<&'a [u8], Box<Fault>> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(length.into())
    }

    fn long(&mut self) -> Result<&'a [u8], Box<Fault>> {
        let length = u64::from_le_bytes(self.array()?);
        self.take(length)
    }

    fn line(&mut self) -> Result<&'a [u8], Box<Fault>> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| Fault::malformed("the end of the input", "the end of a line"))?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(line)
    }

    fn two_lines(&mut self) -> Result<&'a [u8], Box<Fault>> {
        let rest = self.rest;
        self.line()?;
        self.line()?;
        Ok(&rest[..rest.len() - self.rest.len()])
    }

    /// Text as Python 2 has written it; without escapes.
    fn quoted(&mut self) -> Result<&'a [u8], Box<Fault>> {
        match self.line()? {
            [b'\'', text @ .., b'\''] | [b'"', text @ .., b'"'] if !text.contains(&b'\\') => Ok(text),
            _ => Err(Fault::unsupported("text with escapes")),
        }
    }

    fn slot(&mut self) -> Result<u64, Box<Fault>> {
        parse(self.line()?).ok_or_else(|| Fault::malformed("something else", "the number of a memo slot"))
    }

    /// An int in decimal digits. Protocol 1 writes truth values as ints with a leading zero.
    fn decimal(&mut self, long: bool) -> Result<Op<'a>, Box<Fault>> {
        let line = self.line()?;
        match (line, long) {
            (b"00", false) => return Ok(Op::Bool(false)),
            (b"01", false) => return Ok(Op::Bool(true)),
            _ => {}
        }
        let digits = line.strip_suffix(b"L").filter(|_| long).unwrap_or(line);
        Ok(Op::Int(parse(digits).ok_or_else(|| Fault::malformed("something else", "an int of 64 bits"))?))
    }
}

fn parse<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
