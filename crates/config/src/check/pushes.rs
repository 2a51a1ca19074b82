//! `[[push]]`.

use super::super::Config;
use super::super::suggest::hint;
use super::channels::defined;
use super::names::{Names, subject};
use super::{Checker, Place, quoted};

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    let mut names = Names::of("push");
    for (index, push) in config.pushes.iter().enumerate() {
        let table = Place::top("push").item(index);
        names.check(checker, &table.key("name"), &push.name);
        let subject = subject("push", &push.name, index);
        if let Err(what) = pushed_url(push.url.reveal()) {
            checker.fault(&table.key("url"), format!("{subject}: url {what}"));
        }
        let channels = || config.channels.iter().map(|channel| channel.name.as_str());
        let Some(channel) = config.channels.iter().find(|channel| channel.name == push.channel) else {
            defined(checker, &table.key("channel"), &subject, "channel", &push.channel, channels());
            continue;
        };
        let ladder = config.ladders.iter().find(|ladder| ladder.name == channel.ladder);
        let Some(ladder) = ladder.filter(|_| !push.rung.is_empty()) else { continue };
        let rungs = || ladder.rungs.iter().map(|rung| rung.name.as_str());
        if !checker.document.is_nameless("ladder") && !rungs().any(|name| name == push.rung) {
            let name = quoted(&push.rung);
            let message = format!(
                "{subject}: ladder {:?} has no rung {name}{}",
                ladder.name,
                hint(&push.rung, rungs())
            );
            checker.fault(&table.key("rung"), message);
        }
    }
}

/// Whether we can publish to `text`. The message does not repeat the URL, which holds a key.
fn pushed_url(text: &str) -> Result<(), &'static str> {
    let Ok(url) = url::Url::parse(text) else {
        return Err("is not a URL like \"rtmp://host/app/key\"");
    };
    if !matches!(url.scheme(), "rtmp" | "rtmps") {
        return Err("does not begin with \"rtmp://\" or \"rtmps://\"");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password; servers take a key after the last slash");
    }
    let path = url.path().trim_start_matches('/');
    match path.rsplit_once('/') {
        Some((app, stream)) if !app.is_empty() && !stream.is_empty() => Ok(()),
        _ => Err("must name an application and a stream: rtmp://host/app/key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rtmp_urls_with_application_and_key_are_pushed_to() {
        for good in ["rtmp://a.example.org/live2/key", "rtmps://[::1]:443/app/inst/key?t=1"] {
            assert_eq!(pushed_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "live/key",
            "rtsp://h/app/key",
            "rtmp:///app/key",
            "rtmp://h/key",
            "rtmp://h/app/",
            "rtmp://u:p@h/a/k",
        ] {
            assert!(pushed_url(bad).is_err(), "{bad}");
        }
    }
}
