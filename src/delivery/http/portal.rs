//! `/api/public/now.json`: what is on each channel, what comes next, what can be seen again; for the portal and Moodle,
//! which poll it.
//!
//! The text changes only when its content does, so most requests are answered with 304 by its `ETag`. It is made by a task,
//! about once a second; a request shares the bytes. Links are relative to the document, so they hold under whatever path a
//! proxy serves it; with `pages.public_url` they are absolute.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use serde::Serialize;
use tokio::sync::watch;

use super::answer::Answer;
use super::fault::unserved;
use crate::delivery::AnswerKind;
use crate::delivery::unserved::Unserved;
use amphi_control::agenda::{Plan, PlannedEvent};
use amphi_control::matrix::MatrixView;
use amphi_http::{Body, ContentMetadata, ETag, content};
use amphi_media::{ChannelName, MediaTime, Segment, SourceName};
use amphi_vod::Listed;

/// The path of the document.
pub const PATH: &str = "/api/public/now.json";

const SHORT: HeaderValue = HeaderValue::from_static("public, max-age=5");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// From the document to the root.
const UP: &str = "../../";
/// Recordings listed for one channel.
const REPLAYS: usize = 10;

/// The document that is served; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Portal(Arc<watch::Sender<Option<PublishedDocument>>>);

#[derive(Clone, Debug)]
struct PublishedDocument {
    text: Bytes,
    etag: ETag,
}

impl Portal {
    /// Serves this text from now on.
    pub fn show(&self, text: String) {
        self.0.send_if_modified(|shown| {
            let changed = shown.as_ref().is_none_or(|shown| shown.text != text.as_bytes());
            if changed {
                let etag = ETag::of(text.as_bytes());
                *shown = Some(PublishedDocument { text: text.into(), etag });
            }
            changed
        });
    }

    pub(super) fn answer(&self, request: &Parts) -> Answer {
        let Some(PublishedDocument { text, etag }) = self.0.borrow().clone() else {
            return unserved(Unserved::NotReady);
        };
        let description = ContentMetadata { content_type: JSON, cache_control: SHORT, etag: Some(&etag) };
        let response: Response<Body> = content(request, &Segment::from(text), description);
        (AnswerKind::Other, response)
    }
}

#[derive(Serialize)]
struct PortalDocument<'a> {
    channels: Vec<PortalChannel<'a>>,
}

#[derive(Serialize)]
struct PortalChannel<'a> {
    #[serde(rename = "channel")]
    name: &'a str,
    /// A source is on air.
    live: bool,
    now: Option<PortalLecture<'a>>,
    next: Option<PortalLecture<'a>>,
    hls: String,
    dash: String,
    watch: String,
    replays: Vec<Replay<'a>>,
}

#[derive(Serialize)]
struct PortalLecture<'a> {
    id: &'a str,
    title: &'a str,
    series: Option<&'a str>,
    presenters: &'a [String],
    place: &'a str,
    starts: MediaTime,
    ends: MediaTime,
}

#[derive(Serialize)]
struct Replay<'a> {
    title: &'a str,
    series: Option<&'a str>,
    presenters: &'a [String],
    created: Option<&'a str>,
    hls: String,
    dash: String,
    poster: String,
}

/// The document at `now`, as JSON; links begin with `public_url`, if there is one. `recordings` are those of each mount that
/// lists them, by the mount's name.
pub fn document(
    view: &MatrixView,
    plan: &Plan,
    recordings: &[(String, Arc<Vec<Listed>>)],
    now: MediaTime,
    public_url: &str,
) -> String {
    let root =
        if public_url.is_empty() { UP.to_owned() } else { format!("{}/", public_url.trim_end_matches('/')) };
    let channel = |name: &ChannelName, on_air: Option<&SourceName>| -> (Option<usize>, Option<usize>) {
        let shown =
            |event: &PlannedEvent| event.channel.as_ref() == Some(name) && event.connect_from.is_some();
        let runs = |event: &PlannedEvent| shown(event) && event.starts <= now && now < event.ends;
        // Over by the plan, and still on air: the overrun guard has kept it.
        let stays = |event: &PlannedEvent| {
            let may = event.ends <= now && event.may_last_until.is_some_and(|until| now < until);
            shown(event) && may && on_air.is_some() && event.source.as_ref() == on_air
        };
        let comes = |event: &PlannedEvent| shown(event) && now < event.starts;
        let of = |wanted: &dyn Fn(&PlannedEvent) -> bool| plan.events.iter().position(wanted);
        (of(&runs).or_else(|| of(&stays)), of(&comes))
    };
    let channels = view.channels.iter().map(|it| {
        let (runs, comes) = channel(&it.name, it.on_air.source.as_ref());
        let lecture = |index: Option<usize>| index.and_then(|index| plan.events.get(index)).map(lecture);
        PortalChannel {
            name: &it.name,
            live: it.on_air.source.is_some(),
            now: lecture(runs),
            next: lecture(comes),
            hls: format!("{root}{}/playlist.m3u8", it.name),
            dash: format!("{root}{}/manifest.mpd", it.name),
            watch: format!("{root}watch/{}", it.name),
            replays: replays(plan, &it.name, recordings, &root),
        }
    });
    serde_json::to_string(&PortalDocument { channels: channels.collect() }).unwrap_or_default()
}

