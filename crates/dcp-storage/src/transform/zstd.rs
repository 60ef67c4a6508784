//! Compression with zstd, as PyTorch's `ZStandard` does it.

use dcp_types::DataError;
use zstd::stream::raw::{DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

use super::{Coder, StreamTransform};

/// The transform `stream.zstd/1`: each item becomes one frame of zstd. PyTorch knows it as `ZStandard`.
///
/// Everybody who reads knows it by itself; it is given to a format for writing.
///
/// Floats that were trained compress badly: expect a tenth or so of `bfloat16` weights, and more where there are zeros or repetitions.
/// What a slice of a compressed chunk is wanted, all of the chunk is read and decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zstd {
    level: i32,
}

/// What zstd itself has as the default.
const LEVEL: i32 = 3;
/// Levels above need more memory to read than [`WINDOW_LOG`] allows.
const MAX_LEVEL: i32 = 19;
/// The largest window that a stream may ask for, as a power of two: 32 MiB, more than any level up to 19 does.
const WINDOW_LOG: u32 = 25;
/// How much comes out at a time.
const PIECE: usize = 128 << 10;

impl Zstd {
    /// A level of compression: 1 is fast, 19 is dense and slow, negative ones are faster still. Higher ones count as 19: they
    /// would need hundreds of MiB for each item that is read.
    #[must_use]
    pub fn level(level: i32) -> Self {
        Self { level: level.min(MAX_LEVEL) }
    }
}

impl Default for Zstd {
    /// Level 3.
    fn default() -> Self {
        Self::level(LEVEL)
    }
}

impl StreamTransform for Zstd {
    fn name(&self) -> &'static str {
        "stream.zstd"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn reads(&self, version: &str) -> bool {
        version.split('.').next() == Some("1")
    }

    fn encoder(&self) -> Result<Box<dyn Coder>, DataError> {
        Ok(Box::new(Compress { raw: Encoder::new(self.level)?, piece: piece() }))
    }

    fn decoder(&self, _: &str) -> Result<Box<dyn Coder>, DataError> {
        let mut raw = Decoder::new()?;
        raw.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Box::new(Decompress { raw, piece: piece(), has_begun: false, is_between_frames: true }))
    }
}

struct Compress {
    raw: Encoder<'static>,
    piece: Box<[u8]>,
}

impl Coder for Compress {
    fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DataError> {
        Ok(step(&mut self.raw, &mut self.piece, input, output)?.0)
    }

    fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, DataError> {
        let mut piece = OutBuffer::around(&mut *self.piece);
        let left = self.raw.finish(&mut piece, false)?;
        output.extend_from_slice(piece.as_slice());
        Ok(left == 0)
    }
}

struct Decompress {
    raw: Decoder<'static>,
    piece: Box<[u8]>,
    has_begun: bool,
    is_between_frames: bool,
}

impl Coder for Decompress {
    fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DataError> {
        let (taken, hint) = step(&mut self.raw, &mut self.piece, input, output)?;
        (self.has_begun, self.is_between_frames) = (true, hint == 0);
        Ok(taken)
    }

    fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, DataError> {
        if self.is_between_frames && self.has_begun {
            return Ok(true);
        }
        let before = output.len();
        if self.has_begun {
            self.is_between_frames = step(&mut self.raw, &mut self.piece, &[], output)?.1 == 0;
        }
        if output.len() > before { Ok(self.is_between_frames) } else { Err("the zstd stream was cut off".into()) }
    }
}

/// What comes out at a time. Room in the output itself may be more than that, and is not filled.
fn piece() -> Box<[u8]> {
    vec![0; PIECE].into()
}

