//! What a socket's peer has not taken yet: asked of the kernel, and given to [`Pace`](super::pace::Pace), which judges it.

use std::io;

use amphi_runtime::socket::Socket;
use rustix::ioctl::{Getter, ioctl};

/// A connection that can tell how much its peer has not received.
pub(super) trait Outstanding {
    /// Bytes written that the peer has not acknowledged.
    fn outstanding(&self) -> io::Result<u64>;
}

impl Outstanding for Socket {
    #[expect(unsafe_code, reason = "rustix has no name for it")]
    fn outstanding(&self) -> io::Result<u64> {
        // SAFETY: SIOCOUTQ, of the same number as TIOCOUTQ, writes one int (tcp(7)).
        let count = unsafe { ioctl(self.tcp(), Getter::<{ libc::TIOCOUTQ as _ }, libc::c_int>::new()) }?;
        Ok(count.try_into().unwrap_or(0))
    }
}

#[cfg(test)]
impl Outstanding for tokio::io::DuplexStream {
    fn outstanding(&self) -> io::Result<u64> {
        Ok(0)
    }
}
