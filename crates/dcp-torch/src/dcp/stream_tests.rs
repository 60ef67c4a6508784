use std::sync::Arc;

use dcp_storage::{Layout, StorageError, StorePath, Stream, StreamCodec};
use dcp_types::{Chunk, DType, ReadItem, ReadWhat, Region};
use proptest::prelude::*;

use super::stream::ZstdItem;
use crate::archive::sample::{archive, record, tensor};

/// Decodes a stream, offering so many bytes at a time and taking so many.
fn decode(encoded: &[u8], chunk: Option<(DType, Vec<u64>)>, offered: usize, taken: usize) -> Decoding {
    let region = Region::new([0, 0], [2, 3]).expect("region");
    let item =
        ReadItem { entry: 0, what: ReadWhat::Region { chunk: Chunk { region: region.clone(), number: 0 }, region } };
    let codec = Arc::new(ZstdItem { chunk });
    let file = StorePath::parse("__0_0.distcp").expect("path");
    let stream = Stream { file, offset: 0, length: encoded.len() as u64, codec: codec.clone() };
    let mut decoder = codec.decoder(&stream, &item);
    let (mut rest, mut bytes, mut output) = (encoded, Vec::new(), vec![0; taken]);
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

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).expect("encodes")
}

fn float32() -> Option<(DType, Vec<u64>)> {
    Some((DType::Float32, vec![2, 3]))
}

const DATA: &[u8; 24] = b"six floats are 24 bytes!";

proptest! {
    #[test]
    fn a_tensor_comes_out_however_it_is_offered(offered in 1..3000usize, taken in 1..40usize) {
        let encoded = zstd(&archive(&tensor(DATA)));
        let (bytes, layout, checked) = decode(&encoded, float32(), offered, taken).expect("decodes");
        prop_assert_eq!(bytes, DATA);
        prop_assert_eq!(layout, Some(Layout { first: 0, strides: Some(vec![1, 2]), steps: vec![] }));
        prop_assert!(checked);
    }

    #[test]
    fn a_damaged_stream_is_refused_or_right(at in 0..400usize, bit in 0..8u32) {
        let mut encoded = zstd(&archive(&tensor(DATA)));
        let at = at % encoded.len();
        encoded[at] ^= 1 << bit;
        if let Ok((bytes, ..)) = decode(&encoded, float32(), 64, 64) {
            prop_assert_eq!(bytes, DATA);
        }
    }
}

#[test]
fn a_value_is_the_whole_archive() {
    let plain = archive(&tensor(DATA));
    let (bytes, layout, _) = decode(&zstd(&plain), None, 100, 100).expect("decodes");
    assert_eq!((bytes, layout), (plain, None));
}

#[test]
fn streams_that_are_not_what_the_index_says_are_refused() {
    let good = archive(&tensor(DATA));
    let encoded = zstd(&good);
    let refused = |encoded: &[u8], chunk| decode(encoded, chunk, 64, 64).expect_err("refused").to_string();
    assert!(refused(&encoded, Some((DType::Int32, vec![2, 3]))).contains("int32"));
    assert!(refused(&encoded, Some((DType::Float32, vec![3, 2]))).contains("[3, 2]"));
    assert!(refused(&encoded[..encoded.len() - 1], float32()).contains("cut off"));
    assert!(refused(&good, float32()).contains("zstd"));
    assert!(refused(&[], float32()).contains("cut off"));
    // The pickle says 24 bytes.
    assert!(!refused(&zstd(&archive(&tensor(&DATA[..20]))), float32()).is_empty());
    let mut wrong = tensor(DATA);
    wrong[2].crc ^= 1;
    assert!(refused(&zstd(&archive(&wrong)), float32()).contains("checksum"));
    let mut late = tensor(DATA);
    late.swap(0, 2);
    assert!(refused(&zstd(&archive(&late)), float32()).contains("before the pickle"));
}

/// Looking at the head again after each of them would take for ever.
#[test]
fn many_small_frames_are_one_stream() {
    let frames = zstd(b"P").repeat(200_000);
    assert!(decode(&frames, float32(), 4096, 64).is_err());
    let frames: Vec<u8> = archive(&tensor(DATA)).iter().flat_map(|byte| zstd(&[*byte])).collect();
    assert_eq!(decode(&frames, float32(), 4096, 64).expect("decodes").0, DATA);
}

#[test]
fn little_is_kept_of_a_stream_that_never_ends() {
    // 64 MiB of zeros where the tensor should begin, and after it.
    let flood = vec![0; 64 << 20];
    assert!(decode(&zstd(&flood), float32(), 1 << 20, 64).is_err());
    let mut records = tensor(DATA);
    records.push(record("archive/flood", &flood));
    assert!(decode(&zstd(&archive(&records)), float32(), 1 << 20, 64).is_err());
}
