//! Why a source cannot be had, in a sentence for people, and how soon to try again.
//!
//! No sentence carries a user name, a password or an URL.

use crate::config::Transport;

/// Why pulling a source failed or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// The configured URL cannot be used; the operator's fault.
    #[error("the URL cannot be used: {0}")]
    Url(&'static str),
    /// No connection; the network's fault or the encoder's.
    #[error("no connection: {0}")]
    Connect(String),
    /// No answer in time during connection set-up.
    #[error("the encoder did not answer within {0} s")]
    NoAnswer(u64),
    /// 401 without credentials in the URL.
    #[error("the encoder wants a user name and a password (401), and the URL has none")]
    CredentialsMissing,
    /// 401 or 403 with credentials, or 403 without.
    #[error("the encoder does not accept the user name and the password, or forbids access ({0})")]
    CredentialsRefused(u16),
    /// 461: RTP over TCP or UDP is not offered (RFC 2326 §11.3.8).
    #[error("the encoder does not send RTP over {} (461); try the other transport", name(*.0))]
    Transport(Transport),
    /// Another status than success.
    #[error("the encoder answered {status}{}", hint(*status))]
    Status {
        /// RTSP status code.
        status: u16,
    },
    /// A web server, not an encoder.
    #[error("an HTTP server answers at this address, not an RTSP server")]
    Http,
    /// Video that we cannot decode.
    #[error("the source sends {0} video; H.264 is needed")]
    VideoCodec(String),
    /// A description without a picture.
    #[error("the source sends no video")]
    NoVideo,
    /// The connection ended.
    #[error("the encoder closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broke(String),
    /// Connected, but frozen.
    #[error("nothing came for {0} s on the open connection")]
    Silent(u64),
    /// Connected, sound flows, the picture is frozen.
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
    /// RTSP or RTP that makes no sense; the encoder's fault.
    #[error("the encoder sent something senseless: {0}")]
    Protocol(String),
}

/// How soon to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// With growing delay.
    Soon,
    /// Slowly: it takes a person to change this.
    Slowly,
    /// Slowly: more tries may lock the account.
    Refused,
}

impl SourceFault {
    /// How soon to try again after this fault.
    pub fn retry(&self) -> Retry {
        match self {
            Self::CredentialsMissing | Self::CredentialsRefused(_) => Retry::Refused,
            Self::Url(_) | Self::Http | Self::VideoCodec(_) | Self::NoVideo | Self::Transport(_) => {
                Retry::Slowly
            }
            _ => Retry::Soon,
        }
    }

    /// The connection stands, but nothing comes.
    pub fn is_stall(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::PictureSilent(_) | Self::NeverBegan(_) | Self::NoSyncFrame(_))
    }
}

const fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        404 => ": there is no stream under this path",
        453 | 503 => ": it serves no more clients",
        454 => ": it forgot the session",
        _ => "",
    }
}

/// The first line of a library error, which says the matter; the lines below it name connections and bytes.
pub(super) fn first_line(error: &retina::Error) -> String {
    const LONGEST: usize = 160;
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim_end_matches("; buffered:");
    line.chars().take(LONGEST).filter(|c| !c.is_control()).collect()
}

/// An error of the connection set-up. `had_credentials`: the URL carried some.
pub(super) fn from_setup(error: &retina::Error, had_credentials: bool, transport: Transport) -> SourceFault {
    match error.status_code() {
        Some(401) if !had_credentials => SourceFault::CredentialsMissing,
        Some(status @ (401 | 403)) => SourceFault::CredentialsRefused(status),
        Some(461) => SourceFault::Transport(transport),
        // With 200, the library dislikes the answer's content.
        Some(status) if status >= 300 => SourceFault::Status { status },
        // The dump of the bytes that are not RTSP.
        None if error.to_string().contains("HTTP/1.") => SourceFault::Http,
        _ => from_stream(error),
    }
}

/// An error of a connection, at any time.
pub(super) fn from_stream(error: &retina::Error) -> SourceFault {
    let line = first_line(error);
    // The library's errors have no kinds but their texts (0.4.21, `error.rs`); tests hold these.
    if let Some(why) = line.strip_prefix("Unable to connect to RTSP server: ") {
        SourceFault::Connect(why.to_owned())
    } else if let Some((_, why)) =
        line.split_once(" RTSP peer: ").filter(|(doing, _)| doing.starts_with("Error "))
        && !why.contains("EOF while")
    {
        SourceFault::Broke(why.to_owned())
    } else if line.contains("EOF while expecting response") {
        SourceFault::Closed
    } else {
        SourceFault::Protocol(line)
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
            SourceFault::Status { status: 404 }.to_string(),
            "the encoder answered 404: there is no stream under this path"
        );
        assert!(SourceFault::Transport(Transport::Tcp).to_string().contains("RTP over TCP"));
    }
}
