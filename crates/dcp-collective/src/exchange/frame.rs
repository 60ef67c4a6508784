//! The messages of an exchange: a kind, the mark of the step, and a payload in MessagePack.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mix::{mix, mix_text};

/// One call of a method of the exchange, the same on all ranks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// What the caller named it.
    pub(super) name: &'static str,
    /// A hash of its number, its kind and its name, by which ranks notice that they are at different steps.
    mark: u64,
}

impl Step {
    pub(super) fn new(number: u64, operation: &'static str, name: &'static str) -> Self {
        Self { name, mark: mix_text(mix_text(mix(0, number), operation), name) }
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The sender is there, and moves. No payload.
    KeepAlive = 0,
    /// What the step is about.
    Value = 1,
    /// The step failed; the payload is a verdict.
    Failure = 2,
}

/// A received message whose header makes sense.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    mark: u64,
    message: Vec<u8>,
}

impl Frame {
    /// Takes a message apart; an error says what is wrong with it.
    pub(super) fn parse(message: Vec<u8>) -> Result<Self, &'static str> {
        let Some((header, _)) = message.split_first_chunk::<HEADER>() else { return Err("too short") };
        let [kind, mark @ ..] = *header;
        let kind = match kind {
            0 => Kind::KeepAlive,
            1 => Kind::Value,
            2 => Kind::Failure,
            _ => return Err("unknown kind of message"),
        };
        Ok(Self { kind, mark: u64::from_le_bytes(mark), message })
    }

    pub(super) fn belongs_to(&self, step: Step) -> bool {
        self.mark == step.mark
    }

    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T, rmp_serde::decode::Error> {
        rmp_serde::from_slice(self.message.get(HEADER..).unwrap_or_default())
    }
}

/// A message with a payload, written into one buffer.
///
/// Structs are encoded with their field names: with less, serde's `skip_serializing_if`, `flatten` and untagged enums
/// would not survive.
pub(super) fn encode<T: Serialize>(kind: Kind, step: Step, value: &T) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut message = header(kind, step);
    rmp_serde::encode::write_named(&mut message, value)?;
    Ok(message)
}

/// A message without a payload.
pub(super) fn header(kind: Kind, step: Step) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER);
    message.push(kind as u8);
    message.extend_from_slice(&step.mark.to_le_bytes());
    message
}

/// Kind and mark.
const HEADER: usize = 1 + size_of::<u64>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let step = Step::new(7, "gather", "plans");
        let message = encode(Kind::Value, step, &("a", 1_u64)).expect("encodes");
        let frame = Frame::parse(message).expect("parses");
        assert_eq!(frame.kind, Kind::Value);
        assert!(frame.belongs_to(step));
        assert_eq!(frame.decode::<(String, u64)>().expect("decodes"), ("a".to_owned(), 1));
    }

    #[test]
    fn steps_differ_by_number_operation_and_name() {
        let frame = Frame::parse(header(Kind::Value, Step::new(1, "gather", "a"))).expect("parses");
        for other in [Step::new(2, "gather", "a"), Step::new(1, "barrier", "a"), Step::new(1, "gather", "b")] {
            assert!(!frame.belongs_to(other));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Frame::parse(Vec::new()).is_err());
        assert!(Frame::parse(vec![1; HEADER - 1]).is_err());
        assert!(Frame::parse(vec![3; HEADER]).is_err());
        let empty = Frame::parse(vec![1; HEADER]).expect("a header is enough");
        assert!(empty.decode::<u8>().is_err());
    }
}
