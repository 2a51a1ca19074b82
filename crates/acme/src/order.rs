//! One order: an account, a proof for each name, a certificate.

use std::sync::Arc;
use std::time::Duration;

use amphi_tls::Identity;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, ExternalAccountKey, Identifier,
    NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use super::client::AcmeClient;
use super::folder::AcmeFolder;

/// How long an authority may take to look at all proofs, and then to sign.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a name is proved to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// RFC 8737.
    TlsAlpn01,
    /// RFC 8555 §8.3.
    Http01,
}

/// An account that the site has with an authority elsewhere (RFC 8555 §7.3.4). Has no `Debug`: the key is a secret.
#[derive(Clone)]
pub struct ExternalAccount {
    /// Its identifier.
    pub id: String,
    /// Its key.
    pub key: Vec<u8>,
}

/// What is asked for, and of whom.
#[derive(Clone)]
pub struct AcmeSettings {
    /// The URL of the authority's directory.
    pub directory: String,
    /// The hosts that the certificate is for.
    pub domains: Vec<String>,
    /// URLs of `mailto:`.
    pub contact: Vec<String>,
    /// `None` if the authority asks for none.
    pub external: Option<ExternalAccount>,
    /// The proof.
    pub proof: ProofKind,
    /// The authorities that vouch for the directory's host, as PEM; `None` = the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// Where proofs are shown while the authority looks.
pub trait ProofBoard: Send + Sync {
    /// Shows a certificate to who asks for `domain` with `acme-tls/1`; `None`: no more.
    fn in_tls(&self, domain: &str, proof: Option<&Identity>);
    /// Shows `proof` at `/.well-known/acme-challenge/TOKEN`; `None`: no more.
    fn over_http(&self, token: &str, proof: Option<&str>);
}

/// Why there is no certificate. Names no secret.
#[derive(Debug, thiserror::Error)]
pub enum AcmeFault {
    /// The authority says no, or cannot be reached.
    #[error("the authority: {0}")]
    Authority(String),
    /// It did not accept a proof.
    #[error("the authority does not accept the proof for {0}: {1}")]
    Proof(String, String),
    /// It offers no proof of that kind.
    #[error("the authority offers no such challenge for {0}; set tls.acme.challenge to the other one")]
    NoSuchProof(String),
    /// It took too long.
    #[error("the authority did not answer in time")]
    Late,
    /// Something of ours.
    #[error("{0}")]
    Own(String),
}

impl From<instant_acme::Error> for AcmeFault {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Timeout(_) => Self::Late,
            error => Self::Authority(error.to_string()),
        }
    }
}

fn own(error: impl std::fmt::Display) -> AcmeFault {
    AcmeFault::Own(error.to_string())
}

/// The key of an external account: base64url, with or without padding (RFC 4648 §5).
pub fn external_key(text: &str) -> Option<Vec<u8>> {
    let any = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let plain = text.trim().replace('+', "-").replace('/', "_");
    GeneralPurpose::new(&URL_SAFE, any).decode(plain).ok().filter(|key| !key.is_empty())
}

/// Takes down what was shown, however the order ends.
struct ShownProofs<'a> {
    board: &'a dyn ProofBoard,
    domains: Vec<String>,
    tokens: Vec<String>,
}

impl Drop for ShownProofs<'_> {
    fn drop(&mut self) {
        self.domains.iter().for_each(|domain| self.board.in_tls(domain, None));
        self.tokens.iter().for_each(|token| self.board.over_http(token, None));
    }
}

