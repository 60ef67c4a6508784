//! Whatever the size of two checkpoints, comparing them takes little memory.

use std::path::Path;

use dcp::{
    Comparer, DType, DataSource, DcpFormat, Format, LocalTensor, NativeFormat, Outcome, Saver, StateDict, TensorSpec,
    Zstd,
};
use peak_alloc::PeakAlloc;

const ROWS: u64 = 7680;
const COLUMNS: u64 = 8192;
/// For each of the threads: two slabs of 4 MiB, and buffers; and for two that read in step, decoders.
const PER_THREAD: usize = 16 << 20;

#[test]
fn memory_does_not_grow_with_the_checkpoints() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = |name: &str| dir.path().join(name);
    save(NativeFormat::new(), &place("native"));
    save(DcpFormat::new(), &place("dcp"));
    save(DcpFormat::new().transform(Zstd::default()), &place("compressed"));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    for (left, right) in [("native", "native"), ("native", "dcp"), ("compressed", "dcp")] {
        let mut outcome = None;
        let peak = peak_of(|| outcome = Some(Comparer::new().compare(place(left), place(right)).expect("both open")));
        assert_eq!(outcome.map(|found| found.outcome()), Some(Outcome::Same));
        assert!(peak < threads * PER_THREAD + (16 << 20), "{left} and {right}: {} MiB", peak >> 20);
    }
}

/// A tensor of 240 MiB that is nowhere in memory.
fn save(format: impl Format + 'static, place: &Path) {
    let spec = TensorSpec::replicated(DType::Float32, [ROWS, COLUMNS]).expect("a spec");
    let state = StateDict::new().with("weight", LocalTensor::lazy(spec, Numbers)).with("step", 7);
    Saver::new().format(format).fsync(false).save_dict(&state, place).expect("saves");
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
            // The same ones again and again: they compress well.
            element.copy_from_slice(&((at / 4 % 1000) as f32).to_le_bytes()[..element.len()]);
        }
        Ok(())
    }
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
