//! What becomes of requests.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use socket2::SockRef;

/// What may become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status; the server does not see it.
    Status(u16),
    /// Its connection is reset before there is an answer; the server does not see it.
    Reset,
    /// As [`Reset`](Self::Reset), and later ones are refused any connection.
    Gone,
    /// The server does what it asks for, but the connection is reset before the answer arrives.
    LostAnswer,
    /// The connection is reset half way through the answer: its body, or what there is without one.
    ResetHalfWay,
    /// The connection is closed in good order half way through the answer, which had said that it is longer.
    CutHalfWay,
    /// Half of the answer arrives, the rest not until it is let go.
    Stalled,
}

impl Fault {
    /// Each of them, once.
    pub const ALL: [Self; 9] = [
        Self::Status(429),
        Self::Status(500),
        Self::Status(503),
        Self::Reset,
        Self::Gone,
        Self::LostAnswer,
        Self::ResetHalfWay,
        Self::CutHalfWay,
        Self::Stalled,
    ];

    /// What is done where the server is not asked.
    pub(super) fn instead(self) -> Option<Instead> {
        match self {
            Self::Status(status) => Some(Instead::Status(status)),
            Self::Reset | Self::Gone => Some(Instead::Reset),
            Self::LostAnswer | Self::ResetHalfWay | Self::CutHalfWay | Self::Stalled => None,
        }
    }

    /// Sends what is left of the server's answer.
    pub(super) fn spoil(self, answer: &[u8], mut client: TcpStream, hold: impl FnOnce()) -> io::Result<()> {
        let (first, second) = answer.split_at(half_way(answer));
        match self {
            Self::LostAnswer => return reset(client),
            Self::ResetHalfWay => {
                client.write_all(first)?;
                return reset(client);
            }
            Self::CutHalfWay => client.write_all(first)?,
            _ => {
                client.write_all(first)?;
                hold();
                client.write_all(second)?;
            }
        }
        Ok(())
    }
}

/// An answer that is not the server's.
pub(super) enum Instead {
    Status(u16),
    Reset,
}

impl Instead {
    pub(super) fn send(self, mut client: TcpStream) -> io::Result<()> {
        match self {
            Self::Reset => reset(client),
            Self::Status(status) => {
                let code = match status {
                    429 => "TooManyRequests",
                    503 => "SlowDown",
                    _ => "InternalError",
                };
                let body = format!("<Error><Code>{code}</Code><Message>a fault of the tests</Message></Error>");
                let length = body.len();
                let head = format!("HTTP/1.1 {status} {code}\r\nconnection: close\r\ncontent-length: {length}\r\n");
                client.write_all(format!("{head}content-type: application/xml\r\n\r\n{body}").as_bytes())
            }
        }
    }
}

/// The middle of the body, or of what there is without one.
fn half_way(answer: &[u8]) -> usize {
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(answer.len(), |end| end + 4);
    if body < answer.len() { body + (answer.len() - body) / 2 } else { answer.len() / 2 }
}

/// Ends a connection at once: what has not been sent is thrown away, and the other side gets an error.
fn reset(client: TcpStream) -> io::Result<()> {
    SockRef::from(&client).set_linger(Some(Duration::ZERO))
}
