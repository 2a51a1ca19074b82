//! `[server]`, `[segment]`, `[admin]`, `[[alarm.webhook]]`, `[wowza_rest]`.

use std::net::SocketAddr;

use super::super::Config;
use super::{Checker, Place};

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    addresses(checker, config);
    segment(checker, config);
    webhooks(checker, config);
    admin(checker, config);
    pages(checker, config);
    wowza_rest(checker, config);
}

fn addresses(checker: &mut Checker<'_>, config: &Config) {
    let server = &config.server;
    let table = Place::top("server");
    let mut seen: Vec<(&str, SocketAddr)> = Vec::new();
    for (key, text, may_be_off) in [
        ("listen", &server.listen, false),
        ("http_listen", &server.http_listen, true),
        ("https_listen", &server.https_listen, true),
        ("admin_listen", &server.admin_listen, false),
        ("wowza_rest_listen", &server.wowza_rest_listen, true),
        ("wowza_counts_listen", &server.wowza_counts_listen, true),
    ] {
        if may_be_off && text.is_empty() {
            continue;
        }
        let place = table.key(key);
        match text.parse::<SocketAddr>() {
            Err(_) => {
                let off = if may_be_off { ", or \"\" for off" } else { "" };
                let message = format!(
                    "{key}: {text:?} is not an address and port like \"0.0.0.0:1935\" or \"[::]:1935\"{off}"
                );
                checker.fault(&place, message);
            }
            // Port 0 lets the system choose a free port each time.
            Ok(address) => match seen.iter().find(|(_, other)| *other == address && address.port() != 0) {
                Some((other, _)) => checker.fault(&place, format!("{key}: {text} is taken by {other}")),
                None => seen.push((key, address)),
            },
        }
    }
    if server.connections < 10 {
        let message = format!("connections: {} are too few for viewers; at least 10", server.connections);
        checker.fault(&table.key("connections"), message);
    }
    if server.connections_per_address > server.connections {
        let message = format!(
            "connections_per_address: {} are more than connections = {} in all",
            server.connections_per_address, server.connections
        );
        checker.fault(&table.key("connections_per_address"), message);
    }
    if server.state_dir.as_os_str().is_empty() {
        checker.fault(&table.key("state_dir"), "state_dir: a directory is needed");
    }
}

fn segment(checker: &mut Checker<'_>, config: &Config) {
    let segment = &config.segment;
    let table = Place::top("segment");
    if !(500..=10_000).contains(&segment.duration_ms) {
        let message = format!("duration_ms: {} is not between 500 and 10000", segment.duration_ms);
        checker.fault(&table.key("duration_ms"), message);
    }
    // RFC 8216 §6.2.2: a live playlist never gets shorter than three target durations.
    if segment.window < 3 {
        let message = format!("window: {} segments; players need at least 3", segment.window);
        checker.fault(&table.key("window"), message);
    }
}

fn webhooks(checker: &mut Checker<'_>, config: &Config) {
    for (index, webhook) in config.alarm.webhooks.iter().enumerate() {
        if !is_http(webhook.url.reveal()) {
            let place = Place::top("alarm").key("webhook").item(index).key("url");
            checker.fault(
                &place,
                format!("alarm webhook number {}: url is not an http:// or https:// URL", index + 1),
            );
        }
    }
}

