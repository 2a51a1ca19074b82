//! `amphi sign`: an address that may be watched for a while.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::delivery::address::{Address, StreamRef};
use crate::delivery::{address, route};
use amphi_access::sign::Signer;
use amphi_access::{Need, Pattern, Subject, WayIn};
use amphi_config::{AccessKeyKind, Config};

/// What is signed, and how.
#[derive(Clone, Debug)]
pub struct SignOptions {
    /// The configuration, which has the key.
    pub config: std::path::PathBuf,
    /// The address of a playlist, a manifest, a page, or an RTMP or RTSP stream of a server with this configuration.
    pub url: String,
    /// The key's name; of kind `hmac`.
    pub key: String,
    /// How long it is good from `now` on.
    pub lasts: Duration,
    /// The one address that it is good from; `None` for all.
    pub ip: Option<IpAddr>,
}

/// The URL with a token in its query. Fails if nothing of the configuration is at that URL, or if the key does not open it.
pub fn sign(options: &SignOptions, now: Timestamp) -> anyhow::Result<String> {
    let SignOptions { config: path, url, key, lasts, ip } = options;
    let config = load(path)?;
    let parsed = Url::parse(url).with_context(|| format!("{url:?} is no URL"))?;
    let subject = subject_of(&config, &parsed)?;
    let settings = config.access.keys.iter().find(|it| it.name == *key);
    let settings = settings.with_context(|| format!("the configuration has no access key {key:?}"))?;
    if settings.kind != AccessKeyKind::Hmac {
        bail!("the access key {key:?} is not of kind \"hmac\": who issues its tokens signs with it");
    }
    let rule = config.access.rules.iter().find(|it| Pattern::new(&it.path).covers(Subject(&subject)));
    let rule = rule.with_context(|| {
        format!("no rule of the configuration covers {subject:?}: everybody may watch it")
    })?;
    let names =
        |way: &String| WayIn::parse(way).is_ok_and(|way| way.needs().contains(&Need::Key(key.clone())));
    if !rule.allow.iter().any(names) {
        bail!("the rule for {:?}, which covers {subject:?}, does not name the key {key:?}", rule.path);
    }
    let made = settings.key()?.context("a key of kind \"hmac\"")?;
    let signer = Signer::new(made.as_hmac().context("a key of kind \"hmac\"")?, now)?;
    let until = now.checked_add(SignedDuration::try_from(*lasts)?).context("it would last too long")?;
    let token = signer.sign(Subject(&subject), until, *ip)?;
    Ok(signer.url(url, &token))
}

fn load(path: &Path) -> anyhow::Result<Config> {
    Config::load(path).map_err(|faults| anyhow::anyhow!("{faults}"))
}

/// What of the configuration is at a URL, by the name that rules give it.
fn subject_of(config: &Config, url: &Url) -> anyhow::Result<String> {
    let is_mount = |app: &str| config.vods.iter().any(|vod| vod.name == app);
    let path = url.path();
    let fault = |error| anyhow::anyhow!("{path:?} is no address of a channel or a recording: {error}");
    let address: Address<'_> = if matches!(url.scheme(), "http" | "https") {
        match path.strip_prefix("/watch/") {
            Some(watched) => address::parse(watched, is_mount).map_err(fault)?,
            None => match route::parse(path, is_mount).map_err(fault)? {
                route::HttpRoute::Channel(path) => path.address,
                route::HttpRoute::Mount(path) => path.map_err(fault)?.address,
                route::HttpRoute::CrossDomain => bail!("everybody may have {path:?}"),
            },
        }
    } else {
        address::parse(path.trim_matches('/'), is_mount).map_err(fault)?
    };
    match &address.stream {
        Some(StreamRef::Recording(stream)) => Ok(format!("{}/{}", address.app, stream.path())),
        _ if config.channels.iter().any(|it| *it.name == *address.app) => Ok(address.app.into_owned()),
        _ => bail!("the configuration has no channel and no mount {:?}", address.app),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [[ladder]]
        name = "l"
        rung = [{ name = "180p", width = 320, height = 180, fps = 15, bitrate = 100000 }]
        [[channel]]
        name = "Live_A"
        streams = ["live"]
        ladder = "l"
        [[vod]]
        name = "vod"
        root = "/nas"
        [[access.key]]
        name = "portal"
        secrets = ["Rie7eephahc5Eiqu8Aeph1oo"]
        [[access.key]]
        name = "wowza"
        kind = "wowza"
        secrets = ["x"]
        [[access.rule]]
        path = "Live_*"
        allow = ["key:portal"]
        [[access.rule]]
        path = "vod"
        allow = ["key:wowza"]
    "#;

    fn signed(url: &str, key: &str) -> Result<String, String> {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("config.toml");
        std::fs::write(&config, CONFIG).expect("written");
        let lasts = Duration::from_secs(7200);
        let options = SignOptions { config, url: url.to_owned(), key: key.to_owned(), lasts, ip: None };
        let now = Timestamp::from_second(1_795_000_000).expect("a time");
        sign(&options, now).map_err(|error| error.to_string())
    }

    #[test]
    fn one_token_opens_a_channel_however_its_address_is_written() {
        let token =
            |url| signed(url, "portal").expect("signed").rsplit_once("token=").expect("a token").1.to_owned();
        let first = token("https://live.example.org/Live_A/playlist.m3u8");
        assert!(first.starts_with("1795007200."), "{first}");
        for url in [
            "http://h:1935/Live_A/_definst_/live_180p/manifest.mpd?x=1",
            "rtmp://h/Live_A/live",
            "rtsp://h/Live_A/live_180p",
            "https://h/watch/Live_A?t=1#x",
        ] {
            assert!(signed(url, "portal").expect("signed").contains(&first), "{url}");
        }
    }

    #[test]
    fn what_the_key_does_not_open_is_not_signed() {
        for (url, key, why) in [
            ("https://h/vod/a.mp4/playlist.m3u8", "portal", "does not name the key"),
            ("https://h/vod/a.mp4/playlist.m3u8", "wowza", "not of kind"),
            ("https://h/Live_A/playlist.m3u8", "none", "has no access key"),
            ("https://h/other/playlist.m3u8", "portal", "no channel and no mount"),
            ("Live_A", "portal", "is no URL"),
            ("https://h/", "portal", "is no address"),
        ] {
            let error = signed(url, key).expect_err(url);
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
