//! What a caller shows.

use core::fmt;
use core::net::IpAddr;

/// What a caller shows, as it came: nothing is decoded, nothing is checked. `Debug` shows the address alone; the rest may
/// hold secrets.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The URL's scheme as the caller wrote it: `http`, `https`, `rtmp`, `rtmps`, `rtsp`, `rtsps`.
    pub scheme: &'a str,
    /// Host and port as the caller wrote them; a trusted proxy may have told them. Empty where a protocol has none.
    pub authority: &'a str,
    /// The URL's path with its leading slash, percent-encoded.
    pub path: &'a str,
    /// The URL's query without `?`, percent-encoded; of RTMP that of `tcUrl` and that of the stream's name, joined by `&`.
    pub query: &'a str,
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    /// The value of `Cookie`.
    pub cookie: Option<&'a str>,
    /// The viewer's address; a trusted proxy may have told it. The unspecified one if nobody who is trusted did.
    pub address: IpAddr,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("address", &self.address).finish_non_exhaustive()
    }
}
