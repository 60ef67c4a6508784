use dcp_storage::{Layers, Layout, StorageError, StorePath, Stream, StreamCodec};
use dcp_types::{Chunk, DType, ReadItem, ReadWhat, Region};
use proptest::prelude::*;

use super::stream::TensorInArchive;
use crate::archive::sample::{archive, record, tensor};

/// Takes the archive off, offering so many bytes at a time and taking so many.
fn decode(archive: &[u8], (dtype, sizes): (DType, Vec<u64>), offered: usize, taken: usize) -> Decoding {
    let region = Region::new([0, 0], [2, 3]).expect("region");
    let item =
        ReadItem { entry: 0, what: ReadWhat::Region { chunk: Chunk { region: region.clone(), number: 0 }, region } };
    let codec = TensorInArchive { dtype, sizes };
    let file = StorePath::parse("__0_0.distcp").expect("path");
    let (length, layers) = (archive.len() as u64, Layers::default());
    let stream = Stream { file, offset: 0, length, layers, codec: None, checks: None };
    let mut decoder = codec.decoder(&stream, &item);
    let (mut rest, mut bytes, mut output) = (archive, Vec::new(), vec![0; taken]);
    loop {
        let input = &rest[..rest.len().min(offered)];
        let step = decoder.decode(input, &mut output)?;
        bytes.extend_from_slice(&output[..step.produced]);
        rest = &rest[step.consumed..];
        if step.consumed + step.produced == 0 {
            assert!(rest.is_empty(), "neither consumes nor produces");
            break;
        }
    }
    let layout = decoder.layout().cloned();
    Ok((bytes, layout, decoder.finish()?))
}

type Decoding = Result<(Vec<u8>, Option<Layout>, bool), StorageError>;

fn float32() -> (DType, Vec<u64>) {
    (DType::Float32, vec![2, 3])
}

const DATA: &[u8; 24] = b"six floats are 24 bytes!";

proptest! {
    #[test]
    fn a_tensor_comes_out_however_it_is_offered(offered in 1..3000usize, taken in 1..40usize) {
        let (bytes, layout, checked) = decode(&archive(&tensor(DATA)), float32(), offered, taken).expect("decodes");
        prop_assert_eq!(bytes, DATA);
        prop_assert_eq!(layout, Some(Layout { first: 0, strides: Some(vec![1, 2]), steps: vec![] }));
        prop_assert!(checked);
    }

    #[test]
    fn a_damaged_archive_is_refused_or_right(at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let mut damaged = archive(&tensor(DATA));
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        // What describes the tensor is not summed: it may have come to mean something else, but then of just as many bytes.
        if let Ok((bytes, ..)) = decode(&damaged, float32(), 64, 64) {
            prop_assert_eq!(bytes, DATA);
        }
    }
}

#[test]
fn archives_that_are_not_what_the_index_says_are_refused() {
    let good = archive(&tensor(DATA));
    let refused = |archive: &[u8], chunk| decode(archive, chunk, 64, 64).expect_err("refused").to_string();
    assert!(refused(&good, (DType::Int32, vec![2, 3])).contains("int32"));
    assert!(refused(&good, (DType::Float32, vec![3, 2])).contains("[3, 2]"));
    for length in [0, 1, 100, good.len() - 1] {
        assert!(!refused(&good[..length], float32()).is_empty());
    }
    // The pickle says 24 bytes.
    assert!(!refused(&archive(&tensor(&DATA[..20])), float32()).is_empty());
    let mut wrong = tensor(DATA);
    wrong[2].crc ^= 1;
    assert!(refused(&archive(&wrong), float32()).contains("checksum"));
    let mut late = tensor(DATA);
    late.swap(0, 2);
    assert!(refused(&archive(&late), float32()).contains("before the pickle"));
}

/// Looking at the head again after each byte would take for ever.
#[test]
fn a_long_head_may_come_byte_by_byte() {
    let mut records = tensor(DATA);
    records.insert(1, record("archive/long", &[0; 300_000]));
    let (bytes, ..) = decode(&archive(&records), float32(), 1, 64).expect("decodes");
    assert_eq!(bytes, DATA);
}

#[test]
fn little_is_kept_of_a_stream_that_never_ends() {
    // 64 MiB of zeros where the tensor should begin, and after it.
    let flood = vec![0; 64 << 20];
    assert!(decode(&flood, float32(), 1 << 20, 64).is_err());
    let mut records = tensor(DATA);
    records.push(record("archive/flood", &flood));
    assert!(decode(&archive(&records), float32(), 1 << 20, 64).is_err());
}
