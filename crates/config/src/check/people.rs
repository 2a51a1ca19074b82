//! `[admin.oidc]`, the headers of a proxy that signs people in, and `server.trusted_proxies`.

use url::{Host, Url};

use amphi_access::Network;

use super::super::{Config, OpenIdConnect};
use super::{Checker, Place};

/// The path of the URL to which the provider sends browsers back.
const CALLBACK: &str = "/sign-in/callback";

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    proxies(checker, config);
    remote(checker, config);
    let table = Place::top("admin").key("oidc");
    if config.admin.oidc.issuer.is_empty() {
        if !config.admin.oidc.client_id.is_empty() && !checker.document.is_spoiled(&table.key("issuer")) {
            checker.fault(&table.key("client_id"), "admin.oidc: client_id is of no use without issuer");
        }
        return;
    }
    provider(checker, &config.admin.oidc, &table);
    claims(checker, &config.admin.oidc, &table);
    if config.admin.token.is_empty() && config.admin.token_file.as_os_str().is_empty() {
        let message = "admin.oidc: without admin.token nobody gets in while the provider is down, and amphi reload cannot";
        checker.warning(&table.key("issuer"), message);
    }
}

fn proxies(checker: &mut Checker<'_>, config: &Config) {
    for (index, text) in config.server.trusted_proxies.iter().enumerate() {
        let place = Place::top("server").key("trusted_proxies").item(index);
        match Network::new([text.as_str()]) {
            Err(error) => checker.fault(&place, format!("trusted_proxies: {error}")),
            Ok(network) if network.is_everybody() => {
                checker.fault(&place, format!("trusted_proxies: {text} is everybody"));
            }
            Ok(_) => {}
        }
    }
}

fn remote(checker: &mut Checker<'_>, config: &Config) {
    let admin = &config.admin;
    let table = Place::top("admin");
    for (key, header) in [
        ("remote_user_header", &admin.remote_user_header),
        ("remote_groups_header", &admin.remote_groups_header),
    ] {
        let lower = header.to_ascii_lowercase();
        if !header.is_empty() && !is_header(header) {
            checker.fault(&table.key(key), format!("admin: {key}: {header:?} is not a header's name"));
        } else if ["authorization", "cookie", "host", "origin", "forwarded"].contains(&&*lower) {
            checker.fault(&table.key(key), format!("admin: {key}: {header} has another meaning"));
        }
    }
    if admin.remote_user_header.is_empty() {
        if !admin.remote_groups_header.is_empty() {
            let message = "admin: remote_groups_header is of no use without remote_user_header";
            checker.fault(&table.key("remote_groups_header"), message);
        }
        return;
    }
    let place = table.key("remote_user_header");
    if config.server.trusted_proxies.is_empty() {
        let message = "admin: remote_user_header is believed of no address: set server.trusted_proxies";
        checker.fault(&place, message);
    }
    if admin.remote_operator.is_empty() && admin.remote_viewer.is_empty() {
        let message =
            "admin: nobody whom the proxy names may do anything: set remote_operator or remote_viewer";
        checker.fault(&place, message);
    }
}

/// A field name (RFC 9110 §5.1).
fn is_header(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn provider(checker: &mut Checker<'_>, oidc: &OpenIdConnect, table: &Place) {
    let place = table.key("issuer");
    match Url::parse(&oidc.issuer) {
        Ok(url) if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() => {
            checker.fault(&place, "admin.oidc: issuer must have no user, query or fragment");
        }
        Ok(url) if is_safe(&url) => {}
        _ => checker
            .fault(&place, "admin.oidc: issuer is not an https:// URL (http:// is for this machine alone)"),
    }
    if oidc.client_id.is_empty() {
        checker.fault(&table.key("client_id"), "admin.oidc: issuer needs a client_id");
    }
    if !oidc.client_secret.is_empty() && !oidc.client_secret_file.as_os_str().is_empty() {
        let message = "admin.oidc: give client_secret or client_secret_file, not both";
        checker.fault(&table.key("client_secret_file"), message);
    }
    if oidc.redirect_url.is_empty() {
        return;
    }
    let place = table.key("redirect_url");
    match Url::parse(&oidc.redirect_url) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            checker.fault(&place, "admin.oidc: redirect_url is not an http:// or https:// URL");
        }
        Ok(url) if !url.path().ends_with(CALLBACK) || url.query().is_some() || url.fragment().is_some() => {
            checker.fault(&place, format!("admin.oidc: redirect_url must end with {CALLBACK}"));
        }
        Ok(url) if !is_safe(&url) => {
            let message =
                "admin.oidc: redirect_url is not https: sessions of this server can be read on the way";
            checker.warning(&place, message);
        }
        Ok(_) => {}
        Err(error) => checker.fault(&place, format!("admin.oidc: redirect_url: {error}")),
    }
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

