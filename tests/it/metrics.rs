//! The metrics that the dashboard shows exist, and viewers are counted.

use std::collections::BTreeSet;

use crate::http;
use crate::server::{Server, eventually};
use crate::stream::collect;

/// Words that begin with `amphi_`.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("amphi_"));
    words.map(str::to_owned).collect()
}

#[test]
fn every_metric_of_the_dashboard_is_measured_and_viewers_are_counted() {
    let server = Server::demo();
    eventually("the hall is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    collect(server.http, "Live_PAES", "480p", 2);
    let page = http::get(server.admin, "/metrics");
    assert_eq!(page.status, 200);
    let there = names(page.text());
    let dashboard = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/grafana/amphi.json");
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(dashboard).expect("it is there")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let shown: BTreeSet<String> =
        targets.flat_map(|target| names(target["expr"].as_str().expect("a query"))).collect();
    assert!(shown.len() >= 20, "{shown:?}");
    let missing: Vec<_> = shown.difference(&there).collect();
    assert!(missing.is_empty(), "on the dashboard, but not measured: {missing:?}");

    // Each segment was fetched once.
    let viewers = |rung: &str| {
        let page = http::get(server.admin, "/metrics");
        let prefix = format!("amphi_viewers{{channel=\"Live_PAES\",rung=\"{rung}\",protocol=\"http\"}} ");
        let line = page.text().lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned);
        line.and_then(|count| count.parse::<f64>().ok())
    };
    assert_eq!((viewers("480p"), viewers("720p")), (Some(1.0), Some(0.0)));
    eventually("whoever asks no more is gone", || viewers("480p") == Some(0.0));
}
