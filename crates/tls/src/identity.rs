//! A certificate chain and its key: what a server shows to be who it says it is.

use std::fmt;
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// So many days before its end a certificate is warned of.
pub const WARN_DAYS: i64 = 21;

const DAY_S: i64 = 86_400;
/// Certificates of one chain that are read; real ones have two to five.
const CHAIN_MAX: usize = 16;

/// A chain with its key. Its `Debug` shows no key.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    names: Vec<String>,
    begins_s: i64,
    ends_s: i64,
}

/// What is wrong with a pair of chain and key. Never names anything of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairFault {
    /// The chain's PEM holds no certificate.
    #[error("the chain has no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("certificate number {0} of the chain cannot be read")]
    Certificate(usize),
    /// There are too many.
    #[error(
        "the chain has more than {CHAIN_MAX} certificates: give the server's own and its intermediates alone"
    )]
    TooMany,
    /// The key's PEM holds no key, or an encrypted one.
    #[error("the key is no private key in PEM (PKCS #8, PKCS #1 or SEC 1, without a passphrase)")]
    NoKey,
    /// A key of a kind that is not supported.
    #[error(
        "the key is of a kind that cannot be used: take ECDSA P-256, P-384, Ed25519 or RSA of at least 2048 bits"
    )]
    KeyKind,
    /// They do not belong together.
    #[error("the key does not belong to the first certificate of the chain: the server's own comes first")]
    Mismatch,
    /// It is valid for no host.
    #[error("the certificate names no host (subjectAltName): browsers refuse it")]
    Nameless,
}

/// Whether a certificate is valid at a moment (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It begins later.
    NotYet,
    /// It is, for more than [`WARN_DAYS`].
    Good,
    /// It is, and has so many whole days left.
    Ending(i64),
    /// It is not any more.
    Expired,
}

impl Identity {
    /// Reads a chain and a key, both PEM (RFC 7468), and sees whether they belong together. Other things in the files are
    /// passed over, so one file may hold both.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, PairFault> {
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(chain) {
            if certificates.len() == CHAIN_MAX {
                return Err(PairFault::TooMany);
            }
            certificates.push(certificate.map_err(|_| PairFault::Certificate(certificates.len() + 1))?);
        }
        if certificates.is_empty() {
            return Err(PairFault::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PairFault::NoKey)?;
        Self::new(certificates, key)
    }

    /// As [`Identity::from_pem`], of what was read already.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, PairFault> {
        let pair = Self::of_proof(chain, key)?;
        match pair.certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
            Err(rustls::Error::InconsistentKeys(_)) => Err(PairFault::Mismatch),
            Err(_) => Err(PairFault::Certificate(1)),
        }
    }

    /// The same without a look at whether key and certificate belong together: the certificate of a proof has a critical extension that only
    /// authorities understand (RFC 8737 §3).
    pub fn of_proof(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, PairFault> {
        for (index, certificate) in chain.iter().enumerate() {
            X509Certificate::from_der(certificate).map_err(|_| PairFault::Certificate(index + 1))?;
        }
        let own = chain.first().ok_or(PairFault::NoCertificate)?;
        let (_, own) = X509Certificate::from_der(own).map_err(|_| PairFault::Certificate(1))?;
        let names = names(&own);
        let (begins_s, ends_s) =
            (own.validity().not_before.timestamp(), own.validity().not_after.timestamp());
        if names.is_empty() {
            return Err(PairFault::Nameless);
        }
        let signer = ring::default_provider().key_provider.load_private_key(key);
        let certified = CertifiedKey::new(chain, signer.map_err(|_| PairFault::KeyKind)?);
        Ok(Self { certified: Arc::new(certified), names, begins_s, ends_s })
    }

    /// As rustls takes it.
    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// The hosts that it is for, in lower case: names, perhaps `*.` and a name, and addresses.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When it begins and ends to be valid, in seconds of unix time.
    pub const fn span_s(&self) -> (i64, i64) {
        (self.begins_s, self.ends_s)
    }

    /// Whether it is valid at `now_s`, in seconds of unix time.
    pub const fn validity(&self, now_s: i64) -> Validity {
        if now_s < self.begins_s {
            return Validity::NotYet;
        }
        if now_s > self.ends_s {
            return Validity::Expired;
        }
        let days = (self.ends_s - now_s) / DAY_S;
        if days >= WARN_DAYS { Validity::Good } else { Validity::Ending(days) }
    }

    /// When less than a third of its time is left, in seconds of unix time: then ACME gets another one.
    pub const fn renew_at_s(&self) -> i64 {
        self.ends_s - (self.ends_s - self.begins_s) / 3
    }

    /// The certificates, the server's own first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.chain() == other.chain()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("names", &self.names)
            .field("ends_s", &self.ends_s)
            .finish_non_exhaustive()
    }
}

