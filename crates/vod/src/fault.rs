//! Why a recording is not served.

use std::net::IpAddr;

use tracing::warn;

use amphi_container::isobmff::BoxFault;
use amphi_runtime::log;
use amphi_runtime::workshop::Refused;

use super::smil::SmilFault;

/// Whose fault it is stands with each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VodFault {
    /// The viewer's, or an old link's: no such file, or nothing that may be opened.
    #[error("there is no such recording")]
    NotFound,
    /// The viewer's, or an old link's: the file has changed since its name was given out.
    #[error("there is no such part of the recording")]
    Gone,
    /// The file's: half copied, still growing, or cut off.
    #[error("{path}: {fault}")]
    Unfinished {
        /// From the mount's root.
        path: String,
        /// What is missing.
        fault: String,
    },
    /// The file's.
    #[error("{path}: {fault}")]
    Index {
        /// From the mount's root.
        path: String,
        /// The box and its place.
        fault: BoxFault,
    },
    /// The file's.
    #[error("{path}: not an mp4 file")]
    NotMp4 {
        /// From the mount's root.
        path: String,
    },
    /// The playlist's.
    #[error("{path}: {fault}")]
    Smil {
        /// From the mount's root.
        path: String,
        /// Line and fault.
        fault: SmilFault,
    },
    /// The file's, or a codec that we do not decode.
    #[error("{0}")]
    Picture(String),
    /// Nobody's: others are asking for much at this moment. And ours, where making the answer panicked.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The storage's: it does not answer in time.
    #[error("the storage does not answer")]
    Slow,
    /// The storage's.
    #[error("{path}: {error}")]
    Io {
        /// From the mount's root.
        path: String,
        /// What the system said.
        error: String,
    },
}

impl VodFault {
    /// A name that leads elsewhere than to a file beneath the root: as good as not there, and worth a line. `asker`: who asks,
    /// where that is known.
    pub fn of_name(path: &str, why: &'static str, asker: Option<IpAddr>) -> Self {
        // Strangers try names by the thousand.
        if log::may_say("name", asker) {
            warn!(path, why, "a name is refused");
        }
        Self::NotFound
    }

    /// An error of the file at `path`.
    pub(super) fn io(path: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            // Out of the root, by whatever way, is as good as not there.
            ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidFilename
            | ErrorKind::IsADirectory => Self::NotFound,
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Self::NotFound,
            ErrorKind::UnexpectedEof => {
                Self::Unfinished { path: path.to_owned(), fault: "the file has become shorter".to_owned() }
            }
            _ => Self::Io { path: path.to_owned(), error: error.to_string() },
        }
    }

    /// It says something of the file as it is, and will until the file is another.
    pub(super) const fn is_of_the_file(&self) -> bool {
        matches!(self, Self::Unfinished { .. } | Self::Index { .. } | Self::NotMp4 { .. } | Self::Smil { .. })
    }

    /// An index fault; a sample beyond the end means that the file is still being copied.
    pub(super) fn index(path: &str, fault: BoxFault) -> Self {
        let path = path.to_owned();
        if fault.fault.ends_with("it is not finished") {
            Self::Unfinished { path, fault: fault.to_string() }
        } else {
            Self::Index { path, fault }
        }
    }
}
