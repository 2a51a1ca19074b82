//! Why a source cannot be pulled, in a sentence for operators, and how soon to try again.
//!
//! No sentence holds a user name, a password or a URL.

use std::io::{self, ErrorKind};

use amphi_config::Transport;
use amphi_media::retry::Urgency;
use amphi_protocol::rtsp::client::{Failure, Nonsense};

/// Why pulling a source failed or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// The configured URL cannot be used; the operator's fault.
    #[error("the URL cannot be used: {0}")]
    Url(&'static str),
    /// No connection; the network's fault or the encoder's.
    #[error("no connection: {0}")]
    Connect(String),
    /// No TLS: a certificate that is not trusted, or a file of authorities that cannot be used.
    #[error("no TLS: {0}")]
    Tls(String),
    /// No answer in time during connection set-up.
    #[error("the encoder did not answer within {0} s")]
    NoAnswer(u64),
    /// 401 without credentials in the URL.
    #[error("the encoder wants a user name and a password (401), and the URL has none")]
    CredentialsMissing,
    /// 401 or 403 with credentials, or 403 without.
    #[error("the encoder does not accept the user name and the password, or forbids access ({0})")]
    CredentialsRefused(u16),
    /// 401 with authentication schemes that we do not support.
    #[error("the encoder wants a kind of authentication that Amphi does not support (401, {0})")]
    Scheme(String),
    /// 461: RTP over TCP, UDP or multicast is not offered (RFC 2326 §11.3.12).
    #[error("the encoder does not send RTP over {} (461); set `transport` to {}", name(*.0), others(*.0))]
    Transport(Transport),
    /// Another status than success.
    #[error("the encoder answered {status}{} to {method}{}", said(.reason), hint(*status))]
    Status {
        /// The request's RTSP method.
        method: &'static str,
        /// The status code (RFC 2326 §7.1.1).
        status: u16,
        /// The encoder's reason phrase.
        reason: String,
    },
    /// Redirected too often, or to something that is not an RTSP URL.
    #[error("the encoder redirects {0}")]
    Redirect(&'static str),
    /// A web server answers, not an encoder.
    #[error("an HTTP server answers at this address, not an RTSP server")]
    Http,
    /// The only video is of a codec that we cannot decode.
    #[error("the source sends {0} video; H.264 is needed")]
    VideoCodec(String),
    /// The description (SDP) has no video.
    #[error("the source sends no video")]
    NoVideo,
    /// The encoder ended the connection.
    #[error("the encoder closed the connection")]
    Closed,
    /// The connection failed; the network's fault or the encoder's.
    #[error("the connection broke: {0}")]
    Broke(String),
    /// Connected, but neither picture nor sound comes.
    #[error("nothing came for {0} s on the open connection")]
    Silent(u64),
    /// Connected, and sound flows, but no picture comes.
    #[error("no picture came for {0} s, while sound went on")]
    PictureSilent(u64),
    /// PLAY was answered, and nothing followed.
    #[error("no picture came within {0} s of PLAY")]
    NeverBegan(u64),
    /// Pictures flow, but none can be decoded on its own.
    #[error(
        "no IDR picture and no recovery point to start from came within {0} s: switch open GOP or intra refresh off in the \
         encoder, or set a key frame interval of 2 s"
    )]
    NoSyncFrame(u64),
    /// RTSP or RTP that does not follow the protocol; the encoder's fault.
    #[error("the encoder does not follow the protocol: {0}")]
    Protocol(String),
}

impl SourceFault {
    /// How soon to try again after this fault.
    pub fn retry(&self) -> Urgency {
        match self {
            Self::CredentialsMissing | Self::CredentialsRefused(_) | Self::Scheme(_) => Urgency::Refused,
            Self::Url(_) | Self::Http | Self::VideoCodec(_) | Self::NoVideo | Self::Transport(_) => {
                Urgency::Slowly
            }
            _ => Urgency::Soon,
        }
    }

    /// Whether the connection stands, but nothing that can be used comes.
    pub fn is_stall(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::PictureSilent(_) | Self::NeverBegan(_) | Self::NoSyncFrame(_))
    }
}

const fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        Transport::Multicast => "multicast UDP",
    }
}

const fn others(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "\"udp\" or \"multicast\"",
        Transport::Udp => "\"tcp\" or \"multicast\"",
        Transport::Multicast => "\"tcp\" or \"udp\"",
    }
}

fn said(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

const fn hint(status: u16) -> &'static str {
    match status {
        404 => ": there is no stream under this path",
        453 | 503 => ": it serves no more clients",
        454 => ": it forgot the session",
        _ => "",
    }
}

/// The fault of a connection that failed. A peer that closes it before it has read everything resets it.
pub(super) fn from_io(error: &io::Error) -> SourceFault {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            SourceFault::Closed
        }
        _ => SourceFault::Broke(error.to_string()),
    }
}

/// The fault of an RTSP conversation that failed.
pub(super) fn from_conversation(failure: Failure, transport: Transport) -> SourceFault {
    match failure {
        Failure::Nonsense { what: Nonsense::Http, .. } => SourceFault::Http,
        Failure::Nonsense { what, position } => {
            SourceFault::Protocol(format!("{what}, at byte {position} of the connection"))
        }
        Failure::CredentialsMissing => SourceFault::CredentialsMissing,
        Failure::CredentialsRefused(status) => SourceFault::CredentialsRefused(status),
        Failure::Scheme(schemes) => SourceFault::Scheme(schemes),
        Failure::Transport => SourceFault::Transport(transport),
        Failure::Status { method, status, reason } => SourceFault::Status { method, status, reason },
        Failure::Senseless(what) => SourceFault::Protocol(format!("it {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_plain_sentences() {
        let fault = SourceFault::VideoCodec("H.265".to_owned());
        assert_eq!(fault.to_string(), "the source sends H.265 video; H.264 is needed");
        assert_eq!(
            SourceFault::Status { method: "DESCRIBE", status: 404, reason: "Not Found".to_owned() }
                .to_string(),
            "the encoder answered 404 (Not Found) to DESCRIBE: there is no stream under this path"
        );
        let nonsense = Failure::Nonsense { what: Nonsense::NotRtsp, position: 812 };
        assert_eq!(
            from_conversation(nonsense, Transport::Tcp).to_string(),
            "the encoder does not follow the protocol: what it sends is not RTSP, at byte 812 of the connection"
        );
        let fault = from_conversation(Failure::Transport, Transport::Tcp).to_string();
        assert!(fault.contains("RTP over TCP") && fault.contains("\"udp\""), "{fault}");
    }
}