/// Whether `text` is an `http://` or `https://` URL with a host.
pub(super) fn is_http(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn admin(checker: &mut Checker<'_>, config: &Config) {
    let admin = &config.admin;
    let table = Place::top("admin");
    let has_file = !admin.token_file.as_os_str().is_empty();
    if !admin.token.is_empty() && has_file {
        checker.fault(&table.key("token_file"), "admin: give token or token_file, not both");
    }
    if !is_token(admin.token.reveal()) {
        checker.fault(&table.key("token"), format!("admin: token {TOKEN_RULE}"));
    }
    let has_viewer_file = !admin.viewer_token_file.as_os_str().is_empty();
    if !admin.viewer_token.is_empty() && has_viewer_file {
        let message = "admin: give viewer_token or viewer_token_file, not both";
        checker.fault(&table.key("viewer_token_file"), message);
    }
    if !is_token(admin.viewer_token.reveal()) {
        checker.fault(&table.key("viewer_token"), format!("admin: viewer_token {TOKEN_RULE}"));
    }
    // A token whose key is misspelt counts as set.
    let meant = ["token", "token_file"].iter().any(|key| checker.document.is_spoiled(&table.key(key)));
    let has_operator = !admin.token.is_empty() || has_file || meant;
    let asks = has_operator || admin.knows_people();
    if (!admin.viewer_token.is_empty() || has_viewer_file) && !asks {
        let key = if has_viewer_file { "viewer_token_file" } else { "viewer_token" };
        let message = format!("admin: {key} is of no use without token: without one, no token is asked for");
        checker.fault(&table.key(key), message);
    }
    if !admin.token.is_empty() && admin.token == admin.viewer_token {
        checker.fault(&table.key("viewer_token"), "admin: viewer_token must not be the operator's token");
    }
    if config.server.admin_listen.parse().is_ok_and(open_to_all) && !asks {
        let message = format!(
            "admin_listen: {} is open to others than this machine; set admin.token or admin.token_file first",
            config.server.admin_listen
        );
        checker.fault(&Place::top("server").key("admin_listen"), message);
    }
}

fn wowza_rest(checker: &mut Checker<'_>, config: &Config) {
    let rest = &config.wowza_rest;
    let table = Place::top("wowza_rest");
    let meant = ["username", "password"].iter().any(|key| checker.document.is_spoiled(&table.key(key)));
    if rest.username.is_empty() != rest.password.is_empty() && !meant {
        checker.fault(&table, "wowza_rest: give both username and password, or neither");
    }
    let server = &config.server;
    for (key, listen) in [
        ("wowza_rest_listen", &server.wowza_rest_listen),
        ("wowza_counts_listen", &server.wowza_counts_listen),
    ] {
        if listen.parse().is_ok_and(open_to_all) && rest.username.is_empty() && !meant {
            let message = format!(
                "{key}: {listen} is open to others than this machine; set wowza_rest.username and password first"
            );
            checker.fault(&Place::top("server").key(key), message);
        }
    }
}

fn pages(checker: &mut Checker<'_>, config: &Config) {
    let pages = &config.pages;
    let table = Place::top("pages");
    if !pages.public_url.is_empty() && !is_base(&pages.public_url) {
        let message = "pages: public_url is not an http:// or https:// URL of a host, with or without a path";
        checker.fault(&table.key("public_url"), message);
    }
    for (index, origin) in pages.embed_from.iter().enumerate() {
        if origin != "*" && !is_origin(origin) {
            let message = format!(
                "pages: embed_from: {origin:?} is neither \"*\" nor an origin like \"https://moodle.example.org\""
            );
            checker.fault(&table.key("embed_from").item(index), message);
        }
    }
}

/// An origin, with or without a path beneath which a proxy serves it.
fn is_base(text: &str) -> bool {
    let Some(at) = text.find("://").map(|at| at + 3) else { return false };
    let (host, path) = text.get(at..).and_then(|rest| rest.split_once('/')).unwrap_or(("", ""));
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~/-".contains(&byte));
    let origin = if host.is_empty() { text } else { text.get(..at + host.len()).unwrap_or_default() };
    is_plain && is_origin(origin)
}

/// Scheme, host and perhaps port (RFC 6454 §4): safe to be written into a Content-Security-Policy.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    plain && is_http(text)
}

fn open_to_all(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// The message about a token that [`is_token`] refuses.
pub(super) const TOKEN_RULE: &str =
    "may only have the characters of a bearer token: A-Z a-z 0-9 - . _ ~ + / =";

/// Whether `text` can be sent as a bearer token (RFC 6750 §2.1); empty = none is set.
pub(super) fn is_token(text: &str) -> bool {
    text.chars().all(|char| char.is_ascii_alphanumeric() || "-._~+/=".contains(char))
}
