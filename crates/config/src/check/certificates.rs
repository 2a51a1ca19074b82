//! The files of `[tls]`: whether a pair is one, and until when.

use std::io::{self, Read};
use std::path::Path;

use amphi_tls::{Identity, Validity};

use super::super::Config;
use super::files::{readable_file, resolve, secret};
use super::{Checker, Place};

/// Bytes that are read of one file: chains have a few thousand.
const PEM_LIMIT: u64 = 1 << 20;

/// Resolves the paths of `[tls]` against `directory`, and looks into the files. A server starts whatever is in them: it
/// serves what needs no certificate, and takes a good pair when there is one.
pub(in super::super) fn check(checker: &mut Checker<'_>, config: &mut Config, directory: &Path) {
    let now_s = jiff::Timestamp::now().as_second();
    for (index, pair) in config.tls.certificates.iter_mut().enumerate() {
        resolve(directory, &mut pair.chain);
        resolve(directory, &mut pair.key);
        if pair.chain.as_os_str().is_empty() || pair.key.as_os_str().is_empty() {
            continue;
        }
        let place = Place::top("tls").key("certificate").item(index);
        let subject = format!("certificate number {}", index + 1);
        let read = |key: &str, path: &Path| {
            pem(path)
                .map_err(|error| (place.key(key), format!("{subject}: {key} {}: {error}", path.display())))
        };
        let files = read("chain", &pair.chain).and_then(|chain| Ok((chain, read("key", &pair.key)?)));
        let (chain, key) = match files {
            Ok(files) => files,
            Err((place, message)) => {
                checker.absent(&place, message);
                continue;
            }
        };
        match Identity::from_pem(&chain, &key) {
            Err(fault) => checker.absent(&place.key("chain"), format!("{subject}: {fault}")),
            Ok(identity) => {
                let place = place.key("chain");
                match identity.validity(now_s) {
                    Validity::Good => {}
                    Validity::Ending(days) => {
                        checker.warning(&place, format!("{subject}: it expires in {days} day(s); renew it"));
                    }
                    Validity::Expired => {
                        checker.absent(&place, format!("{subject}: it has expired; renew it"));
                    }
                    Validity::NotYet => {
                        checker.absent(&place, format!("{subject}: it is not valid yet"));
                    }
                }
            }
        }
    }
    let acme = &mut config.tls.acme;
    resolve(directory, &mut acme.ca_file);
    resolve(directory, &mut acme.eab_hmac_key_file);
    let table = Place::top("tls").key("acme");
    if let Some(Err(error)) = (!acme.ca_file.as_os_str().is_empty()).then(|| readable_file(&acme.ca_file)) {
        checker.fault(&table.key("ca_file"), format!("acme: ca_file {}: {error}", acme.ca_file.display()));
    }
    let (file, key) = (&acme.eab_hmac_key_file, &mut acme.eab_hmac_key);
    secret(checker, &table.key("eab_hmac_key_file"), "acme: eab_hmac_key_file", file, key);
}

fn pem(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    readable_file(path)?.take(PEM_LIMIT).read_to_end(&mut text)?;
    Ok(text)
}
