//! The files that a configuration names: resolved against its directory, and checked.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::super::{Config, OpenIdConnect, Secret};
use super::access::SECRET_BYTES_MIN;
use super::names::subject;
use super::server::{TOKEN_RULE, is_token};
use super::{Checker, Place, secrets};

/// Bytes that are read of a secret's file at most.
const SECRET_LIMIT: u64 = 4096;
/// Bytes that are read of a file of several secrets, or of public keys.
const SECRETS_LIMIT: u64 = 256 << 10;

/// Joins every path to `directory`, the configuration's own; reads the files of secrets into the values that they stand
/// for; reports what is missing.
pub(in super::super) fn check(checker: &mut Checker<'_>, config: &mut Config, directory: &Path) {
    let resolve = |path: &mut PathBuf| resolve(directory, path);
    resolve(&mut config.server.state_dir);
    for (index, channel) in config.channels.iter_mut().enumerate() {
        resolve(&mut channel.waiting);
        if channel.waiting.as_os_str().is_empty() {
            continue;
        }
        if let Err(error) = readable_file(&channel.waiting) {
            let subject = subject("channel", &channel.name, index);
            let place = Place::top("channel").item(index).key("waiting");
            // A server that starts while the NAS is away shows a plain card.
            checker.absent(&place, format!("{subject}: waiting {}: {error}", channel.waiting.display()));
        }
    }
    for (index, vod) in config.vods.iter_mut().enumerate() {
        resolve(&mut vod.root);
        // A NAS may be mounted after the server starts: not a fault.
        if !vod.root.as_os_str().is_empty() && !vod.root.is_dir() {
            let subject = subject("vod", &vod.name, index);
            let place = Place::top("vod").item(index).key("root");
            let message = format!("{subject}: root {} is not a directory at present", vod.root.display());
            checker.warning(&place, message);
        }
    }
    for (index, source) in config.sources.iter_mut().enumerate() {
        resolve(&mut source.ca_file);
        if let Some(Err(error)) =
            Some(&source.ca_file).filter(|path| !path.as_os_str().is_empty()).map(|path| readable_file(path))
        {
            let subject = subject("source", &source.name, index);
            let place = Place::top("source").item(index).key("ca_file");
            checker.fault(&place, format!("{subject}: ca_file {}: {error}", source.ca_file.display()));
        }
    }
    for (index, push) in config.pushes.iter_mut().enumerate() {
        resolve(&mut push.ca_file);
        if let Some(Err(error)) =
            Some(&push.ca_file).filter(|path| !path.as_os_str().is_empty()).map(|path| readable_file(path))
        {
            let subject = subject("push", &push.name, index);
            let place = Place::top("push").item(index).key("ca_file");
            checker.fault(&place, format!("{subject}: ca_file {}: {error}", push.ca_file.display()));
        }
    }
    resolve(&mut config.admin.token_file);
    let place = Place::top("admin").key("token_file");
    secret(checker, &place, "admin: token_file", &config.admin.token_file, &mut config.admin.token);
    if !config.admin.token_file.as_os_str().is_empty() && !is_token(config.admin.token.reveal()) {
        checker.fault(&place, format!("admin: the token in token_file {TOKEN_RULE}"));
    }
    resolve(&mut config.admin.viewer_token_file);
    let place = Place::top("admin").key("viewer_token_file");
    let (file, token) = (&config.admin.viewer_token_file, &mut config.admin.viewer_token);
    secret(checker, &place, "admin: viewer_token_file", file, token);
    if !file.as_os_str().is_empty() && !is_token(token.reveal()) {
        checker.fault(&place, format!("admin: the token in viewer_token_file {TOKEN_RULE}"));
    }
    if !file.as_os_str().is_empty() && *token == config.admin.token {
        checker.fault(&place, "admin: the token in viewer_token_file must not be the operator's token");
    }
    let Config { admin, .. } = &*config;
    for (file, key, token) in [
        (&admin.token_file, "token_file", &admin.token),
        (&admin.viewer_token_file, "viewer_token_file", &admin.viewer_token),
    ] {
        if !file.as_os_str().is_empty() {
            secrets::token(checker, config, &Place::top("admin").key(key), key, token.reveal());
        }
    }
    access(checker, config, directory);
    provider(checker, &mut config.admin.oidc, directory);
    calendar(checker, config, directory);
    resolve(&mut config.schedule.ca_file);
    let ca_file = &config.schedule.ca_file;
    if let Some(Err(error)) = (!ca_file.as_os_str().is_empty()).then(|| readable_file(ca_file)) {
        let place = Place::top("schedule").key("ca_file");
        checker.fault(&place, format!("schedule: ca_file {}: {error}", ca_file.display()));
    }
    resolve(&mut config.schedule.password_file);
    let place = Place::top("schedule").key("password_file");
    let (file, password) = (&config.schedule.password_file, &mut config.schedule.password);
    secret(checker, &place, "schedule: password_file", file, password);
}

