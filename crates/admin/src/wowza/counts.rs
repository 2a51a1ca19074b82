//! `/connectioncounts`: the numbers of viewers, in XML, as Wowza answers on port 8086. Older monitoring polls it.
//!
//! Viewers of HLS and DASH have no session, so their number since start is not known: the totals are
//! the present numbers. `?flat` gets the same answer.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;

use super::{INSTANCE, SharedApi, Traffic, WowzaApi, WowzaState, authenticate, not_found};
use amphi_media::{ChannelName, SourceName};

/// The routes of the port `wowza_counts_listen`.
pub fn router(state: WowzaState) -> Router {
    let state = Arc::new(WowzaApi::new(state));
    Router::new()
        .route("/connectioncounts", get(counts))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), authenticate))
        .with_state(state)
}

async fn counts(State(state): SharedApi) -> Response {
    let view = state.matrix.view();
    let channels = view.channels.iter().map(|channel| {
        let source = channel.desired.source.clone();
        (channel.name.clone(), state.of_channel(&channel.name, source.as_ref()), source)
    });
    let text = document(&channels.collect::<Vec<_>>(), state.uptime_s());
    ([(CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
}

/// `channels`: name, traffic, and the source that each should show.
fn document(channels: &[(ChannelName, Traffic, Option<SourceName>)], uptime_s: u64) -> String {
    let sum = channels.iter().fold(Traffic::default(), |sum, (_, traffic, _)| sum.and(traffic));
    let mut out = String::from("<?xml version=\"1.0\"?>\n<WowzaStreamingEngine>");
    level(&mut out, &sum);
    out.push_str("<VHost>");
    element(&mut out, "Name", "_defaultVHost_");
    element(&mut out, "TimeRunning", uptime_s);
    level(&mut out, &sum);
    for (name, traffic, source) in channels {
        out.push_str("<Application>");
        element(&mut out, "Name", name);
        element(&mut out, "Status", "loaded");
        element(&mut out, "TimeRunning", uptime_s);
        level(&mut out, traffic);
        out.push_str("<ApplicationInstance>");
        element(&mut out, "Name", INSTANCE);
        element(&mut out, "TimeRunning", uptime_s);
        level(&mut out, traffic);
        if let Some(source) = source {
            stream(&mut out, &format!("{source}.stream"), traffic);
        }
        out.push_str("</ApplicationInstance></Application>");
    }
    out.push_str("</VHost></WowzaStreamingEngine>\n");
    out
}

fn level(out: &mut String, traffic: &Traffic) {
    let viewers = traffic.outgoing.viewers();
    for name in ["ConnectionsCurrent", "ConnectionsTotal", "ConnectionsTotalAccepted"] {
        element(out, name, viewers);
    }
    element(out, "ConnectionsTotalRejected", 0);
    element(out, "MessagesInBytesRate", traffic.bytes_in_rate);
    element(out, "MessagesOutBytesRate", traffic.bytes_out_rate);
}

fn stream(out: &mut String, name: &str, traffic: &Traffic) {
    let outgoing = &traffic.outgoing;
    out.push_str("<Stream>");
    element(out, "Name", name);
    for (name, count) in [
        ("SessionsFlash", outgoing.rtmp),
        ("SessionsSanJose", 0),
        ("SessionsCupertino", outgoing.hls),
        ("SessionsSmooth", 0),
        ("SessionsRTSP", outgoing.rtsp),
        ("SessionsMPEGDash", outgoing.dash),
        ("SessionsTotal", outgoing.viewers()),
    ] {
        element(out, name, count);
    }
    out.push_str("</Stream>");
}

/// The configuration allows only letters, digits, "_", "." and "-" in names, so nothing has to be escaped.
fn element(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "<{name}>{value}</{name}>");
}

#[cfg(test)]
mod tests {
    use super::super::Outgoing;
    use super::*;

    #[test]
    fn every_level_has_its_counts_and_the_whole_is_the_sum() {
        let outgoing = Outgoing { hls: 40, dash: 3, rtmp: 2, rtsp: 1, bytes: 9 };
        let traffic = Traffic { bytes_in_rate: 100, bytes_out_rate: 7000, outgoing, ..Traffic::default() };
        let channels =
            [("Live_PAES".into(), traffic, Some("PS-Amphi_D".into())), ("Live_L2".into(), traffic, None)];
        let text = document(&channels, 60);
        let tree = roxmltree::Document::parse(&text).expect("well-formed");
        let of = |node: roxmltree::Node<'_, '_>, name: &str| {
            node.children().find(|it| it.has_tag_name(name)).and_then(|it| it.text().map(str::to_owned))
        };
        let root = tree.root_element();
        assert_eq!(root.tag_name().name(), "WowzaStreamingEngine");
        assert_eq!(of(root, "ConnectionsCurrent").as_deref(), Some("92"));
        assert_eq!(of(root, "MessagesOutBytesRate").as_deref(), Some("14000"));
        let application = tree.descendants().find(|it| it.has_tag_name("Application")).expect("one");
        assert_eq!(of(application, "Name").as_deref(), Some("Live_PAES"));
        assert_eq!(of(application, "ConnectionsCurrent").as_deref(), Some("46"));
        let streams: Vec<_> = tree.descendants().filter(|it| it.has_tag_name("Stream")).collect();
        assert_eq!(streams.len(), 1, "nothing comes in on the other");
        let sessions =
            ["SessionsFlash", "SessionsCupertino", "SessionsRTSP", "SessionsMPEGDash", "SessionsTotal"];
        let told = sessions.map(|name| of(streams[0], name).expect("there"));
        assert_eq!(told, ["2", "40", "1", "3", "46"]);
    }
}