fn lecture(event: &PlannedEvent) -> PortalLecture<'_> {
    PortalLecture {
        id: &event.id,
        title: &event.title,
        series: event.series.as_deref(),
        presenters: &event.presenters,
        place: &event.agent,
        starts: event.starts,
        ends: event.ends,
    }
}

/// The newest recordings of the series that are planned on the channel.
fn replays<'a>(
    plan: &Plan,
    channel: &ChannelName,
    recordings: &'a [(String, Arc<Vec<Listed>>)],
    root: &str,
) -> Vec<Replay<'a>> {
    let series: BTreeSet<&str> = plan.of(channel).filter_map(|event| event.series_id.as_deref()).collect();
    let all = recordings.iter().flat_map(|(mount, listed)| listed.iter().map(move |it| (mount, it)));
    let of_series = |it: &Listed| it.series.as_deref().is_some_and(|it| series.contains(it));
    let mut found: Vec<_> = all.filter(|(_, it)| of_series(it)).collect();
    found.sort_by_key(|(_, it)| std::cmp::Reverse(it.created.as_deref().unwrap_or(&it.modified)));
    let replay = |(mount, it): (&'a String, &'a Listed)| Replay {
        title: &it.title,
        series: it.series.as_deref(),
        presenters: &it.creators,
        created: it.created.as_deref(),
        hls: format!("{root}{mount}/{}", it.hls),
        dash: format!("{root}{mount}/{}", it.dash),
        poster: format!("{root}{mount}/{}", it.poster),
    };
    found.into_iter().take(REPLAYS).map(replay).collect()
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};
    use serde_json::{Value, json};

    use super::*;
    use amphi_control::matrix::{ChannelLayout, Layout, Matrix, OnAir};

    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn at(second: i64) -> MediaTime {
        START.offset_nanos(second * 1_000_000_000)
    }

    fn event(id: &str, from: i64, to: i64) -> PlannedEvent {
        PlannedEvent {
            id: id.into(),
            title: format!("UE{id} \"<b>\""),
            series: Some("PAES_2026_S1".to_owned()),
            series_id: Some("PAES-2026-S1".to_owned()),
            agent: "Amphi_D".to_owned(),
            channel: Some("Live_PAES".into()),
            source: Some("PS-Amphi_D".into()),
            starts: at(from),
            ends: at(to),
            connect_from: Some(at(from - 180)),
            connect_until: Some(at(to + 600)),
            ..PlannedEvent::default()
        }
    }

    fn view(live: bool) -> MatrixView {
        let channel = |name: &str| ChannelLayout { name: name.into(), ..ChannelLayout::default() };
        let channels = vec![channel("Live_PAES"), channel("Live_L2")];
        let mut matrix = Matrix::new(Layout { channels, sources: vec!["PS-Amphi_D".into()] }, START);
        let source = live.then(|| "PS-Amphi_D".into());
        matrix.on_air(&"Live_PAES".into(), OnAir { source, reason: String::new(), since: START });
        matrix.view()
    }

    fn told(plan: &Plan, recordings: &[(String, Arc<Vec<Listed>>)], now: MediaTime) -> Value {
        serde_json::from_str(&document(&view(true), plan, recordings, now, "")).expect("JSON")
    }

    #[test]
    fn each_channel_tells_now_next_and_replays() {
        let plan = Plan { events: vec![event("1", 0, 100), event("2", 200, 300)], ..Plan::default() };
        let listed = |title: &str, series: &str, created: &str| Listed {
            title: title.to_owned(),
            series: Some(series.to_owned()),
            created: Some(created.to_owned()),
            hls: format!("smil:{title}.smil/playlist.m3u8"),
            ..Listed::default()
        };
        let list = vec![
            listed("old", "PAES-2026-S1", "2026-10-01T08:00:00Z"),
            listed("other", "L2-2026", "2026-11-17T08:00:00Z"),
            listed("new", "PAES-2026-S1", "2026-11-17T08:00:00Z"),
        ];
        let recordings = [("vod".to_owned(), Arc::new(list))];
        let told_at = |second| told(&plan, &recordings, at(second));
        let first = told_at(50);
        let paes = &first["channels"][0];
        assert_eq!((&paes["channel"], &paes["live"]), (&json!("Live_PAES"), &json!(true)));
        assert_eq!(paes["now"]["title"], "UE1 \"<b>\"");
        assert_eq!((&paes["next"]["id"], &paes["next"]["place"]), (&json!("2"), &json!("Amphi_D")));
        assert_eq!(
            (&paes["hls"], &paes["watch"]),
            (&json!("../../Live_PAES/playlist.m3u8"), &json!("../../watch/Live_PAES"))
        );
        let titles: Vec<_> =
            paes["replays"].as_array().expect("a list").iter().map(|it| &it["title"]).collect();
        assert_eq!(titles, ["new", "old"]);
        assert_eq!(paes["replays"][0]["hls"], "../../vod/smil:new.smil/playlist.m3u8");
        let idle = &first["channels"][1];
        assert_eq!(
            (&idle["now"], &idle["next"], &idle["replays"], &idle["live"]),
            (&Value::Null, &Value::Null, &json!([]), &json!(false))
        );
        assert_eq!(
            (&told_at(150)["channels"][0]["now"], &told_at(-50)["channels"][0]["now"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(told_at(-50)["channels"][0]["next"]["id"], "1");
        assert_eq!(told_at(250)["channels"][0]["now"]["id"], "2");
        assert_eq!(told_at(10), told_at(90), "nothing changes meanwhile, so the ETag holds");
    }

    #[test]
    fn a_lecture_that_overruns_is_what_is_on() {
        let long = PlannedEvent { may_last_until: Some(at(190)), ..event("1", 0, 100) };
        let plan = Plan { events: vec![long, event("2", 200, 300)], ..Plan::default() };
        let now = |live: bool, second| -> Value {
            let text = document(&view(live), &plan, &[], at(second), "");
            serde_json::from_str::<Value>(&text).expect("JSON")["channels"][0]["now"]["id"].clone()
        };
        assert_eq!((now(true, 150), now(true, 190)), (json!("1"), Value::Null));
        assert_eq!(now(false, 150), Value::Null, "it is over, and the channel waits");
        assert_eq!(now(true, 250), "2");
    }

    #[tokio::test]
    async fn it_is_answered_with_its_etag_and_for_seconds() {
        let portal = Portal::default();
        let ask = |portal: &Portal, known: Option<&HeaderValue>| {
            let mut request = Request::get(PATH);
            if let Some(known) = known {
                request = request.header("if-none-match", known);
            }
            let parts = request.body(()).expect("a request").into_parts().0;
            portal.answer(&parts).1
        };
        assert_eq!(ask(&portal, None).status(), StatusCode::SERVICE_UNAVAILABLE);
        portal.show(document(&view(true), &Plan::default(), &[], START, ""));
        let answer = ask(&portal, None);
        assert_eq!((answer.status(), &answer.headers()["cache-control"]), (StatusCode::OK, &SHORT));
        let etag = answer.headers()["etag"].clone();
        portal.show(document(&view(true), &Plan::default(), &[], at(1), ""));
        assert_eq!(ask(&portal, Some(&etag)).status(), StatusCode::NOT_MODIFIED);
        portal.show(document(&view(false), &Plan::default(), &[], at(1), ""));
        assert_eq!(ask(&portal, Some(&etag)).status(), StatusCode::OK);
    }
}