/// Takes some input; how much, and what zstd says that is still to come of the frame.
fn step(
    raw: &mut impl Operation,
    piece: &mut [u8],
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(usize, usize), DataError> {
    let (mut input, mut piece) = (InBuffer::around(input), OutBuffer::around(piece));
    let hint = raw.run(&mut input, &mut piece)?;
    output.extend_from_slice(piece.as_slice());
    Ok((input.pos(), hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Passes bytes through a coder, so many at a time. Also says how much the coder added at once.
    fn pass(mut coder: Box<dyn Coder>, input: &[u8], piece: usize) -> Result<(Vec<u8>, usize), DataError> {
        let (mut all, mut most) = (Vec::new(), 0);
        let mut made = Vec::new();
        for piece in input.chunks(piece) {
            let mut rest = piece;
            while !rest.is_empty() {
                rest = &rest[coder.code(rest, &mut made)?..];
                most = most.max(made.len());
                all.append(&mut made);
            }
        }
        loop {
            let has_ended = coder.finish(&mut made)?;
            most = most.max(made.len());
            all.append(&mut made);
            if has_ended {
                return Ok((all, most));
            }
        }
    }

    fn encode(input: &[u8], piece: usize) -> Vec<u8> {
        pass(Zstd::default().encoder().expect("an encoder"), input, piece).expect("encodes").0
    }

    fn decode(input: &[u8], piece: usize) -> Result<(Vec<u8>, usize), DataError> {
        pass(Zstd::default().decoder("1").expect("a decoder"), input, piece)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_however_it_comes(
            seed in prop::collection::vec(any::<u8>(), 0..200), times in 0..300usize, pieces in (1..5000usize, 1..5000usize),
        ) {
            let bytes = seed.repeat(times);
            let encoded = encode(&bytes, pieces.0);
            prop_assert_eq!(&decode(&encoded, pieces.1).expect("decodes").0, &bytes);
            for cut in [0, 1, encoded.len() / 2, encoded.len() - 1] {
                prop_assert!(decode(&encoded[..cut], pieces.1).is_err(), "cut to {} bytes", cut);
            }
        }
    }

    #[test]
    fn several_frames_are_one_stream() {
        let frames: Vec<u8> = (0..2000u16).flat_map(|byte| encode(&[byte as u8], 1)).collect();
        let bytes: Vec<u8> = (0..2000u16).map(|byte| byte as u8).collect();
        assert_eq!(decode(&frames, 4096).expect("decodes").0, bytes);
    }

    #[test]
    fn what_is_no_zstd_is_refused() {
        assert!(decode(b"this is something else", 100).is_err());
        let followed = [encode(b"something", 9), b"and more".to_vec()].concat();
        assert!(decode(&followed, 100).is_err());
    }

    #[test]
    fn a_bomb_comes_in_small_pieces() {
        let bomb = encode(&vec![0; 64 << 20], 1 << 20);
        assert!(bomb.len() < 64 << 10);
        let (bytes, most) = decode(&bomb, usize::MAX).expect("decodes");
        assert_eq!(bytes.len(), 64 << 20);
        assert!(most <= 1 << 20, "{most} bytes at once");
    }

    /// At level 22 a window has 128 MiB. Whatever is written can be read again.
    #[test]
    fn windows_are_bounded() {
        let raw = Encoder::new(22).expect("an encoder");
        let zeros = vec![0; 3 << 20];
        let (encoded, _) = pass(Box::new(Compress { raw, piece: piece() }), &zeros, usize::MAX).expect("encodes");
        let refused = decode(&encoded, usize::MAX).expect_err("too large a window");
        assert!(refused.to_string().contains("memory"), "{refused}");
        let coder = Zstd::level(22).encoder().expect("an encoder");
        let (encoded, _) = pass(coder, &zeros, usize::MAX).expect("encodes");
        assert_eq!(decode(&encoded, usize::MAX).expect("decodes").0, zeros);
    }

    #[test]
    fn versions_are_told_by_their_first_number() {
        let reads = ["1", "1.5", "2", "", "11"].map(|version| Zstd::default().reads(version));
        assert_eq!(reads, [true, true, false, false, false]);
    }
}
