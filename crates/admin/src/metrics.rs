//! `GET /metrics`: OpenMetrics 1.0 text, and what the matrix contributes to it.

use std::fmt;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Shared;
use super::openapi::GuardResponses;
use super::problem::Problem;
use amphi_control::matrix::{MatrixHandle, SourceState};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every state with its label. Each is a series, of which one is 1, so that states can be summed and plotted.
const STATES: [(SourceState, &str); 7] = [
    (SourceState::Idle, "idle"),
    (SourceState::Connecting, "connecting"),
    (SourceState::Live, "live"),
    (SourceState::Undecodable, "undecodable"),
    (SourceState::Stalled, "stalled"),
    (SourceState::Refused, "refused"),
    (SourceState::BackingOff, "backing_off"),
];

/// Adds the matrix to `registry`.
pub(super) fn register(registry: &mut Registry, matrix: MatrixHandle) {
    registry.register_collector(Box::new(MatrixCollector(matrix)));
}

/// The metrics of the server.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "OpenMetrics 1.0", body = String,
     content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    GuardResponses,
))]
pub(super) async fn page(State(state): Shared) -> Response {
    let mut text = String::new();
    match encode(&mut text, &state.metrics) {
        Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(fmt::Error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a metric could not be written").into_response()
        }
    }
}

#[derive(Debug)]
struct MatrixCollector(MatrixHandle);

impl Collector for MatrixCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let view = self.0.view();
        let states = view.sources.iter().flat_map(|source| {
            STATES.map(|(state, label)| {
                ([("source", source.name.as_str()), ("state", label)], source.status.state == state)
            })
        });
        flags(&mut encoder, "amphi_source_state", "1 for the state that the source is in", states)?;
        let wanted = view.sources.iter().map(|source| ([("source", source.name.as_str())], source.wanted));
        flags(&mut encoder, "amphi_source_wanted", "1 when a channel should show the source", wanted)?;
        let live = view
            .channels
            .iter()
            .map(|channel| ([("channel", channel.name.as_str())], channel.on_air.source.is_some()));
        flags(
            &mut encoder,
            "amphi_channel_live",
            "1 when live cells are on air, 0 for the waiting loop",
            live,
        )?;

        let help = "Connections made to the source";
        let mut family =
            encoder.encode_descriptor("amphi_source_connects", help, None, MetricType::Counter)?;
        for source in &view.sources {
            let labels = [("source", source.name.as_str())];
            ConstCounter::new(source.status.connects).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// A family of gauges that are 0 or 1.
fn flags<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl Iterator<Item = ([(&'a str, &'a str); N], bool)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, on) in series {
        ConstGauge::new(i64::from(on)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
