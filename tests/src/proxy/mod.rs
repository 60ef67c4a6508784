//! A proxy between a client and a server of HTTP on this machine, which makes of chosen requests what becomes of requests in a network.

mod fault;
mod request;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

pub use fault::Fault;
pub use request::Request;

/// The proxy. It listens until it is dropped.
///
/// Each request has a connection of its own, so that what is done to one touches no other. What changes something reaches the server one
/// after the other: servers made for tests look whether a condition holds and then write, which stores that are used for more do in one step.
/// Requests are numbered from 0 in the order in
/// which they arrive.
///
/// ```
/// use dcp_tests::{Fault, Proxy};
/// # let server = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
/// let proxy = Proxy::before(server)?;
/// proxy.inject(Fault::Status(503), |number, request| number == 2 && request.method == "PUT");
/// // Let a client write to `proxy.address()`.
/// assert!(proxy.requests().is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// A proxy on a free port, before this server.
    ///
    /// # Errors
    /// If there is none.
    pub fn before(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            address,
            state: Mutex::default(),
            let_go: Condvar::new(),
            turn: Mutex::default(),
        });
        let proxy = Self { address, shared, listening: Mutex::default() };
        proxy.listen(listener);
        Ok(proxy)
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does this to every request that is chosen by its number and by what it says. Of several faults that choose a request it
    /// meets the first.
    pub fn inject(&self, fault: Fault, chosen: impl Fn(usize, &Request) -> bool + Send + 'static) {
        self.shared.state().rules.push(Rule { fault, chosen: Box::new(chosen) });
    }

    /// Forgets faults and requests, lets go what is held back, and listens again.
    ///
    /// # Errors
    /// If somebody else has taken the port meanwhile.
    pub fn reset(&self) -> io::Result<()> {
        self.shared.release();
        let was_gone = self.shared.state().is_gone;
        if was_gone {
            self.stop_listening();
        }
        let mut state = self.shared.state();
        *state = State { epoch: state.epoch, ..State::default() };
        drop(state);
        if was_gone {
            self.listen(TcpListener::bind(self.address)?);
        }
        Ok(())
    }

    /// Lets answers go on that are [stalled](Fault::Stalled).
    pub fn release(&self) {
        self.shared.release();
    }

    /// What was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// How many requests have met a fault.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.shared.state().faults
    }

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let listening = thread::spawn(move || accept(&listener, &shared));
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(listening);
    }

    fn stop_listening(&self) {
        self.shared.leave();
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening {
            drop(listening.join());
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.release();
        self.stop_listening();
    }
}

/// What the threads of a proxy share.
#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    address: SocketAddr,
    state: Mutex<State>,
    let_go: Condvar,
    /// Held while the server changes something.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<Request>,
    faults: usize,
    /// How often what is held back was let go.
    epoch: usize,
    /// Nobody listens.
    is_gone: bool,
}

/// Whether a request with this number is chosen.
type Choice = dyn Fn(usize, &Request) -> bool + Send;

/// A fault, and the requests that meet it.
struct Rule {
    fault: Fault,
    chosen: Box<Choice>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and says what it meets.
    fn meets(&self, request: &Request) -> Option<Fault> {
        let mut state = self.state();
        let number = state.requests.len();
        state.requests.push(request.clone());
        let fault = state.rules.iter().find(|rule| (rule.chosen)(number, request)).map(|rule| rule.fault);
        state.faults += usize::from(fault.is_some());
        fault
    }

    /// The server's whole answer.
    fn ask(&self, request: &Request, message: &[u8]) -> io::Result<Vec<u8>> {
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        let _turn = (!reads).then(|| self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        let mut server = TcpStream::connect(self.server)?;
        server.write_all(message)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }

    /// Waits until what is held back is let go.
    fn hold(&self) {
        let state = self.state();
        let epoch = state.epoch;
        drop(self.let_go.wait_while(state, |state| state.epoch == epoch && !state.is_gone));
    }

    fn release(&self) {
        self.state().epoch += 1;
        self.let_go.notify_all();
    }

    /// Ends the listening: connections are refused from now on.
    fn leave(&self) {
        self.state().is_gone = true;
        // So that the thread that waits for a connection sees it.
        drop(TcpStream::connect(self.address));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.state().is_gone {
            break;
        }
        let shared = Arc::clone(shared);
        // What fails between client and server is for the client to see: its connection ends.
        thread::spawn(move || client.and_then(|client| serve(client, &shared)));
    }
}

/// One request of one connection.
fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let Some((request, message)) = Request::read(&mut client)? else { return Ok(()) };
    let fault = shared.meets(&request);
    if fault == Some(Fault::Gone) {
        shared.leave();
    }
    if let Some(answer) = fault.and_then(Fault::instead) {
        return answer.send(client);
    }
    let answer = shared.ask(&request, &message)?;
    match fault {
        None => client.write_all(&answer),
        Some(fault) => fault.spoil(&answer, client, || shared.hold()),
    }
}
