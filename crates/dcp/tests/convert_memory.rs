//! Whatever the size of a checkpoint, converting it takes the memory that it was given.

use std::path::Path;

use dcp::{
    Checkpoint, Converter, DType, DataSource, DcpFormat, DeviceMesh, LocalTensor, NativeFormat, Placement, Saver,
    StateDict, TensorSpec,
};
use peak_alloc::PeakAlloc;

const ROWS: u64 = 7680;
const COLUMNS: u64 = 8192;

#[test]
fn memory_does_not_grow_with_the_checkpoint() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = |name: &str| dir.path().join(name);
    save(&place("saved"));
    let over = |ranks: u32, dim| {
        let mesh = DeviceMesh::new([ranks]).expect("a mesh");
        Converter::new().reshard(mesh, [("*", vec![Placement::Shard(dim)])]).expect("a pattern")
    };
    // As it is; cut along columns; put together again from these, with as many streams open as there are columns; and from more
    // than can be open, band by band.
    let steps = [
        ("saved", "dcp", Converter::new().to(DcpFormat::new())),
        ("dcp", "columns", over(8, 1).to(NativeFormat::new())),
        ("columns", "rows", over(3, 0)),
        ("columns", "bands", over(2, 0).memory(12 << 20).dtype(DType::BFloat16)),
    ];
    for (from, to, converter) in steps {
        let peak = peak_of(|| {
            converter.fsync(false).convert(place(from), place(to)).expect("converts");
        });
        assert!(peak < Converter::MEMORY as usize + (8 << 20), "{from} to {to}: {} MiB", peak >> 20);
    }
    let last = Checkpoint::open(place("rows")).expect("opens");
    let row = dcp::Region::new([ROWS - 1, 0], [1, COLUMNS]).expect("a region");
    let expected: Vec<u8> = (0..COLUMNS).flat_map(|column| number(((ROWS - 1) * COLUMNS + column) * 4)).collect();
    assert!(last.slice("weight", &row).expect("there").bytes() == expected);
}

/// A tensor of 240 MiB that is nowhere in memory.
fn save(place: &Path) {
    let spec = TensorSpec::replicated(DType::Float32, [ROWS, COLUMNS]).expect("a spec");
    let state = StateDict::new().with("weight", LocalTensor::lazy(spec, Numbers)).with("step", 7);
    Saver::new().fsync(false).save_dict(&state, place).expect("saves");
}

struct Numbers;

impl DataSource for Numbers {
    fn dtype(&self) -> DType {
        DType::Float32
    }

    fn shape(&self) -> Vec<u64> {
        vec![ROWS, COLUMNS]
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        for (element, at) in out.chunks_mut(4).zip((offset..).step_by(4)) {
            element.copy_from_slice(&number(at)[..element.len()]);
        }
        Ok(())
    }
}

/// The element at a byte.
fn number(at: u64) -> [u8; 4] {
    ((at / 4) as f32).to_le_bytes()
}

/// By how many bytes the memory of all threads grows at the most.
fn peak_of(run: impl FnOnce()) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    run();
    ALLOCATOR.peak_usage().saturating_sub(before)
}

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;
