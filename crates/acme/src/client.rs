//! Sends requests to an authority, whose own certificate is checked against the system's roots or a file's.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of an answer: chains have a few thousand.
const ANSWER_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct AcmeClient(reqwest::Client);

impl AcmeClient {
    /// A client that trusts the authorities in `ca_pem`, else the system's.
    pub(super) fn new(ca_pem: Option<&[u8]>) -> Result<Self, String> {
        let trust = amphi_tls::client_config(ca_pem).map_err(|error| error.to_string())?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).use_preconfigured_tls((*trust).clone());
        Ok(Self(client.https_only(true).build().map_err(|error| error.to_string())?))
    }
}

impl HttpClient for AcmeClient {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let other = |error: reqwest::Error| Error::Other(error.without_url().into());
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| Error::Other(error.into()))?.to_bytes();
            let url = parts.uri.to_string();
            let sent = client.request(parts.method, url).headers(parts.headers).body(body).send();
            let mut answer = sent.await.map_err(other)?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(other)? {
                if bytes.len() + chunk.len() > ANSWER_MAX {
                    return Err(Error::Str("the answer is too long"));
                }
                bytes.extend_from_slice(&chunk);
            }
            let mut response = http::Response::new(Full::new(Bytes::from(bytes)));
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            Ok(BytesResponse::from(response))
        })
    }
}
