//! Tells from the first bytes of a connection which protocol it speaks: RTMP, RTSP and HTTP share port 1935.
//!
//! Nothing is consumed: pass a prefix that was peeked or kept, and a longer one after
//! [`Sniffed::NeedMore`]. At most [`SNIFF_MAX`] bytes are needed.
//!
//! What does *not* belong here: sockets, time limits, what to do about an unknown protocol.

/// If so many bytes do not tell, the protocol is [`Sniffed::Unknown`].
pub const SNIFF_MAX: usize = 4096;

/// Longest method that is accepted. The longest of RTSP and HTTP is `SET_PARAMETER`.
const METHOD_MAX: usize = 24;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// There are too few bytes to tell.
    NeedMore,
    /// RTMP version 3 (RTMP 1.0 §5.2.2).
    Rtmp,
    /// An RTSP request (RFC 2326 §6.1).
    Rtsp,
    /// An HTTP/1 request (RFC 9112 §3) or the preface of HTTP/2 (RFC 9113 §3.4).
    Http,
    /// A TLS handshake record (RFC 8446 §5.1).
    Tls,
    /// Something else, or nothing within [`SNIFF_MAX`] bytes.
    Unknown,
}

/// The protocol of the connection that begins with `start`.
///
/// RTSP and HTTP share methods (`OPTIONS`) and even targets (`*`), so the version at the end of the request
/// line decides. A target that names its scheme decides earlier.
pub fn sniff(start: &[u8]) -> Sniffed {
    // Empty lines before a request are tolerated (RFC 2326 §4, RFC 9112 §2.2).
    let blank = start.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let begun = &start[blank..];
    match begun {
        _ if blank > 4 => Sniffed::Unknown,
        [] => Sniffed::NeedMore,
        [3, ..] if blank == 0 => Sniffed::Rtmp,
        // Content type handshake, legacy version 3.x.
        [0x16] if blank == 0 => Sniffed::NeedMore,
        [0x16, 3, ..] if blank == 0 => Sniffed::Tls,
        _ => sniff_request(begun, start.len() >= SNIFF_MAX),
    }
}

fn sniff_request(request: &[u8], enough: bool) -> Sniffed {
    let method = request.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'_').count();
    let undecided = if enough { Sniffed::Unknown } else { Sniffed::NeedMore };
    match request.get(method) {
        _ if method > METHOD_MAX => return Sniffed::Unknown,
        None => return undecided,
        Some(b' ') if method > 0 => {}
        Some(_) => return Sniffed::Unknown,
    }
    let rest = &request[method + 1..];
    if starts_with(rest, b"rtsp://") || starts_with(rest, b"rtspu://") {
        return Sniffed::Rtsp;
    }
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return undecided };
    let line = rest[..end].trim_ascii_end();
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    // The preface of HTTP/2 reads `PRI * HTTP/2.0`.
    if version.starts_with(b"RTSP/") {
        Sniffed::Rtsp
    } else if version.starts_with(b"HTTP/") {
        Sniffed::Http
    } else {
        Sniffed::Unknown
    }
}

fn starts_with(text: &[u8], scheme: &[u8]) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Complete beginnings and their protocols.
    const BEGINNINGS: [(&[u8], Sniffed); 12] = [
        (b"\x03\x00\x00\x00\x00", Sniffed::Rtmp),
        (b"\x16\x03\x01\x02\x00\x01", Sniffed::Tls),
        (b"OPTIONS rtsp://127.0.0.1:1935/live/hall RTSP/1.0\r\nCSeq: 1\r\n\r\n", Sniffed::Rtsp),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", Sniffed::Rtsp),
        (b"DESCRIBE /live/hall RTSP/1.0\r\n\r\n", Sniffed::Rtsp),
        (b"\r\nGET_PARAMETER * RTSP/1.0\r\n\r\n", Sniffed::Rtsp),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Sniffed::Http),
        (b"GET /live/hall/playlist.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n", Sniffed::Http),
        (b"GET /?u=rtsp://x HTTP/1.0\n\n", Sniffed::Http),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Sniffed::Http),
        (b"GET /\r\n", Sniffed::Unknown),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Sniffed::Unknown),
    ];

    #[test]
    fn every_protocol_is_told_and_no_prefix_of_it_misleads() {
        for (bytes, expected) in BEGINNINGS {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(sniff(bytes), expected, "{text}");
            for end in 0..bytes.len() {
                let early = sniff(&bytes[..end]);
                assert!(early == Sniffed::NeedMore || early == expected, "{text} cut at {end}: {early:?}");
            }
        }
    }

    #[test]
    fn an_endless_line_is_given_up() {
        let mut line = b"GET /".to_vec();
        line.resize(SNIFF_MAX - 1, b'a');
        assert_eq!(sniff(&line), Sniffed::NeedMore);
        line.push(b'a');
        assert_eq!(sniff(&line), Sniffed::Unknown);
    }

    proptest! {
        #[test]
        fn an_answer_once_given_stands(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..200_usize) {
            let early = sniff(&bytes[..cut.min(bytes.len())]);
            prop_assert!(early == Sniffed::NeedMore || early == sniff(&bytes));
        }

        #[test]
        fn four_kilobytes_are_enough(bytes in "[A-Z]{1,10} [a-z/ ]{4100,4200}") {
            prop_assert_ne!(sniff(bytes.as_bytes()), Sniffed::NeedMore);
        }
    }
}
