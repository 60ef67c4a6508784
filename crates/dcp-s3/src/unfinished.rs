//! Uploads that were begun and neither completed nor aborted.

use std::fmt;

use async_trait::async_trait;
use object_store::Result;
use object_store::path::Path;

#[cfg(feature = "aws")]
pub(crate) use self::s3::S3Uploads;

/// An upload of several parts.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    pub(crate) key: Path,
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only S3 can tell"))]
    pub(crate) id: String,
}

/// A cloud that can say which uploads there are.
#[async_trait]
pub(crate) trait Uploads: fmt::Debug + Send + Sync {
    /// Those of objects below a key, or all of the bucket.
    async fn below(&self, key: Option<&Path>) -> Result<Vec<Unfinished>>;

    /// Those of one object.
    async fn of(&self, key: &Path) -> Result<Vec<Unfinished>>;

    /// Ends one: nothing of it stays.
    async fn abort(&self, upload: &Unfinished) -> Result<()>;
}

#[cfg(feature = "aws")]
mod s3 {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::{Bytes, BytesMut};
    use futures_util::TryStreamExt;
    use http::Method;
    use object_store::aws::AmazonS3;
    use object_store::client::{HttpClient, HttpRequest, HttpRequestBody, HttpResponseBody};
    use object_store::multipart::MultipartStore;
    use object_store::path::Path;
    use object_store::signer::{SignedUrlOptions, Signer};
    use object_store::{Error, Result};
    use serde::Deserialize;

    use super::{Unfinished, Uploads};

    /// The requests that `object_store` does not make.
    #[derive(Debug)]
    pub(crate) struct S3Uploads {
        s3: Arc<AmazonS3>,
        http: HttpClient,
    }

    impl S3Uploads {
        pub(crate) fn new(s3: Arc<AmazonS3>, http: HttpClient) -> Self {
            Self { s3, http }
        }

        /// Those of all objects whose keys start with a text.
        async fn starting_with(&self, prefix: &str) -> Result<Vec<Unfinished>> {
            let mut uploads = Vec::new();
            let mut from = None;
            for _ in 0..MOST_PAGES {
                let Some(text) = self.page(prefix, from.as_ref()).await? else { return Ok(uploads) };
                let page: Page = quick_xml::de::from_reader(&text[..]).map_err(|fault| generic(fault.into()))?;
                let known =
                    |upload: Upload| Some(Unfinished { key: Path::parse(upload.key).ok()?, id: upload.upload_id });
                uploads.extend(page.uploads.into_iter().filter_map(known));
                from =
                    page.next_key.filter(|_| page.is_truncated).map(|key| (key, page.next_upload.unwrap_or_default()));
                if from.is_none() {
                    return Ok(uploads);
                }
            }
            Err(generic(format!("more than {MOST_PAGES} pages of uploads").into()))
        }

        /// What the server says, after these; `None` if it does not know the question.
        async fn page(&self, prefix: &str, from: Option<&(String, String)>) -> Result<Option<Bytes>> {
            let mut query = vec![("uploads", ""), ("prefix", prefix)];
            if let Some((key, upload)) = from {
                query.extend([("key-marker", &**key), ("upload-id-marker", upload)]);
            }
            let options = SignedUrlOptions::default().with_query(query);
            let url = self.s3.signed_url_opts(Method::GET, &Path::default(), VALID, &options).await?;
            // Both mean a space here, but only one is a space in a signature.
            let url = url.as_str().replace('+', "%20");
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            *request.uri_mut() = url.parse().map_err(|fault: http::uri::InvalidUri| generic(fault.into()))?;
            let response = self.http.execute(request).await.map_err(|fault| generic(fault.into()))?;
            let status = response.status().as_u16();
            let text = read(response.into_body()).await?;
            match status {
                200..=299 => Ok(Some(text)),
                501 => Ok(None),
                _ => {
                    let said = String::from_utf8_lossy(&text[..text.len().min(1 << 10)]);
                    let source = format!("the server answers {status}: {said}").into();
                    Err(match status {
                        401 | 403 => Error::PermissionDenied { path: prefix.to_owned(), source },
                        404 => Error::NotFound { path: prefix.to_owned(), source },
                        _ => generic(source),
                    })
                }
            }
        }
    }

    #[async_trait]
    impl Uploads for S3Uploads {
        async fn below(&self, key: Option<&Path>) -> Result<Vec<Unfinished>> {
            self.starting_with(&key.map(|key| format!("{key}/")).unwrap_or_default()).await
        }

        async fn of(&self, key: &Path) -> Result<Vec<Unfinished>> {
            let mut uploads = self.starting_with(key.as_ref()).await?;
            uploads.retain(|upload| upload.key == *key);
            Ok(uploads)
        }

        async fn abort(&self, upload: &Unfinished) -> Result<()> {
            self.s3.abort_multipart(&upload.key, &upload.id).await
        }
    }

    /// How long a request is valid, with all its attempts.
    const VALID: Duration = Duration::from_secs(3600);

    /// Of 1000 uploads each.
    const MOST_PAGES: usize = 1000;

    /// In bytes: a page of the longest keys.
    const LONGEST_PAGE: usize = 16 << 20;

    /// `ListMultipartUploadsResult`.
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        #[serde(default, rename = "Upload")]
        uploads: Vec<Upload>,
        #[serde(default)]
        is_truncated: bool,
        #[serde(rename = "NextKeyMarker")]
        next_key: Option<String>,
        #[serde(rename = "NextUploadIdMarker")]
        next_upload: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Upload {
        key: String,
        upload_id: String,
    }

    async fn read(body: HttpResponseBody) -> Result<Bytes> {
        let mut stream = body.bytes_stream();
        let mut text = BytesMut::new();
        while let Some(piece) = stream.try_next().await.map_err(|fault| generic(fault.into()))? {
            if text.len() + piece.len() > LONGEST_PAGE {
                return Err(generic("a list that never ends".into()));
            }
            text.extend_from_slice(&piece);
        }
        Ok(text.freeze())
    }

    fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::Generic { store: "S3", source }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn pages_are_read() {
            let text = br#"<?xml version="1.0" encoding="UTF-8"?>
                <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
                  <Bucket>bucket</Bucket><KeyMarker/><UploadIdMarker/>
                  <NextKeyMarker>a&amp;b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker>
                  <MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>
                  <Upload><Key>a</Key><UploadId>1</UploadId><Initiator><ID>me</ID></Initiator></Upload>
                  <Upload><Key>a&amp;b</Key><UploadId>2</UploadId><StorageClass>STANDARD</StorageClass></Upload>
                </ListMultipartUploadsResult>"#;
            let page: Page = quick_xml::de::from_reader(&text[..]).expect("a page");
            let uploads: Vec<_> = page.uploads.iter().map(|upload| (&*upload.key, &*upload.upload_id)).collect();
            assert_eq!(uploads, [("a", "1"), ("a&b", "2")]);
            assert!(page.is_truncated);
            assert_eq!((page.next_key.as_deref(), page.next_upload.as_deref()), (Some("a&b"), Some("2")));
            let none: Page = quick_xml::de::from_reader(&b"<ListMultipartUploadsResult/>"[..]).expect("a page");
            assert!(none.uploads.is_empty() && !none.is_truncated);
        }
    }
}
