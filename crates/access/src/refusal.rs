//! Why a caller is not let in.

/// Why a caller is not let in: for the operator's log and metrics. A stranger is told the status alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Nothing was shown that any key reads, and the address is in none of the networks.
    #[error("nothing was shown that opens this")]
    Missing,
    /// Something was shown that cannot be read: a parameter that is missing or doubled, text that is not base64 or JSON.
    #[error("what was shown cannot be read")]
    Malformed,
    /// A key's name that the configuration does not know.
    #[error("the key that it was made with is not known")]
    UnknownKey,
    /// The signature does not match.
    #[error("the signature is wrong")]
    Signature,
    /// It was made for another address.
    #[error("it was made for another address")]
    OtherAddress,
    /// It was made for something else.
    #[error("it was made for something else")]
    OtherSubject,
    /// It is good from a later time on.
    #[error("it is not good yet")]
    NotYet,
    /// It was good until an earlier time.
    #[error("it has expired")]
    Expired,
    /// It has been revoked, or its key has.
    #[error("it has been revoked")]
    Revoked,
    /// The hook said no.
    #[error("the hook said no")]
    Hook,
    /// The hook, or the server that publishes the keys, did not answer.
    #[error("who decides about it did not answer")]
    Unavailable,
    /// Who decides about it has to be asked first.
    #[error("who decides about it has not been asked yet")]
    Undecided,
}

impl Refusal {
    /// All of them, in the order of their weight: of two refusals by two keys, the later one tells more.
    pub const ALL: [Self; 12] = [
        Self::Missing,
        Self::Malformed,
        Self::UnknownKey,
        Self::Signature,
        Self::OtherAddress,
        Self::OtherSubject,
        Self::NotYet,
        Self::Expired,
        Self::Revoked,
        Self::Hook,
        Self::Unavailable,
        Self::Undecided,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::OtherAddress => "other_address",
            Self::OtherSubject => "other_subject",
            Self::NotYet => "not_yet",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Hook => "hook",
            Self::Unavailable => "unavailable",
            Self::Undecided => "undecided",
        }
    }

    /// The HTTP status: 401 asks for credentials, 410 says that those shown were good once or will be (as Opencast has it),
    /// 400 that they cannot be read, 503 that one may ask again, 403 the rest.
    pub const fn status(self) -> u16 {
        match self {
            Self::Missing => 401,
            Self::Malformed => 400,
            Self::NotYet | Self::Expired => 410,
            Self::Unavailable | Self::Undecided => 503,
            Self::UnknownKey
            | Self::Signature
            | Self::OtherAddress
            | Self::OtherSubject
            | Self::Revoked
            | Self::Hook => 403,
        }
    }
}
