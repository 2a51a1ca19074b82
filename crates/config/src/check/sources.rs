//! `[[source]]`.

use super::super::{SecondPublisher, Source, Transport};
use super::names::{Names, subject};
use super::{Checker, Place};

pub(super) fn check(checker: &mut Checker<'_>, sources: &[Source]) {
    let mut names = Names::of("source");
    for (index, source) in sources.iter().enumerate() {
        let table = Place::top("source").item(index);
        names.check(checker, &table.key("name"), &source.name);
        let subject = subject("source", &source.name, index);
        match (source.url.is_empty(), source.publish_key.is_empty()) {
            (true, true) => {
                let message =
                    format!("{subject}: give url (to pull it) or publish_key (if it publishes to us)");
                if !checker.document.is_spoiled(&table.key("publish_key")) {
                    checker.fault(&table.key("url"), message);
                }
            }
            (false, false) => {
                let message = format!("{subject}: give url or publish_key, not both");
                checker.fault(&table.key("publish_key"), message);
            }
            (false, true) => {
                if source.on_second_publisher != SecondPublisher::default() {
                    let message = format!("{subject}: on_second_publisher is for sources with a publish_key");
                    checker.fault(&table.key("on_second_publisher"), message);
                }
                if let Err(what) = pulled_url(source.url.reveal()) {
                    checker.fault(&table.key("url"), format!("{subject}: url {what}"));
                }
                if source.url.reveal().starts_with("rtsps:") && source.transport != Transport::Tcp {
                    let message = format!("{subject}: with rtsps:// only transport = \"tcp\" is inside TLS");
                    checker.fault(&table.key("transport"), message);
                }
            }
            (true, false) => {
                if source.keep_open {
                    let message = format!("{subject}: keep_open is for sources with a url");
                    checker.fault(&table.key("keep_open"), message);
                }
            }
        }
    }
}

/// Whether we can pull from `text` (RFC 2326 §3.2). The message does not repeat the URL, which may hold a password.
fn pulled_url(text: &str) -> Result<(), &'static str> {
    match url::Url::parse(text) {
        Err(_) => Err("is not a URL like \"rtsp://192.0.2.14/extron1\""),
        Ok(url) if !matches!(url.scheme(), "rtsp" | "rtsps") => {
            Err("does not begin with \"rtsp://\" or \"rtsps://\"")
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => Err("names no host"),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rtsp_urls_with_a_host_are_pulled() {
        assert_eq!(pulled_url("rtsp://admin:hunter2@192.0.2.14:554/extron1"), Ok(()));
        assert_eq!(pulled_url("rtsps://192.0.2.14/extron1"), Ok(()));
        assert_eq!(pulled_url("rtsp://[2001:db8::1]/x"), Ok(()));
        for bad in
            ["", "extron1", "192.0.2.14/extron1", "http://192.0.2.14/x", "rtsp:///x", "rtsp://h:99999/"]
        {
            assert!(pulled_url(bad).is_err(), "{bad}");
        }
    }
}
