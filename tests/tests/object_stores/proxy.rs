//! The proxy itself: each fault is what it says.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use dcp_tests::{Fault, Proxy, Request};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nabcdefgh";
/// How much of it a client gets that is left with half of the body.
const HALF: usize = ANSWER.len() - 4;

#[test]
fn what_meets_no_fault_goes_through() {
    let (server, seen) = server();
    let proxy = Proxy::before(server).expect("a port");
    assert_eq!(ask(&proxy, "PUT", "xyz").expect("answered"), ANSWER);
    assert_eq!(ask(&proxy, "GET", "").expect("answered"), ANSWER);
    let put = "PUT /a?b=c HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\nconnection: close\r\n\r\nxyz";
    let get = "GET /a?b=c HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [put, get]);
    let request = |method: &str| Request { method: method.into(), target: "/a?b=c".into() };
    assert_eq!(proxy.requests(), [request("PUT"), request("GET")]);
    assert_eq!(proxy.faults(), 0);
}

#[test]
fn only_what_is_chosen_meets_a_fault() {
    let (server, seen) = server();
    let proxy = Proxy::before(server).expect("a port");
    proxy.inject(Fault::Status(503), |number, request| number == 1 && request.method == "GET");
    assert_eq!(ask(&proxy, "GET", "").expect("answered"), ANSWER);
    let slow_down = String::from_utf8(ask(&proxy, "GET", "").expect("answered")).expect("text");
    assert!(slow_down.starts_with("HTTP/1.1 503 ") && slow_down.contains("<Code>SlowDown</Code>"), "{slow_down}");
    assert_eq!(ask(&proxy, "GET", "").expect("answered"), ANSWER);
    assert_eq!((seen.try_iter().count(), proxy.requests().len(), proxy.faults()), (2, 3, 1));
}

#[test]
fn a_lost_answer_was_an_answer() {
    for (fault, reached) in [(Fault::Reset, 0), (Fault::LostAnswer, 1)] {
        let (server, seen) = server();
        let proxy = Proxy::before(server).expect("a port");
        proxy.inject(fault, |_, _| true);
        let error = ask(&proxy, "PUT", "x").expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(seen.try_iter().count(), reached, "{fault:?}");
    }
}

#[test]
fn half_an_answer_ends_in_a_reset_or_in_good_order() {
    let (server, _seen) = server();
    let proxy = Proxy::before(server).expect("a port");
    proxy.inject(Fault::CutHalfWay, |number, _| number == 0);
    proxy.inject(Fault::ResetHalfWay, |number, _| number == 1);
    assert_eq!(ask(&proxy, "GET", "").expect("ends"), &ANSWER[..HALF]);
    assert_eq!(ask(&proxy, "GET", "").expect_err("reset").kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_stalled_answer_goes_on_when_it_is_let_go() {
    let (server, _seen) = server();
    let proxy = Proxy::before(server).expect("a port");
    proxy.inject(Fault::Stalled, |_, _| true);
    let mut client = connect(&proxy, "GET", "").expect("connects");
    let mut first = [0; HALF];
    client.read_exact(&mut first).expect("half of it");
    client.set_nonblocking(true).expect("does not wait");
    assert_eq!(client.read(&mut [0]).expect_err("no more").kind(), ErrorKind::WouldBlock);
    client.set_nonblocking(false).expect("waits");
    // Until then it is held back, or has not begun to be held back.
    let mut rest = Vec::new();
    let reader = thread::spawn(move || client.read_to_end(&mut rest).map(|_| rest));
    while !reader.is_finished() {
        proxy.release();
        thread::yield_now();
    }
    assert_eq!(reader.join().expect("ends").expect("reads"), &ANSWER[HALF..]);
}

#[test]
fn a_proxy_that_is_gone_refuses_until_it_is_reset() {
    let (server, seen) = server();
    let proxy = Proxy::before(server).expect("a port");
    proxy.inject(Fault::Gone, |_, _| true);
    assert_eq!(ask(&proxy, "GET", "").expect_err("no answer").kind(), ErrorKind::ConnectionReset);
    // Who had connected when it left is reset; at last everybody is refused.
    while ask(&proxy, "GET", "").expect_err("no answer").kind() != ErrorKind::ConnectionRefused {}
    proxy.reset().expect("the same port");
    assert_eq!(ask(&proxy, "GET", "").expect("answered"), ANSWER);
    assert_eq!((seen.try_iter().count(), proxy.requests().len()), (1, 1));
}

/// A server that answers everything alike, and what it was asked. It ends with the process.
fn server() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, seen) = channel();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection");
            let mut request = [0; 1 << 10];
            let count = client.read(&mut request).expect("reads");
            // Before it answers, so that who has an answer finds it.
            drop(sender.send(String::from_utf8_lossy(&request[..count]).into_owned()));
            drop(client.write_all(ANSWER));
        }
    });
    (address, seen)
}

fn connect(proxy: &Proxy, method: &str, body: &str) -> std::io::Result<TcpStream> {
    let mut client = TcpStream::connect(proxy.address())?;
    let length = body.len();
    write!(client, "{method} /a?b=c HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n{body}")?;
    Ok(client)
}

/// Asks, and takes all that comes.
fn ask(proxy: &Proxy, method: &str, body: &str) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    connect(proxy, method, body)?.read_to_end(&mut answer)?;
    Ok(answer)
}
