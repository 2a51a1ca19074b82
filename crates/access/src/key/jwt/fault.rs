//! Why a token is not believed, before its claims are read.

use crate::Refusal;

/// Why a token is not believed. Whoever showed it is at fault; nothing of it is in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtFault {
    /// It is too long, or not three parts in base64url.
    #[error("it is too long, or no signed token in three parts")]
    Form,
    /// No JSON, without `alg`, or with `crit`.
    #[error("its header cannot be read, or has extensions (RFC 7515 §4.1)")]
    Header,
    /// Its `alg` is `none`, one with a secret, or not known.
    #[error("its algorithm is not RS256, ES256, ES384 or EdDSA")]
    Algorithm,
    /// No key has its `kid` and is for its algorithm.
    #[error("its key is not known")]
    UnknownKey,
    /// A key is there, but has not signed this.
    #[error("its signature is wrong")]
    Signature,
}

impl From<JwtFault> for Refusal {
    fn from(fault: JwtFault) -> Self {
        match fault {
            JwtFault::Form | JwtFault::Header => Self::Malformed,
            JwtFault::Algorithm | JwtFault::UnknownKey => Self::UnknownKey,
            JwtFault::Signature => Self::Signature,
        }
    }
}
