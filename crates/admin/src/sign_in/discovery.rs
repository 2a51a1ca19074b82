//! What a provider says of itself (OpenID Connect Discovery 1.0 §4.2), and how its token endpoint is asked. Sans-IO.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};
use url::{Host, Url};

/// The endpoints that are used, each checked.
#[derive(Clone, Debug)]
pub(super) struct Discovery {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) keys: Url,
    pub(super) userinfo: Option<Url>,
    /// Where the provider's own session ends (OpenID Connect RP-Initiated Logout 1.0 §2.1).
    pub(super) end_session: Option<Url>,
    /// Whether the client's secret goes into the body, because a header is not taken.
    secret_in_body: bool,
}

/// The document, as far as it is read.
#[derive(Deserialize)]
struct ProviderMetadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    end_session_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The URL of an issuer's document (§4.1).
pub(super) fn document_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

impl Discovery {
    /// Reads the document of `issuer`; the error says what is wrong with it.
    pub(super) fn read(json: &[u8], issuer: &str) -> Result<Self, String> {
        let said: ProviderMetadata = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        // §4.3: else one provider could speak for another.
        if said.issuer != issuer {
            let other: String = said.issuer.chars().filter(|it| !it.is_control()).take(200).collect();
            return Err(format!(
                "it is of the issuer {other:?}, and admin.oidc.issuer is {issuer:?}: they must be equal"
            ));
        }
        let methods = said.token_endpoint_auth_methods_supported;
        let takes = |name: &str| methods.as_ref().is_some_and(|all| all.iter().any(|it| it == name));
        // Without the list, the header is what is taken (§3).
        let secret_in_body =
            methods.is_some() && !takes("client_secret_basic") && takes("client_secret_post");
        let found = Self {
            authorization: said.authorization_endpoint,
            token: said.token_endpoint,
            keys: said.jwks_uri,
            userinfo: said.userinfo_endpoint,
            end_session: said.end_session_endpoint,
            secret_in_body,
        };
        let all = [Some(&found.authorization), Some(&found.token), Some(&found.keys)];
        let more = [found.userinfo.as_ref(), found.end_session.as_ref()];
        if let Some(url) = all.into_iter().chain(more).flatten().find(|url| !is_safe(url)) {
            return Err(format!("{} is not https", shown(url)));
        }
        Ok(found)
    }

    /// The body that exchanges a code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5), and the value of `Authorization`.
    pub(super) fn exchange(
        &self,
        client: ClientIdentity<'_>,
        exchange: CodeExchange<'_>,
    ) -> (String, Option<String>) {
        let ClientIdentity { id, secret } = client;
        let mut body = Serializer::new(String::new());
        body.append_pair("grant_type", "authorization_code")
            .append_pair("code", exchange.code)
            .append_pair("redirect_uri", exchange.redirect_url)
            .append_pair("code_verifier", exchange.verifier);
        if !secret.is_empty() && !self.secret_in_body {
            // RFC 6749 §2.3.1: both are form-encoded first.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(id), encoded(secret));
            return (body.finish(), Some(format!("Basic {}", STANDARD.encode(pair))));
        }
        body.append_pair("client_id", id);
        if !secret.is_empty() {
            body.append_pair("client_secret", secret);
        }
        (body.finish(), None)
    }

    /// Where a browser ends the provider's session, if there is such a place. No token is kept, so the provider may ask the
    /// person first.
    pub(super) fn sign_out_url(&self, client_id: &str, back: &str) -> Option<Url> {
        let mut url = self.end_session.clone()?;
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("post_logout_redirect_uri", back);
        Some(url)
    }
}

/// How this server is known at the provider.
#[derive(Clone, Copy)]
pub(super) struct ClientIdentity<'a> {
    pub(super) id: &'a str,
    /// Empty for a public client.
    pub(super) secret: &'a str,
}

/// A code, and what proves that it is ours.
#[derive(Clone, Copy)]
pub(super) struct CodeExchange<'a> {
    pub(super) code: &'a str,
    pub(super) redirect_url: &'a str,
    pub(super) verifier: &'a str,
}

/// Whether nobody on the way can read what is sent there: https, or this machine.
fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    };
    url.scheme() == "https" && url.has_host() || url.scheme() == "http" && is_here
}

/// A URL for a message: without user and query.
fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://login.example.org/realms/campus";

    fn document(change: impl Fn(&mut Value)) -> Vec<u8> {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/auth"),
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/certs"),
        });
        change(&mut document);
        document.to_string().into_bytes()
    }

    #[test]
    fn a_document_is_of_its_issuer_and_names_safe_endpoints() {
        assert_eq!(document_url(ISSUER), format!("{ISSUER}/.well-known/openid-configuration"));
        assert_eq!(document_url("https://a/"), "https://a/.well-known/openid-configuration");
        Discovery::read(&document(|_| {}), ISSUER).expect("it is good");
        let fault =
            |change: fn(&mut Value)| Discovery::read(&document(change), ISSUER).expect_err("it is bad");
        assert!(fault(|it| it["issuer"] = "https://evil.example".into()).contains("they must be equal"));
        assert!(
            fault(|it| it["token_endpoint"] = "http://login.example.org/t".into()).contains("is not https")
        );
        assert!(
            fault(|it| it["end_session_endpoint"] = "javascript:alert(1)".into()).contains("is not https")
        );
        assert!(fault(|it| it["jwks_uri"] = Value::Null).contains("null"));
        assert!(Discovery::read(b"<html>", ISSUER).is_err());
    }

    #[test]
    fn the_secret_goes_where_the_provider_takes_it() {
        let client = ClientIdentity { id: "a:m", secret: "p%s" };
        let exchange =
            CodeExchange { code: "c&d", redirect_url: "https://a/sign-in/callback", verifier: "v" };
        let of = |change: fn(&mut Value)| Discovery::read(&document(change), ISSUER).expect("it is good");
        let (body, field) = of(|_| {}).exchange(client, exchange);
        assert_eq!(field, Some(format!("Basic {}", STANDARD.encode("a%3Am:p%25s"))));
        assert_eq!(
            body,
            "grant_type=authorization_code&code=c%26d&redirect_uri=https%3A%2F%2Fa%2Fsign-in%2Fcallback&code_verifier=v"
        );
        let post = of(|it| it["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]));
        let (body, field) = post.exchange(client, exchange);
        assert!(field.is_none() && body.ends_with("&client_id=a%3Am&client_secret=p%25s"), "{body}");
        let (body, field) = of(|_| {}).exchange(ClientIdentity { secret: "", ..client }, exchange);
        assert!(field.is_none() && body.ends_with("&client_id=a%3Am"), "{body}");
    }

    #[test]
    fn signing_out_leads_to_the_provider_and_back() {
        let none = Discovery::read(&document(|_| {}), ISSUER).expect("it is good");
        assert_eq!(none.sign_out_url("amphi", "https://a/"), None);
        let some = document(|it| it["end_session_endpoint"] = "https://login.example.org/end?x=y".into());
        let some = Discovery::read(&some, ISSUER).expect("it is good");
        assert_eq!(
            some.sign_out_url("amphi", "https://a/b").map(String::from).as_deref(),
            Some(
                "https://login.example.org/end?x=y&client_id=amphi&post_logout_redirect_uri=https%3A%2F%2Fa%2Fb"
            )
        );
    }
}