/// The secrets of grants and of keys.
fn access(checker: &mut Checker<'_>, config: &mut Config, directory: &Path) {
    let resolve = |path: &mut PathBuf| resolve(directory, path);
    let access = &mut config.access;
    resolve(&mut access.grant_secret_file);
    let place = Place::top("access");
    let (file, secret_of) = (&access.grant_secret_file, &mut access.grant_secret);
    secret(checker, &place.key("grant_secret_file"), "access: grant_secret_file", file, secret_of);
    if !file.as_os_str().is_empty() && (1..SECRET_BYTES_MIN).contains(&secret_of.reveal().len()) {
        let message = format!(
            "access: grant_secret_file: a secret of less than {SECRET_BYTES_MIN} bytes is found by trying"
        );
        checker.fault(&place.key("grant_secret_file"), message);
    }
    for (index, key) in access.keys.iter_mut().enumerate() {
        let place = place.key("key").item(index);
        let subject = subject("key", &key.name, index);
        resolve(&mut key.ca_file);
        if let Some(Err(error)) = (!key.ca_file.as_os_str().is_empty()).then(|| readable_file(&key.ca_file)) {
            checker.fault(
                &place.key("ca_file"),
                format!("{subject}: ca_file {}: {error}", key.ca_file.display()),
            );
        }
        resolve(&mut key.secrets_file);
        if key.secrets_file.as_os_str().is_empty() {
            continue;
        }
        let read = readable_file(&key.secrets_file).and_then(|file| {
            let mut text = String::new();
            file.take(SECRETS_LIMIT).read_to_string(&mut text)?;
            Ok(text)
        });
        let file = key.secrets_file.display().to_string();
        let place = place.key("secrets_file");
        match read {
            Ok(text) => {
                key.secrets_text = Secret::new(text);
                if let Err(error) = key.key() {
                    checker.fault(&place, format!("{subject}: secrets_file {file}: {error}"));
                }
            }
            Err(error) => checker.fault(&place, format!("{subject}: secrets_file {file}: {error}")),
        }
    }
}

/// The files of `[admin.oidc]`.
fn provider(checker: &mut Checker<'_>, oidc: &mut OpenIdConnect, directory: &Path) {
    let table = Place::top("admin").key("oidc");
    for path in [&mut oidc.client_secret_file, &mut oidc.ca_file] {
        resolve(directory, path);
    }
    let place = table.key("client_secret_file");
    let (file, client_secret) = (&oidc.client_secret_file, &mut oidc.client_secret);
    secret(checker, &place, "admin.oidc: client_secret_file", file, client_secret);
    if let Some(Err(error)) = (!oidc.ca_file.as_os_str().is_empty()).then(|| readable_file(&oidc.ca_file)) {
        let message = format!("admin.oidc: ca_file {}: {error}", oidc.ca_file.display());
        checker.fault(&table.key("ca_file"), message);
    }
}

/// Joins a path to `directory`, unless it is empty.
pub(super) fn resolve(directory: &Path, path: &mut PathBuf) {
    if !path.as_os_str().is_empty() {
        *path = directory.join(&*path);
    }
}

/// A calendar that is a file is resolved like every path. It may be written after the server starts: not a fault.
fn calendar(checker: &mut Checker<'_>, config: &mut Config, directory: &Path) {
    let schedule = &mut config.schedule;
    let Some(path) = schedule.file().map(|path| directory.join(path)) else { return };
    if let Err(error) = readable_file(&path) {
        let place = Place::top("schedule").key("url");
        checker.warning(&place, format!("schedule: the calendar's file cannot be read at present: {error}; a URL begins with http:// or https://"));
    }
    schedule.url = Secret::new(path.to_string_lossy());
}

pub(super) fn readable_file(path: &Path) -> io::Result<fs::File> {
    // Checked first: opening a named pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    fs::File::open(path)
}

/// Puts the first line of `path`, trimmed, into `value`.
pub(super) fn secret(
    checker: &mut Checker<'_>,
    place: &Place,
    subject: &str,
    path: &Path,
    value: &mut Secret,
) {
    if path.as_os_str().is_empty() {
        return;
    }
    let first_line = readable_file(path).and_then(|file| {
        let mut line = String::new();
        BufReader::new(file.take(SECRET_LIMIT)).read_line(&mut line)?;
        Ok(line)
    });
    match first_line {
        Err(error) => checker.fault(place, format!("{subject} {}: {error}", path.display())),
        Ok(line) if line.trim().is_empty() => {
            checker.fault(place, format!("{subject} {}: the first line is empty", path.display()));
        }
        Ok(line) => *value = Secret::new(line.trim()),
    }
}
