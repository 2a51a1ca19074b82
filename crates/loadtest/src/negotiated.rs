//! TLS and HTTP/2 (RFC 9113), through hyper: costs more CPU than plain HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::header::{HOST, USER_AGENT};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::fault::{ExchangeError, broken};
use super::socket::{BodySink, connect};
use super::target::{LoadTarget, TargetProtocol};

/// ALPN's name of HTTP/2 (RFC 9113 §3.1).
const H2: &[u8] = b"h2";

pub(super) struct Negotiated {
    target: Arc<LoadTarget>,
    source: Option<SocketAddr>,
    tls: Arc<rustls::ClientConfig>,
    sender: Option<Sender>,
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Negotiated {
    pub(super) fn new(
        target: Arc<LoadTarget>,
        source: Option<SocketAddr>,
        tls: Arc<rustls::ClientConfig>,
    ) -> Self {
        Self { target, source, tls, sender: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.sender.is_some()
    }

    pub(super) async fn exchange(
        &mut self,
        path: &str,
        sink: &mut impl BodySink,
    ) -> Result<u64, ExchangeError> {
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => self.open().await?,
        };
        let reply = match &mut sender {
            Sender::Http1(sender) => {
                let request = Request::get(path).header(HOST, self.target.host());
                let request = request.header(USER_AGENT, "amphi-loadtest").body(Empty::new());
                sender.send_request(request.map_err(|_| ExchangeError::Content("an invalid path"))?).await
            }
            Sender::Http2(sender) => {
                let scheme = if self.target.protocol == TargetProtocol::Https { "https" } else { "http" };
                let request = Request::get(format!("{scheme}://{}{path}", self.target.host()));
                let request = request.header(USER_AGENT, "amphi-loadtest").body(Empty::new());
                sender.send_request(request.map_err(|_| ExchangeError::Content("an invalid path"))?).await
            }
        };
        let mut reply = reply.map_err(|error| failed(&error))?;
        let status = reply.status().as_u16();
        let mut bytes = 0;
        while let Some(frame) = reply.body_mut().frame().await {
            let frame = frame.map_err(|error| failed(&error))?;
            if let Some(data) = frame.data_ref() {
                bytes += data.len() as u64;
                if status == 200 {
                    sink.take(data)?;
                }
            }
        }
        let is_open = match &mut sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        };
        self.sender = Some(sender).filter(|_| is_open);
        if status == 200 { Ok(bytes) } else { Err(ExchangeError::Status(status)) }
    }

    async fn open(&self) -> Result<Sender, ExchangeError> {
        let stream = connect(self.target.address, self.source).await?;
        if self.target.protocol == TargetProtocol::Http2 {
            return http2(stream).await;
        }
        let host = self.target.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name =
            ServerName::try_from(host).map_err(|_| ExchangeError::Content("a host that TLS cannot name"))?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        let stream = stream.map_err(|error| ExchangeError::Refused(format!("TLS: {error}")))?;
        if stream.get_ref().1.alpn_protocol() == Some(H2) {
            return http2(stream).await;
        }
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| failed(&error))?;
        // It ends with the sender; if it ends earlier, the next request gets the error.
        tokio::spawn(connection);
        Ok(Sender::Http1(sender))
    }
}

async fn http2<T>(stream: T) -> Result<Sender, ExchangeError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let opened = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(4 << 20)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = opened.map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    Ok(Sender::Http2(sender))
}

fn failed(error: &hyper::Error) -> ExchangeError {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match cause {
        Some(error) => broken(error),
        None => ExchangeError::Connection(error.to_string()),
    }
}

/// Whom players trust: the authorities that browsers trust, or anybody.
pub(super) fn tls(anybody: bool) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider));
    let mut config = match builder.with_safe_default_protocol_versions() {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        Err(error) => unreachable!("ring speaks TLS 1.2 and 1.3: {error}"),
    };
    if anybody {
        config.dangerous().set_certificate_verifier(Arc::new(Anybody(provider)));
    }
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    config
}

/// For test servers with certificates of their own: signatures are checked, names and authorities are not.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

mod verify {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    impl ServerCertVerifier for super::Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
