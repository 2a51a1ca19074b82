//! `[tls]`: what ports need of it, and what contradicts itself.

use super::super::Config;
use super::{Checker, Place};

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    let (server, tls) = (&config.server, &config.tls);
    let table = Place::top("tls");
    let acme = table.key("acme");
    let meant = ["certificate", "acme"].iter().any(|key| checker.document.is_spoiled(&table.key(key)));
    for (key, is_on) in [("https_listen", !server.https_listen.is_empty()), ("admin_tls", server.admin_tls)] {
        if is_on && !tls.is_on() && !meant {
            let message = format!("{key}: there is no certificate; give [[tls.certificate]] or [tls.acme]");
            checker.fault(&Place::top("server").key(key), message);
        }
    }
    if tls.has_acme() && !tls.certificates.is_empty() {
        checker.fault(&acme.key("directory"), "tls: give [[tls.certificate]] or [tls.acme], not both");
    }
    for (index, pair) in tls.certificates.iter().enumerate() {
        let place = table.key("certificate").item(index);
        for (key, path) in [("chain", &pair.chain), ("key", &pair.key)] {
            if path.as_os_str().is_empty() {
                checker.fault(&place, format!("certificate number {}: {key} is missing", index + 1));
            }
        }
    }
    if tls.redirect && server.https_listen.is_empty() {
        checker.fault(&table.key("redirect"), "tls: redirect needs server.https_listen");
    }
    if tls.redirect && !server.trusted_proxies.is_empty() {
        let message = "tls: redirect: a proxy on another machine that has seen to TLS itself is sent round and round; \
                       let it ask https_listen";
        checker.warning(&table.key("redirect"), message);
    }
    if tls.hsts_s > 0 && server.https_listen.is_empty() {
        checker.warning(&table.key("hsts_s"), "tls: hsts_s does nothing without server.https_listen");
    }
    acme_alone(checker, config, &acme);
}

fn acme_alone(checker: &mut Checker<'_>, config: &Config, table: &Place) {
    let acme = &config.tls.acme;
    if !config.tls.has_acme() {
        return;
    }
    // Secrets are sent there.
    let is_https =
        url::Url::parse(&acme.directory).is_ok_and(|url| url.scheme() == "https" && url.has_host());
    if !is_https {
        checker.fault(&table.key("directory"), "acme: directory is not an https:// URL");
    }
    if acme.domains.is_empty() {
        checker
            .fault(&table.key("directory"), "acme: domains are missing: which hosts is the certificate for?");
    }
    for (index, name) in acme.domains.iter().enumerate() {
        if !is_host(name) {
            let message = format!("acme: domains: {name:?} is not a host name like \"live.example.org\"");
            checker.fault(&table.key("domains").item(index), message);
        }
    }
    for (index, contact) in acme.contact.iter().enumerate() {
        if !contact.starts_with("mailto:") {
            let message = "acme: contact: write addresses as \"mailto:av@example.org\"";
            checker.fault(&table.key("contact").item(index), message);
        }
    }
    let has_file = !acme.eab_hmac_key_file.as_os_str().is_empty();
    if !acme.eab_hmac_key.is_empty() && has_file {
        let message = "acme: give eab_hmac_key or eab_hmac_key_file, not both";
        checker.fault(&table.key("eab_hmac_key_file"), message);
    }
    let meant = checker.document.is_spoiled(&table.key("eab_hmac_key"));
    if acme.eab_key_id.is_empty() == (!acme.eab_hmac_key.is_empty() || has_file) && !meant {
        let message = "acme: give both eab_key_id and its eab_hmac_key, or neither";
        checker.fault(&table.key("eab_key_id"), message);
    }
}

/// A host name without a wildcard: neither of our two proofs is enough for one (RFC 8555 §8.3, RFC 8737 §3).
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !label.is_empty() && label.len() < 64 && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() < 254 && name.contains('.') && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_told_from_others() {
        for good in ["live.example.org", "a-b.c", "xn--bcher-kva.example"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "localhost", "*.example.org", "a..b", "-a.b", "a.b/", "a b.c", "https://a.b"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
