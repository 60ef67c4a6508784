//! A transform of one's own, and choices of several.

use dcp::{Coder, DcpFormat, NativeFormat, StreamTransform, Zstd};
use dcp_types::DataError;
use proptest::prelude::*;

/// What is done to bytes on their way into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// They are compressed.
    Zstd,
    /// They go through [`Sealed`].
    Sealed,
    /// They are compressed, then sealed.
    Both,
    /// They are sealed twice, with different keys.
    Twice,
}

/// Any of them.
pub fn codings() -> impl Strategy<Value = Coding> + Clone {
    prop::sample::select(&[Coding::Zstd, Coding::Sealed, Coding::Both, Coding::Twice][..])
}

/// The key of what is sealed here.
const KEY: u8 = 0x5a;

impl Coding {
    /// The native format with this.
    #[must_use]
    pub fn native(self) -> NativeFormat {
        let format = NativeFormat::new();
        match self {
            Self::Zstd => format.transform(Zstd::default()),
            Self::Sealed => format.transform(Sealed::with(KEY)),
            Self::Both => format.transform(Zstd::level(1)).transform(Sealed::with(KEY)),
            Self::Twice => format.transform(Sealed::with(KEY)).transform(Sealed::named("stream.again@dcp-tests", 3)),
        }
    }

    /// PyTorch's format with this.
    #[must_use]
    pub fn dcp(self) -> DcpFormat {
        let format = DcpFormat::new();
        match self {
            Self::Zstd => format.transform(Zstd::default()),
            Self::Sealed => format.transform(Sealed::with(KEY)),
            Self::Both => format.transform(Zstd::level(1)).transform(Sealed::with(KEY)),
            Self::Twice => format.transform(Sealed::with(KEY)).transform(Sealed::named("stream.again@dcp-tests", 3)),
        }
    }
}

/// Seals bytes in blocks with a key, as a toy: a length, the bytes with the key over them, and a sum that only the key gives. An
/// empty block is the end. Another key is found out.
#[derive(Clone, Debug)]
pub struct Sealed {
    name: &'static str,
    key: u8,
}

/// The bytes of a block.
const BLOCK: usize = 1000;

impl Sealed {
    /// With this key.
    #[must_use]
    pub fn with(key: u8) -> Self {
        Self::named("stream.sealed@dcp-tests", key)
    }

    fn named(name: &'static str, key: u8) -> Self {
        Self { name, key }
    }
}

impl StreamTransform for Sealed {
    fn name(&self) -> &str {
        self.name
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn encoder(&self) -> Result<Box<dyn Coder>, DataError> {
        Ok(Box::new(Seal { key: self.key, block: Vec::new() }))
    }

    fn decoder(&self, _: &str) -> Result<Box<dyn Coder>, DataError> {
        Ok(Box::new(Open { key: self.key, block: Vec::new(), has_ended: false }))
    }
}

struct Seal {
    key: u8,
    block: Vec<u8>,
}

struct Open {
    key: u8,
    /// A block as it comes, its length and its sum included.
    block: Vec<u8>,
    has_ended: bool,
}

impl Coder for Seal {
    fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DataError> {
        let taken = input.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&input[..taken]);
        if self.block.len() == BLOCK {
            self.put(output);
        }
        Ok(taken)
    }

    fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, DataError> {
        if !self.block.is_empty() {
            self.put(output);
        }
        self.put(output);
        Ok(true)
    }
}

impl Seal {
    fn put(&mut self, output: &mut Vec<u8>) {
        output.extend((self.block.len() as u16).to_le_bytes());
        output.extend(self.block.iter().map(|byte| byte ^ self.key));
        output.extend(sum(&self.block, self.key));
        self.block.clear();
    }
}

impl Coder for Open {
    fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DataError> {
        if self.has_ended {
            return Err("more follows after the last block".into());
        }
        let wanted = match self.block.first_chunk() {
            None => 2,
            Some(length) => match usize::from(u16::from_le_bytes(*length)) {
                length if length > BLOCK => return Err("a block is too long".into()),
                length => 2 + length + 4,
            },
        };
        let taken = input.len().min(wanted - self.block.len());
        self.block.extend_from_slice(&input[..taken]);
        if wanted > 2 && self.block.len() == wanted {
            let (bytes, stored) = self.block[2..].split_at(wanted - 6);
            let plain: Vec<u8> = bytes.iter().map(|byte| byte ^ self.key).collect();
            if stored != sum(&plain, self.key) {
                return Err("the key is another one".into());
            }
            self.has_ended = plain.is_empty();
            output.extend(plain);
            self.block.clear();
        }
        Ok(taken)
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<bool, DataError> {
        if self.has_ended { Ok(true) } else { Err("the last block is missing".into()) }
    }
}

fn sum(bytes: &[u8], key: u8) -> [u8; 4] {
    bytes.iter().fold(u32::from(key) + 1, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)).to_le_bytes()
}
