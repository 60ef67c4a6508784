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

/// Reads one operation after the other.
#[derive(Clone, Debug)]
pub(super) struct Ops<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The newest protocol there is.
const NEWEST: u8 = 5;

impl<'a> Ops<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next operation starts.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// What was not read yet.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Runs over what is neither the end nor fetches anything, and over nothing that there may be in many forms. Returns whether it fills a slot
    /// of the memo.
    ///
    /// Runs of operations that come together are taken at once: each step waits for the one before it.
    #[inline(always)]
    pub(super) fn skip(&mut self) -> Option<bool> {
        let (length, memoizes) = match self.rest() {
            [b')', b'\x81', b'\x94', b'}', b'\x94', b'(', ..] => (6, true),
            [b'\x85'..=b'\x87', b'\x94', b'\x85', b'\x94', b'R', b'\x94', ..] => (6, true),
            [b'\x94', ..] => (1, true),
            [b'(' | b')' | b']' | b'}' | b'N' | b'R' | b'a' | b'b' | b'e' | b's' | b't' | b'u', ..] => (1, false),
            [b'\x81' | b'\x85'..=b'\x89' | b'\x8f'..=b'\x93', ..] => (1, false),
            [b'K', _, ..] => (2, false),
            [b'M', _, _, ..] => (3, false),
            [b'J', _, _, _, _, ..] => (5, false),
            [b'\x8c', length, text @ ..] if text.len() >= usize::from(*length) => (2 + usize::from(*length), false),
            _ => return None,
        };
        self.at += length;
        Some(memoizes)
    }

    /// Runs over the operation that comes next, if it fetches a slot of the memo below a limit.
    #[inline(always)]
    pub(super) fn skip_get(&mut self, limit: u64) -> Option<u64> {
        let (length, slot) = match self.rest() {
            [b'h', slot, ..] => (2, u64::from(*slot)),
            [b'j', a, b, c, d, ..] => (5, u32::from_le_bytes([*a, *b, *c, *d]).into()),
            _ => return None,
        };
        if slot >= limit {
            return None;
        }
        self.at += length;
        Some(slot)
    }

    /// Goes on with this end of the rest.
    #[inline(always)]
    pub(super) fn go_on(&mut self, rest: &'a [u8]) {
        self.at = self.bytes.len() - rest.len();
    }

    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Op<'a>, PickleError> {
        let start = self.at;
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
        match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(array) => {
                self.at += N;
                Ok(*array)
            }
            None => Err(self.too_short(N as u64)),
        }
    }

    #[inline(always)]
    fn take(&mut self, length: u64) -> Result<&'a [u8], Box<Fault>> {
        self.check(length)?;
        let start = self.at;
        self.at += length as usize;
        Ok(&self.bytes[start..self.at])
    }

    #[inline(always)]
    fn check(&self, length: u64) -> Result<(), Box<Fault>> {
        if length <= (self.bytes.len() - self.at) as u64 { Ok(()) } else { Err(self.too_short(length)) }
    }

    #[cold]
    fn too_short(&self, needed: u64) -> Box<Fault> {
        let left = self.bytes.len() - self.at;
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
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| Fault::malformed("the end of the input", "the end of a line"))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    fn two_lines(&mut self) -> Result<&'a [u8], Box<Fault>> {
        let start = self.at;
        self.line()?;
        self.line()?;
        Ok(&self.bytes[start..self.at])
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