/// Gets a certificate, and keeps it in the folder.
pub(super) async fn order(
    settings: &AcmeSettings,
    folder: &AcmeFolder,
    board: &Arc<dyn ProofBoard>,
) -> Result<Identity, AcmeFault> {
    let account = account(settings, folder).await?;
    let names: Vec<_> = settings.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let mut shown = ShownProofs { board: &**board, domains: Vec::new(), tokens: Vec::new() };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let domain = authorization.identifier().to_string();
        let kind = match settings.proof {
            ProofKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
            ProofKind::Http01 => ChallengeType::Http01,
        };
        let challenge = authorization.challenge(kind);
        let mut challenge = challenge.ok_or_else(|| AcmeFault::NoSuchProof(domain.clone()))?;
        let proof = challenge.key_authorization();
        match settings.proof {
            ProofKind::TlsAlpn01 => {
                board.in_tls(&domain, Some(&proof_in_tls(&domain, proof.digest().as_ref())?));
                shown.domains.push(domain);
            }
            ProofKind::Http01 => {
                board.over_http(&challenge.token, Some(proof.as_str()));
                shown.tokens.push(challenge.token.clone());
            }
        }
        challenge.set_ready().await?;
    }
    let policy = RetryPolicy::new().timeout(PATIENCE);
    match order.poll_ready(&policy).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) | Err(instant_acme::Error::Api(_)) => return Err(refused(&mut order).await),
        Err(error) => return Err(error.into()),
    }
    let key = KeyPair::generate().map_err(own)?;
    let mut params = CertificateParams::new(settings.domains.clone()).map_err(own)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(own)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&policy).await?;
    let key = key.serialize_pem();
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).map_err(own)?;
    let folder = folder.clone();
    let kept = tokio::task::spawn_blocking(move || folder.keep_certificate(&chain, &key)).await;
    kept.map_err(own)?.map_err(|error| AcmeFault::Own(format!("the certificate cannot be kept: {error}")))?;
    Ok(identity)
}

/// Which proof was not accepted, and why.
async fn refused(order: &mut instant_acme::Order) -> AcmeFault {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let domain = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        let why = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(why) = why {
            return AcmeFault::Proof(domain, why.to_string());
        }
    }
    AcmeFault::Authority("it does not accept the order".to_owned())
}

/// The certificate that proves a name (RFC 8737 §3).
fn proof_in_tls(domain: &str, digest: &[u8]) -> Result<Identity, AcmeFault> {
    let digest: &[u8; 32] = digest.try_into().map_err(own)?;
    let key = KeyPair::generate().map_err(own)?;
    let mut params = CertificateParams::new([domain.to_owned()]).map_err(own)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(own)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Identity::of_proof(vec![certificate.der().clone()], key).map_err(own)
}

/// The account that was kept for this directory and external account, or a new one.
async fn account(settings: &AcmeSettings, folder: &AcmeFolder) -> Result<Account, AcmeFault> {
    let client = || AcmeClient::new(settings.ca_pem.as_deref()).map_err(AcmeFault::Own);
    let builder = |client: AcmeClient| Account::builder_with_http(Box::new(client));
    let of =
        json!({ "directory": settings.directory, "external": settings.external.as_ref().map(|it| &it.id) });
    let reading = folder.clone();
    let kept = tokio::task::spawn_blocking(move || reading.account()).await.map_err(own)?;
    if let Some(mut kept) = kept.and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        && kept.get("of") == Some(&of)
        && let Some(credentials) = kept.get_mut("credentials").map(Value::take)
        && let Ok(credentials) = serde_json::from_value::<AccountCredentials>(credentials)
    {
        return Ok(builder(client()?).from_credentials(credentials).await?);
    }
    let contact: Vec<_> = settings.contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = settings.external.as_ref();
    let external = external.map(|it| ExternalAccountKey::new(it.id.clone(), &it.key));
    let made = builder(client()?).create(&new, settings.directory.clone(), external.as_ref()).await?;
    let (account, credentials) = made;
    let text = serde_json::to_vec(&json!({ "of": of, "credentials": credentials })).map_err(own)?;
    let folder = folder.clone();
    let kept = tokio::task::spawn_blocking(move || folder.keep_account(&text)).await;
    kept.map_err(own)?.map_err(|error| AcmeFault::Own(format!("the account cannot be kept: {error}")))?;
    Ok(account)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_proof_in_tls_is_for_its_name() {
        assert_eq!(proof_in_tls("a.example.org", &[7; 32]).expect("a proof").names(), ["a.example.org"]);
        assert!(proof_in_tls("a.example.org", &[7; 31]).is_err());
    }

    #[test]
    fn keys_of_external_accounts_are_read_as_authorities_write_them() {
        for text in ["-_8", "-_8=", "+/8=", " -_8\n"] {
            assert_eq!(external_key(text), Some(vec![0xfb, 0xff]), "{text:?}");
        }
        for text in ["", "a b", "ä"] {
            assert_eq!(external_key(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_none(text: String) {
            let _ = external_key(&text);
        }
    }
}
