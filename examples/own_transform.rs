//! A transform of one's own: encryption, so that a checkpoint is safe with whoever stores it.
//!
//! Each chunk and each value becomes a stream by itself (XChaCha20-Poly1305 in the STREAM construction): a random nonce, then blocks with a tag
//! each. Blocks that were changed, exchanged or left out within a stream are found out, and so is another key. What whoever stores the
//! checkpoint can still do: put one whole stream in the place of another one under the same key, or keep an old checkpoint.

use std::fmt;

use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::aead::{Generate, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305};
use dcp::{
    Auditor, Checkpoint, Coder, DcpFormat, Loader, NativeFormat, Opener, Saver, StateDict, StreamTransform, Zstd,
};

/// Encrypts with a key.
#[derive(Clone)]
struct Cipher(Key);

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// How many bytes are encrypted, and signed, at a time.
const BLOCK: usize = 64 << 10;
const TAG: usize = 16;
/// The part of the nonce that is random; the rest counts the blocks.
const NONCE: usize = 19;

impl StreamTransform for Cipher {
    fn name(&self) -> &str {
        "stream.xchacha20poly1305@example.org"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn encoder(&self) -> Result<Box<dyn Coder>, Fault> {
        let nonce = <[u8; NONCE]>::try_generate()?;
        let stream = Some(EncryptorBE32::from_aead(XChaCha20Poly1305::new(&self.0), &nonce.into()));
        Ok(Box::new(Encrypt { nonce: nonce.into(), stream, block: Block::of(BLOCK) }))
    }

    fn decoder(&self, _version: &str) -> Result<Box<dyn Coder>, Fault> {
        let nonce = Vec::with_capacity(NONCE);
        Ok(Box::new(Decrypt { key: self.0, nonce, stream: None, block: Block::of(BLOCK + TAG) }))
    }
}

/// A key is not for logs.
impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

struct Encrypt {
    /// Still to be written.
    nonce: Vec<u8>,
    /// None once it has ended.
    stream: Option<EncryptorBE32<XChaCha20Poly1305>>,
    block: Block,
}

impl Coder for Encrypt {
    fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Fault> {
        output.append(&mut self.nonce);
        if let (Some(mut block), Some(stream)) = (self.block.take_full(), &mut self.stream) {
            stream.encrypt_next_in_place(b"", &mut block).map_err(|_| "too many blocks")?;
            output.append(&mut block);
        }
        Ok(self.block.fill(input))
    }

    fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, Fault> {
        output.append(&mut self.nonce);
        let stream = self.stream.take().ok_or("it has ended")?;
        stream.encrypt_last_in_place(b"", &mut self.block.bytes).map_err(|_| "too many blocks")?;
        output.append(&mut self.block.bytes);
        Ok(true)
    }
}

struct Decrypt {
    key: Key,
    /// What has come of it.
    nonce: Vec<u8>,
    stream: Option<DecryptorBE32<XChaCha20Poly1305>>,
    block: Block,
}

const WRONG: &str = "it was changed, or encrypted with another key";

impl Coder for Decrypt {
    fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Fault> {
        let Some(stream) = &mut self.stream else {
            let taken = input.len().min(NONCE - self.nonce.len());
            self.nonce.extend_from_slice(&input[..taken]);
            if let Ok(nonce) = <[u8; NONCE]>::try_from(self.nonce.as_slice()) {
                let cipher = XChaCha20Poly1305::new(&self.key);
                self.stream = Some(DecryptorBE32::from_aead(cipher, &nonce.into()));
            }
            return Ok(taken);
        };
        if let Some(mut block) = self.block.take_full() {
            stream.decrypt_next_in_place(b"", &mut block).map_err(|_| WRONG)?;
            output.append(&mut block);
        }
        Ok(self.block.fill(input))
    }

    fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, Fault> {
        let stream = self.stream.take().ok_or("it was cut short")?;
        stream.decrypt_last_in_place(b"", &mut self.block.bytes).map_err(|_| WRONG)?;
        output.append(&mut self.block.bytes);
        Ok(true)
    }
}

/// Bytes that are gathered to a block. Whether it is the last one shows only when more comes, or the end.
struct Block {
    size: usize,
    bytes: Vec<u8>,
}

impl Block {
    fn of(size: usize) -> Self {
        Self { size, bytes: Vec::with_capacity(size + TAG) }
    }

    /// The block, if it is full.
    fn take_full(&mut self) -> Option<Vec<u8>> {
        (self.bytes.len() == self.size).then(|| std::mem::take(&mut self.bytes))
    }

    /// Takes what there is room for; how much.
    fn fill(&mut self, input: &[u8]) -> usize {
        let taken = input.len().min(self.size - self.bytes.len());
        self.bytes.extend_from_slice(&input[..taken]);
        taken
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let (native, torch) = (dir.path().join("native"), dir.path().join("torch"));
    let cipher = Cipher(Key::try_generate()?);
    let weight = ndarray::Array2::from_shape_fn((300, 400), |(row, column)| (row * column) as f32);
    let state = || -> Result<StateDict<'_>, dcp::Error> {
        Ok(StateDict::new().with("weight", dcp::LocalTensor::whole(weight.view().into_dyn())?).with("step", 7))
    };

    // Compressed first: what is encrypted does not compress. Undone in the other order.
    let format = NativeFormat::new().transform(Zstd::level(3)).transform(cipher.clone());
    let report = Saver::new().format(format.clone()).save_dict(&state()?, &native)?;
    println!("480,000 bytes of floats are {} bytes, compressed and encrypted", report.total().data);
    let loaded = Opener::new().format(format).open(&native)?.tensor("weight")?;
    assert_eq!(loaded.to_array::<f32>()?, weight.clone().into_dyn());

    // PyTorch's format has transforms as well. Whoever loads brings the key along.
    let format = DcpFormat::new().transform(cipher.clone());
    Saver::new().format(format.clone()).save_dict(&state()?, &torch)?;
    let mut weight = ndarray::Array2::<f32>::zeros((300, 400));
    let target = dcp::TargetTensor::whole(weight.view_mut().into_dyn())?;
    let target = dcp::StateTarget::new().with("weight", target).with("step", dcp::TargetLeaf::Value);
    Loader::new().format(format).load_into(target, &torch)?;
    assert_eq!(weight[[299, 399]], (299 * 399) as f32);

    // Without the key, the index can be read, and natively every byte can still be checked. Nothing can be decrypted.
    let checkpoint = Checkpoint::open(&native)?;
    println!("without the key: {}", checkpoint.tensor("weight").expect_err("it is encrypted"));
    let audit = Auditor::new().audit(&native)?;
    println!("{:?}: {} of {} bytes are checked", audit.verdict(), audit.checked, audit.bytes);
    let other = NativeFormat::new().transform(Cipher(Key::try_generate()?));
    let checkpoint = Opener::new().format(other).open(&native)?;
    println!("with another key: {}", checkpoint.tensor("weight").expect_err("it is another key"));
    Ok(())
}

#[cfg(test)]
dcp_storage::transform_conformance!(|| Cipher(Key::from([7; 32])));
