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
    pub(super) fn keep_existing(self, keep: bool) -> Self {
        Self { keep_existing: keep, ..self }
    }

    /// The last client that was made. (Those for credentials are made first.)
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
            let limit = tries.attempt(request.body().content_length());
            let attempt = async { judge(self.inner.execute(request.clone()).await, completes).await };
            let verdict = match timeout(limit, attempt).await {
                Ok(verdict) => verdict,
                Err(_) => Verdict::lost(silence(limit)),
            };
            if verdict.may_have_happened {
                tries.lose();
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
