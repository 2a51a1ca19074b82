//! `[[channel]]` and `[[vod]]`, and the ladders and sources that channels refer to.

use super::super::fault::Fault;
use super::super::suggest::hint;
use super::super::{Channel, Config, Vod};
use super::names::{Names, subject};
use super::{Checker, Place, quoted};
use amphi_media::charset::Encoding;

/// First path segments that the server uses itself: publishers connect to `rtmp://host/publish/…`, pages and their
/// assets are at `/watch/…` and `/assets/…`, JSON for portals at `/api/…`.
const RESERVED: [&str; 5] = ["publish", "publish-auth", "watch", "assets", "api"];

/// Four hours: anything longer is a typing error.
const LONGEST_OVERRUN_S: u32 = 4 * 3600;

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    if config.channels.is_empty() && config.vods.is_empty() {
        checker.warnings.push(Fault::of_file("no channel and no vod mount: there is nothing to open"));
    }
    let mut names = Names::of("channel");
    for (index, channel) in config.channels.iter().enumerate() {
        let table = Place::top("channel").item(index);
        names.check(checker, &table.key("name"), &channel.name);
        let subject = subject("channel", &channel.name, index);
        reserved(checker, &table, &subject, &channel.name);
        references(checker, &table, &subject, channel, config);
        streams(checker, &table, &subject, channel, config);
        let most = config.segment.duration_ms.saturating_mul(2);
        if !(100..=most).contains(&channel.live_deadline_ms) {
            let message = format!(
                "{subject}: live_deadline_ms: {} is not between 100 and {most} (two segments)",
                channel.live_deadline_ms
            );
            checker.fault(&table.key("live_deadline_ms"), message);
        }
        if channel.overrun_max_s > LONGEST_OVERRUN_S {
            let message =
                format!("{subject}: overrun_max_s: {} is more than four hours", channel.overrun_max_s);
            checker.fault(&table.key("overrun_max_s"), message);
        }
    }
    vods(checker, names, &config.vods);
}

fn reserved(checker: &mut Checker<'_>, table: &Place, subject: &str, name: &str) {
    if RESERVED.contains(&name) {
        checker.fault(&table.key("name"), format!("{subject}: this name is reserved by the server"));
    }
}

fn references(checker: &mut Checker<'_>, table: &Place, subject: &str, channel: &Channel, config: &Config) {
    let ladders = || config.ladders.iter().map(|ladder| ladder.name.as_str());
    if channel.ladder.is_empty() {
        checker.fault(&table.key("ladder"), format!("{subject}: ladder is missing"));
    } else {
        defined(checker, &table.key("ladder"), subject, "ladder", &channel.ladder, ladders());
    }
    if !channel.source.is_empty() {
        let sources = config.sources.iter().map(|source| source.name.as_str());
        defined(checker, &table.key("source"), subject, "source", &channel.source, sources);
    }
}

/// Records a fault if nothing of `kind` is called `name`, with the name that was probably meant.
pub(super) fn defined<'a>(
    checker: &mut Checker<'_>,
    place: &Place,
    subject: &str,
    kind: &str,
    name: &str,
    mut known: impl Iterator<Item = &'a str> + Clone,
) {
    let candidates = known.clone();
    if !checker.document.is_nameless(kind) && !known.any(|other| other == name) {
        let message = format!("{subject}: {kind} {} is not defined{}", quoted(name), hint(name, candidates));
        checker.fault(place, message);
    }
}

fn streams(checker: &mut Checker<'_>, table: &Place, subject: &str, channel: &Channel, config: &Config) {
    let place = table.key("streams");
    if channel.streams.is_empty() {
        checker.fault(&place, format!("{subject}: streams needs at least one name, e.g. [\"live\"]"));
    }
    let mut names = Names::of("stream");
    for (index, stream) in channel.streams.iter().enumerate() {
        names.check(checker, &place.item(index), stream);
        if stream == "_definst_" {
            let message = format!("{subject}: stream {stream:?} is Wowza's word for an instance");
            checker.fault(&place.item(index), message);
        }
    }
    // "live_720p" is the 720p rung of "live": it cannot be a stream of its own as well.
    let Some(ladder) = config.ladders.iter().find(|ladder| ladder.name == channel.ladder) else { return };
    for (index, stream) in channel.streams.iter().enumerate() {
        let is_rung = |whole: &&String| {
            let suffix = stream.strip_prefix(whole.as_str()).and_then(|rest| rest.strip_prefix('_'));
            suffix.is_some_and(|suffix| ladder.rungs.iter().any(|rung| rung.name == suffix))
        };
        if let Some(whole) = channel.streams.iter().find(is_rung) {
            let message = format!("{subject}: stream {stream:?} is the name of a rung of stream {whole:?}");
            checker.fault(&place.item(index), message);
        }
    }
}

/// Mounts share the first path segment of URLs with channels.
fn vods<'a>(checker: &mut Checker<'_>, channels: Names<'a>, vods: &'a [Vod]) {
    let mut names = channels.and_of("vod");
    for (index, vod) in vods.iter().enumerate() {
        let table = Place::top("vod").item(index);
        names.check(checker, &table.key("name"), &vod.name);
        let subject = subject("vod", &vod.name, index);
        reserved(checker, &table, &subject, &vod.name);
        if vod.root.as_os_str().is_empty() {
            checker.fault(&table.key("root"), format!("{subject}: root is missing"));
        }
        if !(1000..=60_000).contains(&vod.segment_ms) {
            let message = format!("{subject}: segment_ms: {} is not between 1000 and 60000", vod.segment_ms);
            checker.fault(&table.key("segment_ms"), message);
        }
        if Encoding::for_label(vod.text_encoding.as_bytes()).is_none() {
            let message = format!(
                "{subject}: text_encoding: {:?} is no encoding that is known, such as \"windows-1252\" or \"iso-8859-2\"",
                vod.text_encoding
            );
            checker.fault(&table.key("text_encoding"), message);
        }
    }
}
