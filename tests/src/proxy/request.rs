//! Requests, as far as a proxy must understand them.

use std::io::{self, Read};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT`, and so on.
    pub method: String,
    /// What it asks for: path and query.
    pub target: String,
}

/// No head is longer, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

impl Request {
    /// Reads a request, and gives it back with all its bytes, which ask for the connection to be closed after the answer. `None` if the
    /// client has nothing to ask.
    pub(super) fn read(client: &mut impl Read) -> io::Result<Option<(Self, Vec<u8>)>> {
        let mut message = Vec::new();
        let (request, head, body) = loop {
            let mut block = [0; 8 << 10];
            let count = client.read(&mut block)?;
            if count == 0 {
                return Ok(None);
            }
            message.extend_from_slice(&block[..count]);
            if let Some(parsed) = parse(&message)? {
                break parsed;
            }
            if message.len() > LONGEST_HEAD {
                return Err(invalid("its head is too long"));
            }
        };
        let missing = (head + body).saturating_sub(message.len());
        client.take(missing as u64).read_to_end(&mut message)?;
        // Not among the headers that clients sign.
        message.splice(head - 2..head - 2, *b"connection: close\r\n");
        Ok(Some((request, message)))
    }
}

/// What is asked, and the bytes of head and body, as soon as the head is there.
fn parse(message: &[u8]) -> io::Result<Option<(Request, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(message).map_err(invalid)? else { return Ok(None) };
    let header = |name: &str| parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if header("transfer-encoding").is_some() {
        return Err(invalid("it does not say how long it is"));
    }
    let length = header("content-length").map(|header| String::from_utf8_lossy(header.value).parse());
    let body = length.transpose().map_err(invalid)?.unwrap_or(0);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(Some((Request { method: text(parsed.method), target: text(parsed.path) }, head, body)))
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