/// The hosts of a certificate (RFC 5280 §4.2.1.6).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.map(|byte| byte.to_string()).join("."));
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    let groups = v6.chunks(2).map(|pair| pair.iter().fold(0, |sum: u16, byte| sum << 8 | u16::from(*byte)));
    Some(groups.map(|group| format!("{group:x}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{made, made_until};

    #[test]
    fn a_pair_is_read_with_names_and_times() {
        let (chain, key) = made_until(&["Hall.example.org", "*.av.example.org"], 1000, 2000);
        let pair = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair");
        assert_eq!(pair.names(), ["hall.example.org", "*.av.example.org"]);
        assert_eq!(pair.span_s(), (1000 * DAY_S, 2000 * DAY_S));
        for (day, validity) in [
            (999, Validity::NotYet),
            (1000, Validity::Good),
            (1979, Validity::Good),
            (1980, Validity::Ending(20)),
            (2000, Validity::Ending(0)),
            (2001, Validity::Expired),
        ] {
            assert_eq!(pair.validity(day * DAY_S), validity, "{day}");
        }
        assert_eq!(pair.renew_at_s(), 2000 * DAY_S - 1000 * DAY_S / 3);
        // One file with both.
        let both = key + &chain;
        assert_eq!(Identity::from_pem(both.as_bytes(), both.as_bytes()).expect("a pair"), pair);
        assert!(!format!("{pair:?}").contains("key"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let ((chain, key), (other, _)) = (made(&["a.example.org"]), made(&["a.example.org"]));
        let (nameless, its_key) = made(&[]);
        let broken = chain.replace("MII", "MIX");
        for (chain, key, fault) in [
            ("", &*key, PairFault::NoCertificate),
            (&*key, &key, PairFault::NoCertificate),
            (&chain, &chain, PairFault::NoKey),
            (&chain, "", PairFault::NoKey),
            (&other, &key, PairFault::Mismatch),
            (&(other.clone() + &chain), &key, PairFault::Mismatch),
            (&(chain.clone() + &broken), &key, PairFault::Certificate(2)),
            (&chain.repeat(17), &key, PairFault::TooMany),
            (&nameless, &its_key, PairFault::Nameless),
        ] {
            assert_eq!(Identity::from_pem(chain.as_bytes(), key.as_bytes()).err(), Some(fault));
        }
    }

    proptest! {
        #[test]
        fn whatever_lies_in_the_files_is_read_or_refused(
            chain in prop::collection::vec(any::<u8>(), 0..400),
            key in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            use rustls::pki_types::PrivatePkcs8KeyDer;
            let _ = Identity::from_pem(&chain, &key);
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
            prop_assert!(Identity::new(vec![chain.into()], key).is_err());
        }

        #[test]
        fn a_certificate_with_one_other_byte_never_panics(at in 0_usize..2000, with: u8) {
            let (chain, key) = made(&["a.example.org"]);
            let mut der = CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM").to_vec();
            let at = at % der.len();
            der[at] = with;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
            let _ = Identity::new(vec![der.into()], key);
        }
    }
}
