//! Digest authentication of a server, as RTSP devices use it (RFC 2617 without `qop`, MD5).

use std::fmt;

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;

use amphi_media::auth_params::credentials;

/// The realm, nonce and only user of a server.
#[derive(Clone)]
pub struct Digest {
    realm: String,
    nonce: String,
    user: String,
    password: String,
}

/// Omits the password.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digest").field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl Digest {
    /// The caller chooses `nonce` at random, once per connection or server.
    pub fn new(realm: &str, nonce: &str, user: &str, password: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            nonce: nonce.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// The value of `WWW-Authenticate` in a 401.
    pub fn challenge(&self) -> String {
        format!("Digest realm=\"{}\", nonce=\"{}\", algorithm=MD5", self.realm, self.nonce)
    }

    /// Whether the value of `Authorization` proves that the peer knows the password.
    pub fn allows(&self, method: &str, authorization: Option<&str>) -> bool {
        let Some((scheme, shown)) = authorization.and_then(credentials) else { return false };
        let field = |name| shown.get(name);
        let (Some(uri), Some(response)) = (field("uri"), field("response")) else { return false };
        let is_ours =
            field("username") == Some(self.user.as_str()) && field("nonce") == Some(self.nonce.as_str());
        if !is_ours || !scheme.eq_ignore_ascii_case("digest") {
            return false;
        }
        let ha1 = hex(&format!("{}:{}:{}", self.user, self.realm, self.password));
        let ha2 = hex(&format!("{method}:{uri}"));
        let expected = hex(&format!("{ha1}:{}:{ha2}", self.nonce));
        expected.as_bytes().ct_eq(response.as_bytes()).into()
    }
}

fn hex(text: &str) -> String {
    super::hex::hex(&Md5::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_password_is_allowed() {
        let digest = Digest::new("extron", "abc", "admin", "secret");
        let ha1 = hex("admin:extron:secret");
        let response = hex(&format!("{ha1}:abc:{}", hex("DESCRIBE:rtsp://h/extron1")));
        let header = |response: &str| {
            format!(
                "Digest username=\"admin\", realm=\"extron\", nonce=\"abc\", uri=\"rtsp://h/extron1\", \
                 response=\"{response}\""
            )
        };
        assert!(digest.allows("DESCRIBE", Some(&header(&response))));
        assert!(!digest.allows("SETUP", Some(&header(&response))));
        assert!(!digest.allows("DESCRIBE", Some(&header("0"))));
        assert!(!digest.allows("DESCRIBE", Some("Basic YWRtaW46c2VjcmV0")));
        assert!(!digest.allows("DESCRIBE", None));
        // Schemes are the same in any case (RFC 9110 §11.1), and a URL may have a comma.
        let comma = hex(&format!("{ha1}:abc:{}", hex("DESCRIBE:rtsp://h/a,b")));
        let header = header(&comma).replace("extron1\"", "a,b\"").replace("Digest", "digest");
        assert!(digest.allows("DESCRIBE", Some(&header)), "{header}");
    }
}
