//! Is your transform right? The contract of [`StreamTransform`] and [`Coder`] as a set of named tests.

use std::fmt;

use dcp_types::DataError;

use super::check::{Checked, equal, same_bytes};
use crate::{Coder, StreamTransform, Transforms};

/// Makes the transform under test: each call as another process would, with the same key.
pub type Make<'m> = &'m dyn Fn() -> Box<dyn StreamTransform>;

/// One statement of the contract, and how to check it.
#[derive(Clone, Copy)]
pub struct Clause {
    /// What must be true, as the name of a test.
    pub name: &'static str,
    check: fn(Make<'_>) -> Checked,
}

/// Every clause.
pub const CLAUSES: &[Clause] = &[
    Clause { name: "its_descriptor_stays", check: its_descriptor_stays },
    Clause { name: "what_is_encoded_is_decoded", check: what_is_encoded_is_decoded },
    Clause { name: "streams_do_not_mix", check: streams_do_not_mix },
    Clause { name: "little_comes_at_a_time", check: little_comes_at_a_time },
    Clause { name: "what_nobody_has_encoded_ends", check: what_nobody_has_encoded_ends },
];

impl Clause {
    /// The clause with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CLAUSES.iter().find(|clause| clause.name == name)
    }

    /// Checks the clause.
    ///
    /// # Errors
    /// What the transform did and what it should have done.
    pub fn check(&self, make: Make<'_>) -> Result<(), String> {
        (self.check)(make)
    }
}

/// Checks a clause in a test.
///
/// # Panics
/// If the clause does not hold, or there is none of this name.
pub fn assert_holds(name: &str, make: Make<'_>) {
    let clause = Clause::named(name).unwrap_or_else(|| panic!("no clause {name}"));
    if let Err(violation) = clause.check(make) {
        panic!("{name}: {violation}");
    }
}

/// Generates one `#[test]` for each clause of the contract of [`StreamTransform`](crate::StreamTransform).
///
/// The argument is a closure that makes the transform, always with the same key, if it has one.
///
/// ```no_run
/// mod zstd {
///     dcp_storage::transform_conformance!(|| dcp_storage::Zstd::level(3));
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! transform_conformance {
    ($make:expr) => {
        $crate::transform_conformance! { @ ($make)
            its_descriptor_stays what_is_encoded_is_decoded streams_do_not_mix little_comes_at_a_time
            what_nobody_has_encoded_ends
        }
    };
    (@ $make:tt $($name:ident)*) => {
        $($crate::transform_conformance! { @test $make $name })*
    };
    (@test ($make:expr) $name:ident) => {
        #[test]
        fn $name() {
            $crate::conformance::transform::assert_holds(stringify!($name), &|| Box::new(($make)()));
        }
    };
}

fn its_descriptor_stays(make: Make<'_>) -> Checked {
    let (one, other) = (make(), make());
    equal("its name", one.name(), other.name())?;
    equal("its version", one.version(), other.version())?;
    equal("whether it reads its own version", one.reads(one.version()), true)?;
    Transforms::check_one(&*one)
}

fn what_is_encoded_is_decoded(make: Make<'_>) -> Checked {
    for length in [0, 1, 2, 15, 16, 17, 255, 4096, 65_535, 65_536, 65_537, 300_001] {
        for content in [vec![0; length], noise(length)] {
            for (coding, decoding) in [(usize::MAX, usize::MAX), (1000, 77), (65_536, 65_536), (13, 4096)] {
                let what = format!("{length} bytes, encoded {coding} and decoded {decoding} at a time");
                let encoded = must(pass(&mut *encoder(&*make())?, &content, coding)?, &what)?;
                let decoded = must(pass(&mut *decoder(&*make())?, &encoded, decoding)?, &what)?;
                same_bytes(&what, &decoded, &content)?;
            }
        }
    }
    Ok(())
}

fn streams_do_not_mix(make: Make<'_>) -> Checked {
    let (transform, contents) = (make(), [noise(100_000), vec![1; 100_000]]);
    let mut encoders = [encoder(&*transform)?, encoder(&*transform)?];
    let mut encoded = [Vec::new(), Vec::new()];
    for at in (0..100_000).step_by(1000) {
        for (number, encoder) in encoders.iter_mut().enumerate() {
            feed(&mut **encoder, &contents[number][at..at + 1000], &mut encoded[number])?.map_err(words)?;
        }
    }
    for (number, encoder) in encoders.iter_mut().enumerate() {
        end(&mut **encoder, &mut encoded[number])?.map_err(words)?;
        let what = "one of two streams at a time";
        let decoded = must(pass(&mut *decoder(&*transform)?, &encoded[number], usize::MAX)?, what)?;
        same_bytes(what, &decoded, &contents[number])?;
    }
    Ok(())
}

