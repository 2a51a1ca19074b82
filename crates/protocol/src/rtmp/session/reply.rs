//! The server's replies, message by message (RTMP 1.0 §5.4, §7.2).

use bytes::BytesMut;

use crate::rtmp::amf::{self, Value};
use crate::rtmp::control::{control, put_command, set_chunk_size, user_control};
use crate::rtmp::share::STREAM_ID;
use crate::rtmp::wire::{CHUNK_SIZE, Head, message_type, put_message};

/// The peer shall acknowledge after so many bytes, and so many may be unacknowledged.
const WINDOW: u32 = 2_500_000;

/// User control events (RTMP 1.0 §7.1.7).
const STREAM_BEGIN: u16 = 0;
const STREAM_EOF: u16 = 1;
const STREAM_IS_RECORDED: u16 = 4;

pub(super) fn connected(out: &mut BytesMut, transaction: f64) {
    control(out, message_type::WINDOW_ACKNOWLEDGEMENT, &WINDOW.to_be_bytes());
    let [a, b, c, d] = WINDOW.to_be_bytes();
    // Limit type 2: dynamic (RTMP 1.0 §5.4.5).
    control(out, message_type::SET_PEER_BANDWIDTH, &[a, b, c, d, 2]);
    set_chunk_size(out);
    let server = [("fmsVer", Value::Text("FMS/3,0,1,123")), ("capabilities", Value::Number(31.0))];
    let information = [
        ("level", Value::Text("status")),
        ("code", Value::Text("NetConnection.Connect.Success")),
        ("description", Value::Text("Connection succeeded.")),
        ("objectEncoding", Value::Number(0.0)),
    ];
    let result = [Value::Object(&server), Value::Object(&information)];
    command(out, 0, "_result", transaction, &result);
}

pub(super) fn not_connected(out: &mut BytesMut, transaction: f64, reason: &str) {
    set_chunk_size(out);
    let information = [
        ("level", Value::Text("error")),
        ("code", Value::Text("NetConnection.Connect.Rejected")),
        ("description", Value::Text(reason)),
    ];
    command(out, 0, "_error", transaction, &[Value::Null, Value::Object(&information)]);
}

pub(super) fn stream_created(out: &mut BytesMut, transaction: f64) {
    number(out, transaction, f64::from(STREAM_ID));
}

pub(super) fn number(out: &mut BytesMut, transaction: f64, value: f64) {
    command(out, 0, "_result", transaction, &[Value::Null, Value::Number(value)]);
}

pub(super) fn nothing(out: &mut BytesMut, transaction: f64) {
    command(out, 0, "_result", transaction, &[Value::Null, Value::Undefined]);
}

pub(super) fn subscribed(out: &mut BytesMut) {
    let information = [("level", Value::Text("status")), ("code", Value::Text("NetStream.Play.Start"))];
    command(out, 0, "onFCSubscribe", 0.0, &[Value::Null, Value::Object(&information)]);
}

pub(super) fn publish_started(out: &mut BytesMut) {
    user_control(out, STREAM_BEGIN, STREAM_ID);
    status(out, "status", "NetStream.Publish.Start", "Publishing.");
}

/// Encoders wait for one of the two before they close.
pub(super) fn unpublished(out: &mut BytesMut) {
    let information =
        [("level", Value::Text("status")), ("code", Value::Text("NetStream.Unpublish.Success"))];
    command(out, 0, "onFCUnpublish", 0.0, &[Value::Null, Value::Object(&information)]);
    status(out, "status", "NetStream.Unpublish.Success", "Publishing has ended.");
}

pub(super) fn play_started(out: &mut BytesMut) {
    user_control(out, STREAM_BEGIN, STREAM_ID);
    status(out, "status", "NetStream.Play.Reset", "Playing from here.");
    status(out, "status", "NetStream.Play.Start", "Playing.");
    // Without it Flash does not let a page read samples.
    let access = amf::encode(&[Value::Text("|RtmpSampleAccess"), Value::Boolean(true), Value::Boolean(true)]);
    let head = Head { type_id: message_type::DATA, timestamp_ms: 0, stream_id: STREAM_ID };
    put_message(out, head, CHUNK_SIZE, &[&access]);
}

pub(super) fn is_recorded(out: &mut BytesMut) {
    user_control(out, STREAM_IS_RECORDED, STREAM_ID);
}

/// What Flash Media Server sends at the end of a recording; players of recordings wait for it.
pub(super) fn play_complete(out: &mut BytesMut, duration_s: f64) {
    let information = [
        ("level", Value::Text("status")),
        ("code", Value::Text("NetStream.Play.Complete")),
        ("duration", Value::Number(duration_s)),
    ];
    let payload = amf::encode(&[Value::Text("onPlayStatus"), Value::Object(&information)]);
    let head = Head { type_id: message_type::DATA, timestamp_ms: 0, stream_id: STREAM_ID };
    put_message(out, head, CHUNK_SIZE, &[&payload]);
}

pub(super) fn play_finished(out: &mut BytesMut) {
    user_control(out, STREAM_EOF, STREAM_ID);
    status(out, "status", "NetStream.Play.Stop", "The stream has ended.");
}

pub(super) fn paused(out: &mut BytesMut, paused: bool) {
    let code = if paused { "NetStream.Pause.Notify" } else { "NetStream.Unpause.Notify" };
    status(out, "status", code, if paused { "Paused." } else { "Going on." });
}

pub(super) fn sought(out: &mut BytesMut) {
    user_control(out, STREAM_BEGIN, STREAM_ID);
    status(out, "status", "NetStream.Seek.Notify", "Seeking.");
    status(out, "status", "NetStream.Play.Start", "Playing.");
}

pub(super) fn status(out: &mut BytesMut, level: &str, code: &str, description: &str) {
    let information = [
        ("level", Value::Text(level)),
        ("code", Value::Text(code)),
        ("description", Value::Text(description)),
    ];
    command(out, STREAM_ID, "onStatus", 0.0, &[Value::Null, Value::Object(&information)]);
}

fn command(out: &mut BytesMut, stream_id: u32, name: &str, transaction: f64, values: &[Value<'_>]) {
    put_command(out, CHUNK_SIZE, stream_id, name, transaction, values);
}
