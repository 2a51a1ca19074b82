//! Why a recording is not served.

use std::net::IpAddr;

use tracing::warn;

use amphi_container::isobmff::BoxFault;
use amphi_container::mp4::UNFINISHED;
use amphi_runtime::log;
use amphi_runtime::workshop::Refused;

use super::smil::SmilFault;

/// What went wrong, and whose fault it is. `delivery` maps each to an HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VodFault {
    /// The viewer's fault, or an old link's: no such file, or none that may be opened.
    #[error("there is no such recording")]
    NotFound,
    /// The viewer's fault, or an old link's: the file has changed since this name was given out.
    #[error("there is no such part of the recording")]
    Gone,
    /// Whoever wrote the file: the version that this viewer began is no more.
    #[error(
        "{path}: the file was overwritten in place, and what it was before is gone; open the recording again"
    )]
    Overwritten {
        /// The file's path from the mount's root.
        path: String,
    },
    /// The file's fault: it is half copied, still growing, or cut off.
    #[error("{path}: {fault}")]
    Unfinished {
        /// The file's path from the mount's root.
        path: String,
        /// What of the file is missing.
        fault: String,
    },
    /// The file's fault: its boxes cannot be read.
    #[error("{path}: {fault}")]
    Index {
        /// The file's path from the mount's root.
        path: String,
        /// The box, its byte position, and what is wrong.
        fault: BoxFault,
    },
    /// The file's fault: it is of another kind.
    #[error("{path}: not an mp4 file")]
    NotMp4 {
        /// The file's path from the mount's root.
        path: String,
    },
    /// The SMIL file's fault, that is, its writer's.
    #[error("{path}: {fault}")]
    Smil {
        /// The file's path from the mount's root.
        path: String,
        /// The line, and what is wrong there.
        fault: SmilFault,
    },
    /// A poster cannot be made: the file's fault, or its codec is not decoded here.
    #[error("{0}")]
    Picture(String),
    /// Sound cannot be coded: our fault.
    #[error("{0}")]
    Sound(String),
    /// Nobody's fault: the workshop has too much to do at the moment. Ours, if making the answer panicked.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The storage's fault: it does not answer in time.
    #[error("the storage does not answer")]
    Slow,
    /// The storage's fault: it answers with an error.
    #[error("{path}: {error}")]
    Io {
        /// The file's path from the mount's root.
        path: String,
        /// The operating system's error.
        error: String,
    },
}

impl VodFault {
    /// A name that does not lead to a file beneath the root: the file is not there for the viewer, and the log gets a line.
    /// `asker`: the viewer's address, if known.
    pub fn of_name(path: &str, why: &'static str, asker: Option<IpAddr>) -> Self {
        // Limited, since strangers try names by the thousand.
        if log::may_say("name", asker) {
            warn!(path, why, "a name is refused");
        }
        Self::NotFound
    }

    /// The fault for an error of the file at `path`.
    pub(super) fn io(path: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            // What leads out of the root, in whatever way, is not there for the viewer.
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

    /// Whether it may be over in a moment.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(self, Self::Slow | Self::Refused(_))
    }

    /// Whether it depends on the file alone: it stays the same until the file changes.
    pub(super) const fn is_of_the_file(&self) -> bool {
        matches!(self, Self::Unfinished { .. } | Self::Index { .. } | Self::NotMp4 { .. } | Self::Smil { .. })
    }

    /// The fault for a box at fault. A sample beyond the end means that the file is still being copied.
    pub(super) fn index(path: &str, fault: BoxFault) -> Self {
        let path = path.to_owned();
        if fault.fault == UNFINISHED {
            Self::Unfinished { path, fault: fault.to_string() }
        } else {
            Self::Index { path, fault }
        }
    }
}