fn claims(checker: &mut Checker<'_>, oidc: &OpenIdConnect, table: &Place) {
    if oidc.operator.is_empty() && oidc.viewer.is_empty() {
        let message = "admin.oidc: no claim makes anybody an operator or a viewer: set operator or viewer";
        checker.fault(&table.key("issuer"), message);
    }
    for (key, list) in [("operator", &oidc.operator), ("viewer", &oidc.viewer)] {
        for (index, text) in list.iter().enumerate() {
            let is_pair =
                text.split_once('=').is_some_and(|(claim, value)| !claim.is_empty() && !value.is_empty());
            if !is_pair {
                let message =
                    format!("admin.oidc: {key}: {text:?} is not \"claim=value\", like \"groups=video\"");
                checker.fault(&table.key(key).item(index), message);
            }
        }
    }
    if !oidc.scopes.iter().any(|scope| scope == "openid") {
        let message = "admin.oidc: scopes must have \"openid\" (OpenID Connect Core 1.0 §3.1.2.1)";
        checker.fault(&table.key("scopes"), message);
    }
    // RFC 6749 §3.3.
    let is_scope = |scope: &String| {
        !scope.is_empty()
            && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    for (index, scope) in oidc.scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
        checker.fault(
            &table.key("scopes").item(index),
            format!("admin.oidc: scopes: {scope:?} is not one scope"),
        );
    }
    if oidc.name_claim.is_empty() {
        checker.fault(&table.key("name_claim"), "admin.oidc: name_claim is empty; the default is \"name\"");
    }
}

#[cfg(test)]
mod tests {
    /// The faults and the warnings of a text.
    fn report(text: &str) -> (Vec<String>, Vec<String>) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let report = crate::check(file.path());
        let said = |list: Vec<crate::Fault>| list.into_iter().map(|it| it.message).collect();
        (said(report.faults), said(report.warnings))
    }

    const GOOD: &str = "[admin]\ntoken = \"kX9vTq2mZr7LwP4s\"\n[admin.oidc]\nissuer = \"https://login.example.org/r\"\nclient_id = \"amphi\"\n\
                        client_secret = \"hunter2\"\nredirect_url = \"https://a.example.org/x/sign-in/callback\"\noperator = [\"groups=video\"]\n";

    #[test]
    fn a_provider_is_checked() {
        assert_eq!(report(GOOD).0, [""; 0]);
        for (from, to, expected) in [
            ("https://login", "http://login", "issuer is not an https:// URL"),
            ("example.org/r\"", "example.org/r?a=b\"", "issuer must have no user, query"),
            ("client_id = \"amphi\"\n", "", "issuer needs a client_id"),
            ("issuer = \"https://login.example.org/r\"\n", "", "client_id is of no use without issuer"),
            ("/sign-in/callback", "/callback", "redirect_url must end with /sign-in/callback"),
            ("\"https://a.e", "\"ftp://a.e", "redirect_url is not an http:// or https:// URL"),
            ("[\"groups=video\"]", "[]", "no claim makes anybody an operator or a viewer"),
            ("groups=video", "video", "\"video\" is not \"claim=value\""),
            ("[admin.oidc]", "[admin.oidc]\nscopes = [\"profile\"]", "scopes must have \"openid\""),
            ("[admin.oidc]", "[admin.oidc]\nscopes = [\"openid profile\"]", "scopes must have \"openid\""),
            ("[admin.oidc]", "[admin.oidc]\nname_claim = \"\"", "name_claim is empty"),
            ("[admin.oidc]", "[admin.oidc]\nclient_secret_file = \"none\"", "not both"),
            ("[admin.oidc]", "[admin.oidc]\nca_file = \"/no/such.pem\"", "ca_file /no/such.pem"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let (faults, _) = report(&GOOD.replacen(from, to, 1));
            assert!(faults.iter().any(|it| it.contains(expected)), "{from} -> {to}: {faults:?}");
            assert!(!faults.concat().contains("hunter2"), "{faults:?}");
        }
        let (faults, warnings) = report(&GOOD.replacen("https://a.example.org", "http://a.example.org", 1));
        assert!(faults.is_empty() && warnings.iter().any(|it| it.contains("is not https")), "{warnings:?}");
        let (faults, warnings) = report(&GOOD.replacen("token = \"kX9vTq2mZr7LwP4s\"\n", "", 1));
        assert!(
            faults.is_empty() && warnings.iter().any(|it| it.contains("without admin.token")),
            "{warnings:?}"
        );
        let here = GOOD.replacen("https://login.example.org", "http://127.0.0.1:8080", 1);
        assert_eq!(report(&here).0, [""; 0], "a provider of this machine");
    }

    #[test]
    fn a_proxy_that_names_people_must_be_known() {
        let of = |proxies: &str, keys: &str| {
            report(&format!(
                "[server]\nadmin_listen = \"0.0.0.0:8089\"\ntrusted_proxies = {proxies}\n[admin]\n{keys}"
            ))
            .0
        };
        let keys = "remote_user_header = \"X-Remote-User\"\nremote_viewer = [\"*\"]\n";
        assert_eq!(of("[\"192.0.2.1\", \"2001:db8::/32\"]", keys), [""; 0], "no token is needed");
        for (proxies, keys, expected) in [
            ("[]", keys, "believed of no address"),
            ("[\"proxy.example.org\"]", keys, "is no address and no block"),
            ("[\"0.0.0.0/0\"]", keys, "0.0.0.0/0 is everybody"),
            ("[\"192.0.2.1\"]", "remote_user_header = \"X-Remote-User\"\n", "nobody whom the proxy names"),
            (
                "[\"192.0.2.1\"]",
                "remote_user_header = \"Cookie\"\nremote_viewer = [\"*\"]\n",
                "another meaning",
            ),
            (
                "[\"192.0.2.1\"]",
                "remote_user_header = \"X Y\"\nremote_viewer = [\"*\"]\n",
                "not a header's name",
            ),
            ("[\"192.0.2.1\"]", "remote_groups_header = \"X-G\"\n", "of no use without remote_user_header"),
        ] {
            let faults = of(proxies, keys);
            assert!(faults.iter().any(|it| it.contains(expected)), "{keys}: {faults:?}");
        }
    }
}