/// Both checked by [`feed`] and [`end`], here with much at a time.
fn little_comes_at_a_time(make: Make<'_>) -> Checked {
    let content = vec![0; 16 << 20];
    let encoded = must(pass(&mut *encoder(&*make())?, &content, usize::MAX)?, "16 MiB of zeros")?;
    let decoded = must(pass(&mut *decoder(&*make())?, &encoded, usize::MAX)?, "16 MiB of zeros")?;
    same_bytes("16 MiB of zeros", &decoded, &content)
}

/// That it neither panics nor goes on for ever. Whether it is found out is not for every transform.
fn what_nobody_has_encoded_ends(make: Make<'_>) -> Checked {
    let encoded = must(pass(&mut *encoder(&*make())?, &noise(5000), usize::MAX)?, "5000 bytes")?;
    for length in [0, 1, 10, 100, encoded.len() / 2, encoded.len() - 1] {
        drop(pass(&mut *decoder(&*make())?, &encoded[..length], usize::MAX)?);
        drop(pass(&mut *decoder(&*make())?, &noise(length), 7)?);
    }
    for at in (0..encoded.len()).step_by(encoded.len() / 50 + 1) {
        let mut damaged = encoded.clone();
        damaged[at] ^= 0x81;
        drop(pass(&mut *decoder(&*make())?, &damaged, usize::MAX)?);
    }
    Ok(())
}

/// What a call adds to the output at most, with some room: "about a MiB".
const MOST: usize = 2 << 20;

type Coded<T> = Result<T, DataError>;

fn encoder(transform: &dyn StreamTransform) -> Checked<Box<dyn Coder>> {
    transform.encoder().map_err(|fault| format!("an encoder should be made, but: {fault}"))
}

fn decoder(transform: &dyn StreamTransform) -> Checked<Box<dyn Coder>> {
    transform.decoder(transform.version()).map_err(|fault| format!("a decoder should be made, but: {fault}"))
}

/// Passes a whole stream through a coder, so many bytes at a time. The outer error is a breach of the contract.
fn pass(coder: &mut dyn Coder, input: &[u8], piece: usize) -> Checked<Coded<Vec<u8>>> {
    let mut output = Vec::new();
    for piece in input.chunks(piece) {
        if let Err(fault) = feed(coder, piece, &mut output)? {
            return Ok(Err(fault));
        }
    }
    let ended = end(coder, &mut output)?;
    Ok(ended.map(|()| output))
}

fn feed(coder: &mut dyn Coder, mut input: &[u8], output: &mut Vec<u8>) -> Checked<Coded<()>> {
    while !input.is_empty() {
        let before = output.len();
        let taken = match coder.code(input, output) {
            Ok(taken) => taken,
            Err(fault) => return Ok(Err(fault)),
        };
        if taken > input.len() {
            return Err(format!("`code` took {taken} of {} bytes", input.len()));
        }
        if taken == 0 && output.len() == before {
            return Err("`code` neither took nor added anything".into());
        }
        added(before, output)?;
        input = &input[taken..];
    }
    Ok(Ok(()))
}

fn end(coder: &mut dyn Coder, output: &mut Vec<u8>) -> Checked<Coded<()>> {
    loop {
        let before = output.len();
        let has_ended = match coder.finish(output) {
            Ok(has_ended) => has_ended,
            Err(fault) => return Ok(Err(fault)),
        };
        added(before, output)?;
        match has_ended {
            true => return Ok(Ok(())),
            false if output.len() == before => return Err("`finish` neither ended nor added anything".into()),
            false => {}
        }
    }
}

fn added(before: usize, output: &[u8]) -> Checked {
    match output.len().checked_sub(before) {
        None => Err("it took away from the output".into()),
        Some(added) if added > MOST => Err(format!("one call added {added} bytes")),
        Some(_) => Ok(()),
    }
}

fn must<T>(coded: Coded<T>, what: &str) -> Checked<T> {
    coded.map_err(|fault| format!("{what} should be coded, but: {fault}"))
}

fn words(fault: DataError) -> String {
    fault.to_string()
}

/// Bytes without a pattern, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

impl fmt::Debug for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clause").field(&self.name).finish()
    }
}
