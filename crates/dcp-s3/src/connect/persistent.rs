//! HTTP with patience: requests that fail in a way that may pass are made again.
//!
//! It stands below the clients of `object_store`, which make none themselves.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tokio::time::timeout;

use crate::work::Tries;

/// Makes clients that are patient.
#[derive(Clone, Debug, Default)]
pub(super) struct Connector {
    keep_existing: bool,
    made: Arc<Mutex<Option<HttpClient>>>,
}

impl Connector {
    /// The same; an upload of several parts does not replace what bears its name by then (S3, which has a header for it that
    /// `object_store` does not send).
    #[cfg(feature = "aws")]
    pub(super) fn keep_existing(self, keep: bool) -> Self {
        Self { keep_existing: keep, ..self }
    }

    /// The last client that was made. (Those for credentials are made first.)
    #[cfg(feature = "aws")]
    pub(super) fn last(&self) -> Option<HttpClient> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Time is kept here and above.
        let options = options.clone().with_timeout_disabled();
        let inner = ReqwestConnector::default().connect(&options)?;
        let client = HttpClient::new(Persistent { inner, keep_existing: self.keep_existing });
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        Ok(client)
    }
}

/// What clients are told, so that they leave it to us.
pub(super) fn no_retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::ZERO }
}

#[derive(Debug)]
struct Persistent {
    inner: HttpClient,
    keep_existing: bool,
}

#[async_trait]
impl HttpService for Persistent {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let tries = Tries::current();
        tries.begin(is_for_credentials(&request));
        let completes = is_completion(&request);
        if completes && self.keep_existing {
            request.headers_mut().insert("if-none-match", object_store::HeaderValue::from_static("*"));
        }
        loop {
            // Parts are put together for about as long as they take to be sent.
            let limit = tries.attempt(if completes { usize::MAX } else { request.body().content_length() });
            let attempt = async { judge(self.inner.execute(request.clone()).await, completes).await };
            let verdict = match timeout(limit, attempt).await {
                Ok(verdict) => verdict,
                Err(_) => Verdict::lost(silence(limit)),
            };
            if verdict.may_have_happened {
                tries.lose();
            }
            if verdict.answer.as_ref().is_ok_and(|answer| matches!(answer.status().as_u16(), 401 | 403)) {
                tries.deny();
            }
            if !verdict.may_pass || !tries.again().await {
                return verdict.answer;
            }
        }
    }
}

struct Verdict {
    answer: Result<HttpResponse, HttpError>,
    /// It is worth another attempt.
    may_pass: bool,
    /// It failed, and yet the store may have acted on it.
    may_have_happened: bool,
}

impl Verdict {
    fn last(answer: HttpResponse) -> Self {
        Self { answer: Ok(answer), may_pass: false, may_have_happened: false }
    }

    fn lost(fault: HttpError) -> Self {
        let may_have_happened = fault.kind() != HttpErrorKind::Connect;
        Self { answer: Err(fault), may_pass: true, may_have_happened }
    }
}

async fn judge(answer: Result<HttpResponse, HttpError>, completes: bool) -> Verdict {
    let response = match answer {
        Ok(response) => response,
        Err(fault) => return Verdict::lost(fault),
    };
    match response.status().as_u16() {
        // Nobody has it, and nobody will have it soon.
        501 | 505 => Verdict::last(response),
        500..=599 => Verdict { answer: Ok(response), may_pass: true, may_have_happened: true },
        408 | 429 => Verdict { answer: Ok(response), may_pass: true, may_have_happened: false },
        // Two changes at one time, which says nothing of the state after them. (Azure says 409 for what exists.)
        409 => match read(response).await {
            Ok((response, body)) => {
                let may_pass = contains(&body, b"ConditionalRequestConflict") || contains(&body, b"OperationAborted");
                Verdict { answer: Ok(response), may_pass, may_have_happened: false }
            }
            Err(fault) => Verdict::lost(fault),
        },
        // S3 begins to answer before it has put the parts together, and it may find that it cannot.
        200 if completes => match read(response).await {
            Ok((response, body)) => {
                let failed = contains(&body, b"<Error>") || contains(&body, b"<Error ");
                Verdict { answer: Ok(response), may_pass: failed, may_have_happened: failed }
            }
            Err(fault) => Verdict::lost(fault),
        },
        _ => Verdict::last(response),
    }
}

