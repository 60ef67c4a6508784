//! Versions: a hash of the content and its length.
//!
//! Inode and times would be cheaper, but both repeat: a file that is replaced twice within one tick of the clock may
//! have the inode, time and size of the first. Contents that are equal may well be taken for each other.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use dcp_storage::Version;
use twox_hash::XxHash3_128;

/// The version of an object with this content.
pub(crate) fn of_bytes(content: &[u8]) -> Version {
    version(XxHash3_128::oneshot(content), content.len() as u64)
}

/// The version of what a file holds.
pub(crate) fn of_file(file: &File) -> io::Result<Version> {
    let mut hasher = XxHash3_128::new();
    let mut block = vec![0; BLOCK];
    let mut length = 0;
    loop {
        match file.read_at(&mut block, length) {
            Ok(0) => return Ok(version(hasher.finish_128(), length)),
            Ok(read) => {
                hasher.write(&block[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn version(hash: u128, length: u64) -> Version {
    Version(format!("xxh3-{hash:032x}-{length}"))
}

/// In bytes: stays in the processor's cache.
const BLOCK: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn both_ways_to_a_version_agree() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17] {
            let content: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let mut file = tempfile::tempfile().expect("a temporary file");
            file.write_all(&content).expect("written");
            assert_eq!(of_file(&file).expect("read"), of_bytes(&content), "{length} bytes");
        }
    }
}
