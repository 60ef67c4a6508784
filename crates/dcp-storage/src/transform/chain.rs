//! Several coders, one behind the other.

use std::sync::Arc;

use dcp_types::DataError;

use super::Coder;

/// Coders of which each takes what the one before it makes. It holds no more than one piece between any two.
pub(crate) struct Chain {
    stages: Vec<Stage>,
    /// How many stages have ended.
    ended: usize,
}

struct Stage {
    descriptor: Arc<str>,
    coder: Box<dyn Coder>,
    /// What the stage before has made.
    input: Vec<u8>,
    /// How much of that has been taken.
    taken: usize,
}

/// A coder has failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Whose coder it is.
    pub(crate) transform: Arc<str>,
    pub(crate) source: DataError,
}

impl Chain {
    /// Coders in the order in which they are passed through.
    pub(crate) fn new(coders: impl IntoIterator<Item = (Arc<str>, Box<dyn Coder>)>) -> Self {
        let stage = |(descriptor, coder)| Stage { descriptor, coder, input: Vec::new(), taken: 0 };
        Self { stages: coders.into_iter().map(stage).collect(), ended: 0 }
    }

    /// Takes some of the input; how much. Comes back as soon as something is in the output, which is empty to begin with, or
    /// when the input is used up.
    pub(crate) fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Failed> {
        let mut taken = 0;
        while output.is_empty() {
            match self.waiting() {
                Some(stage) => self.step(stage, output)?,
                None if taken < input.len() => {
                    let Some((first, rest)) = self.stages.split_first_mut() else { break };
                    let made = rest.first_mut().map_or(&mut *output, |next| &mut next.input);
                    taken += take(&first.descriptor, &mut *first.coder, &input[taken..], made)?;
                }
                None => break,
            }
        }
        Ok(taken)
    }

    /// Ends the stream; `true` when nothing is left to come. Comes back as soon as something is in the output, as `code` does.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, Failed> {
        while output.is_empty() {
            if let Some(stage) = self.waiting() {
                self.step(stage, output)?;
                continue;
            }
            let Some((stage, rest)) = self.stages.get_mut(self.ended..).and_then(<[Stage]>::split_first_mut) else {
                return Ok(true);
            };
            let made = rest.first_mut().map_or(&mut *output, |next| &mut next.input);
            let has_ended = stage.coder.finish(made).map_err(|source| stage.failed(source))?;
            if has_ended {
                self.ended += 1;
            } else if made.is_empty() {
                return Err(stage.failed("it neither ends nor makes anything".into()));
            }
        }
        Ok(false)
    }

    /// The last stage that has something to take: what is nearest to the end goes on first, so that nothing piles up.
    fn waiting(&self) -> Option<usize> {
        self.stages.iter().rposition(|stage| stage.taken < stage.input.len())
    }

    fn step(&mut self, stage: usize, output: &mut Vec<u8>) -> Result<(), Failed> {
        let Some((stage, rest)) = self.stages.get_mut(stage..).and_then(<[Stage]>::split_first_mut) else {
            return Ok(());
        };
        let made = rest.first_mut().map_or(output, |next| &mut next.input);
        stage.taken += take(&stage.descriptor, &mut *stage.coder, &stage.input[stage.taken..], made)?;
        if stage.taken == stage.input.len() {
            stage.input.clear();
            stage.taken = 0;
        }
        Ok(())
    }
}

impl Stage {
    fn failed(&self, source: DataError) -> Failed {
        Failed { transform: Arc::clone(&self.descriptor), source }
    }
}

/// Lets a coder take some input; how much.
fn take(descriptor: &Arc<str>, coder: &mut dyn Coder, input: &[u8], made: &mut Vec<u8>) -> Result<usize, Failed> {
    let failed = |source| Failed { transform: Arc::clone(descriptor), source };
    let before = made.len();
    let taken = coder.code(input, made).map_err(failed)?;
    if taken > input.len() {
        return Err(failed("it takes more than there is".into()));
    }
    if taken == 0 && made.len() == before {
        return Err(failed("it neither takes nor makes anything".into()));
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives each byte several times, a few bytes of output at a time, and a last one of its own.
    struct Repeat {
        times: usize,
        left: Vec<u8>,
        end: Vec<u8>,
    }

    impl Coder for Repeat {
        fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DataError> {
            if self.left.is_empty() {
                self.left = vec![input[0]; self.times];
                return Ok(1);
            }
            output.extend(self.left.drain(..self.left.len().min(3)));
            Ok(0)
        }

        fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, DataError> {
            let left = if self.left.is_empty() { &mut self.end } else { &mut self.left };
            output.extend(left.drain(..left.len().min(3)));
            Ok(self.left.is_empty() && self.end.is_empty())
        }
    }

    fn repeats(times: &[usize]) -> Chain {
        Chain::new(times.iter().map(|&times| {
            let coder = Repeat { times, left: Vec::new(), end: vec![7; 4] };
            (Arc::from(format!("repeat/{times}")), Box::new(coder) as Box<dyn Coder>)
        }))
    }

    /// What the chain makes, and the most that it has held at once.
    fn run(chain: &mut Chain, input: &[u8], piece: usize) -> Result<(Vec<u8>, usize), Failed> {
        let (mut all, mut most, mut made) = (Vec::new(), 0, Vec::new());
        for piece in input.chunks(piece) {
            let mut rest = piece;
            while !rest.is_empty() {
                made.clear();
                let taken = chain.code(rest, &mut made)?;
                rest = &rest[taken..];
                all.extend(&made);
                most = most.max(chain.stages.iter().map(|stage| stage.input.len()).sum());
            }
        }
        loop {
            made.clear();
            let has_ended = chain.finish(&mut made)?;
            all.extend(&made);
            if has_ended {
                return Ok((all, most));
            }
        }
    }

    proptest! {
        #[test]
        fn every_stage_gets_all_of_what_the_one_before_makes(
            times in prop::collection::vec(1..6usize, 1..4), input in prop::collection::vec(any::<u8>(), 0..40), piece in 1..9usize,
        ) {
            let stage = |bytes: Vec<u8>, times: &usize| {
                let mut made: Vec<u8> = bytes.iter().flat_map(|byte| vec![*byte; *times]).collect();
                made.extend([7; 4]);
                made
            };
            let expected = times.iter().fold(input.clone(), stage);
            let (found, most) = run(&mut repeats(&times), &input, piece).expect("codes");
            prop_assert_eq!(found, expected);
            prop_assert!(most <= 3 * times.len(), "{} bytes were held between stages", most);
        }
    }

    /// Does as it is told, and nothing that is asked of it.
    struct Stubborn(usize);

    impl Coder for Stubborn {
        fn code(&mut self, input: &[u8], _: &mut Vec<u8>) -> Result<usize, DataError> {
            Ok(self.0 * input.len())
        }
        fn finish(&mut self, _: &mut Vec<u8>) -> Result<bool, DataError> {
            Ok(false)
        }
    }

    #[test]
    fn a_coder_that_does_not_get_on_is_an_error() {
        for (factor, reason) in
            [(0, "neither takes nor makes"), (1, "neither ends nor makes"), (2, "takes more than there is")]
        {
            let coder: Box<dyn Coder> = Box::new(Stubborn(factor));
            let mut chain = Chain::new([("stubborn/1".into(), coder)]);
            let failed = run(&mut chain, b"some bytes", 4).expect_err("does not get on");
            assert_eq!(&*failed.transform, "stubborn/1");
            assert!(failed.source.to_string().contains(reason), "{}", failed.source);
        }
    }
}