/// The response again, and what it says.
async fn read(response: HttpResponse) -> Result<(HttpResponse, Bytes), HttpError> {
    let (parts, body) = response.into_parts();
    let mut stream = body.bytes_stream();
    let mut text = BytesMut::new();
    while let Some(piece) = stream.try_next().await? {
        if text.len() + piece.len() > LONGEST_ANSWER {
            return Err(HttpError::new(HttpErrorKind::Decode, io::Error::other("an answer that never ends")));
        }
        text.extend_from_slice(&piece);
    }
    let text = text.freeze();
    Ok((HttpResponse::from_parts(parts, HttpResponseBody::from(text.clone())), text))
}

/// In bytes; what is read of an answer that is no object.
const LONGEST_ANSWER: usize = 1 << 20;

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn silence(limit: Duration) -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, Silence(limit))
}

#[derive(Debug)]
struct Silence(Duration);

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {:.1?}", self.0)
    }
}

impl std::error::Error for Silence {}

/// Whether a request makes an object of parts: `POST …?uploadId=…`.
fn is_completion(request: &HttpRequest) -> bool {
    request.method().as_str() == "POST" && request.uri().query().is_some_and(|query| query.contains("uploadId="))
}

/// Whether a request goes to where machines and clouds give out credentials.
fn is_for_credentials(request: &HttpRequest) -> bool {
    let host = request.uri().host().unwrap_or_default();
    matches!(host, "169.254.169.254" | "169.254.170.2" | "169.254.170.23" | "metadata.google.internal" | "metadata")
        || ["sts.", "oauth2.", "login."].iter().any(|start| host.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use object_store::client::HttpRequestBody;

    use super::*;
    use crate::Traffic;
    use crate::work::{self, Cause, Failure};

    /// What a server does with one request.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Answer(u16, &'static str),
        Refuse,
        Reset,
        Keep,
    }
    use Act::{Answer, Keep, Refuse, Reset};

    /// Does one after the other, and keeps what it was asked.
    #[derive(Debug, Default)]
    struct Server {
        acts: Mutex<VecDeque<Act>>,
        asked: Mutex<Vec<HttpRequest>>,
    }

    #[derive(Debug)]
    struct Line(Arc<Server>);

    #[async_trait]
    impl HttpService for Line {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            self.0.asked.lock().expect("sound").push(request);
            let act = self.0.acts.lock().expect("sound").pop_front().expect("no more requests than answers");
            let fault = |kind, cause: io::ErrorKind| Err(HttpError::new(kind, io::Error::from(cause)));
            match act {
                Answer(status, text) => {
                    let mut response = HttpResponse::new(HttpResponseBody::from(Bytes::from_static(text.as_bytes())));
                    *response.status_mut() = status.try_into().expect("a status");
                    Ok(response)
                }
                Refuse => fault(HttpErrorKind::Connect, io::ErrorKind::ConnectionRefused),
                Reset => fault(HttpErrorKind::Interrupted, io::ErrorKind::ConnectionReset),
                Keep => std::future::pending().await,
            }
        }
    }

    /// What comes of a request: the status and text that come back, and the requests it took; or how it failed.
    async fn ask(acts: &[Act], method: &str, url: &str) -> (Result<(u16, String), Failure>, Vec<HttpRequest>) {
        let server = Arc::new(Server { acts: Mutex::new(acts.iter().copied().collect()), ..Server::default() });
        let inner = HttpClient::new(Line(Arc::clone(&server)));
        let client = HttpClient::new(Persistent { inner, keep_existing: true });
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method.parse().expect("a method");
        *request.uri_mut() = url.parse().expect("a URL");
        let work = async {
            let store = |fault: HttpError| object_store::Error::Generic { store: "test", source: Box::new(fault) };
            let response = client.execute(request).await.map_err(store)?;
            let status = response.status().as_u16();
            let (_, text) = read(response).await.map_err(store)?;
            let text = String::from_utf8(text.to_vec()).expect("text");
            // Clients make errors of statuses.
            let failed = || object_store::Error::Generic { store: "test", source: format!("{status} {text}").into() };
            if status < 500 { Ok((status, text)) } else { Err(failed()) }
        };
        let outcome = work::ask(Traffic::default().attempts(4).patience(), work).await;
        let asked = std::mem::take(&mut *server.asked.lock().expect("sound"));
        (outcome, asked)
    }

    const OBJECT: &str = "http://host/bucket/key";

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again() {
        for act in [Answer(500, ""), Answer(503, "SlowDown"), Answer(429, ""), Answer(408, ""), Refuse, Reset, Keep] {
            let (outcome, asked) = ask(&[act, act, Answer(200, "done")], "PUT", OBJECT).await;
            assert_eq!(outcome.expect("done"), (200, "done".to_owned()), "{act:?}");
            assert_eq!(asked.len(), 3);
        }
        for code in ["ConditionalRequestConflict", "OperationAborted"] {
            let (outcome, _) = ask(&[Answer(409, code), Answer(412, "")], "PUT", OBJECT).await;
            assert_eq!(outcome.expect("an answer").0, 412);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_is_answered_at_once() {
        for status in [200, 206, 304, 307, 400, 401, 403, 404, 409, 412, 416] {
            let (outcome, _) = ask(&[Answer(status, "so it is")], "GET", OBJECT).await;
            assert_eq!(outcome.expect("an answer"), (status, "so it is".to_owned()));
        }
        let (outcome, _) = ask(&[Answer(501, "")], "GET", OBJECT).await;
        assert!(matches!(outcome, Err(Failure { cause: Cause::Answer(_), attempts: 1, .. })), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_come_to_an_end_and_are_told() {
        for (act, unanswered) in
            [(Answer(503, "SlowDown"), true), (Answer(500, ""), true), (Reset, true), (Keep, true), (Refuse, false)]
        {
            let (outcome, asked) = ask(&[act; 4], "PUT", OBJECT).await;
            let failure = outcome.expect_err("failed");
            assert!(matches!(failure.cause, Cause::Exhausted(_)), "{act:?}: {failure:?}");
            assert_eq!((failure.attempts, failure.unanswered, asked.len()), (4, unanswered, 4), "{act:?}");
        }
        let (outcome, _) = ask(&[Answer(503, "SlowDown"); 4], "PUT", OBJECT).await;
        assert!(work::reason(outcome.expect_err("failed")).contains("SlowDown"));
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_after_a_lost_answer_is_told_as_such() {
        let work = async {
            let server = Arc::new(Server { acts: Mutex::new([Reset, Answer(412, "")].into()), ..Server::default() });
            let client = HttpClient::new(Persistent { inner: HttpClient::new(Line(server)), keep_existing: false });
            let answer = client.execute(HttpRequest::new(HttpRequestBody::empty())).await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 412);
            Err::<(), _>(object_store::Error::Precondition { path: "key".into(), source: "taken".into() })
        };
        let failure = work::ask(Traffic::default().patience(), work).await.expect_err("refused");
        assert!(failure.is_refused() && failure.unanswered);
        assert_eq!(failure.attempts, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn denial_is_told_whatever_the_client_makes_of_it() {
        let work = async {
            let server = Arc::new(Server { acts: Mutex::new([Answer(403, "")].into()), ..Server::default() });
            let client = HttpClient::new(Persistent { inner: HttpClient::new(Line(server)), keep_existing: false });
            drop(client.execute(HttpRequest::new(HttpRequestBody::empty())).await);
            Err::<(), _>(object_store::Error::Generic { store: "test", source: "something".into() })
        };
        assert!(work::ask(Traffic::default().patience(), work).await.expect_err("denied").denied);
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_not_asked_for_long() {
        let url = "http://169.254.169.254/latest/api/token";
        let (outcome, asked) = ask(&[Refuse, Refuse], "PUT", url).await;
        let failure = outcome.expect_err("failed");
        assert!(failure.for_credentials);
        assert_eq!(asked.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn completion_is_on_a_condition_and_may_fail_after_its_answer_began() {
        let complete = "http://host/bucket/key?uploadId=7";
        let failed = Answer(200, "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>");
        let (outcome, asked) = ask(&[failed, Answer(200, "<CompleteMultipartUploadResult/>")], "POST", complete).await;
        assert_eq!(outcome.expect("done").1, "<CompleteMultipartUploadResult/>");
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().all(|request| request.headers().get("if-none-match").is_some_and(|value| value == "*")));
        // Nothing else is.
        for (method, url) in [("PUT", complete), ("POST", "http://host/bucket/key?uploads"), ("DELETE", complete)] {
            let (_, asked) = ask(&[Answer(200, "")], method, url).await;
            assert_eq!(asked[0].headers().get("if-none-match"), None, "{method} {url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_attempts_together_have_a_deadline() {
        let patience = Traffic::default().deadline(Duration::from_secs(40)).patience();
        let server = Arc::new(Server { acts: Mutex::new([Keep; 8].into()), ..Server::default() });
        let client = HttpClient::new(Persistent { inner: HttpClient::new(Line(server)), keep_existing: false });
        let work = async {
            drop(client.execute(HttpRequest::new(HttpRequestBody::empty())).await);
            Ok(())
        };
        let failure = work::ask(patience, work).await.expect_err("too late");
        assert!(matches!(failure.cause, Cause::Deadline));
        assert_eq!((failure.attempts, failure.unanswered), (2, true));
    }
}
