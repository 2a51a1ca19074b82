//! Wowza's descriptions of applications, instances, streams and of the server, in the format of a recorded Wowza 4.7.0.
//!
//! Clients look for keys, so all recorded keys are there. Their values are ours; for what we do not have
//! (DVR, DRM, modules, Java) they are empty, zero or false.

use serde_json::{Value, json};

use super::{BASE, INSTANCE, Outgoing, SERVER, WowzaStream};
use amphi_control::matrix::{ChannelView, MatrixView, SourceState};

fn href(rest: &str) -> String {
    format!("{BASE}/{rest}")
}

/// `…/applications`.
pub(super) fn applications(view: &MatrixView) -> Value {
    let application = |channel: &ChannelView| {
        json!({
            "id": channel.name, "href": href(&format!("applications/{}", channel.name)), "appType": "Live",
            "dvrEnabled": false, "drmEnabled": false, "transcoderEnabled": true, "streamTargetsEnabled": false,
        })
    };
    let list: Vec<Value> = view.channels.iter().map(application).collect();
    json!({ "serverName": SERVER, "applications": list })
}

/// `…/applications/{app}`.
pub(super) fn application(channel: &ChannelView, version: &str) -> Value {
    json!({
        "version": version, "serverName": SERVER, "name": channel.name, "appType": "Live",
        "description": channel.explanation, "applicationTimeout": 0, "pingTimeout": 0, "repeaterQueryString": "",
        "clientStreamReadAccess": "*", "clientStreamWriteAccess": "", "avSyncMethod": "senderreport",
        "maxRTCPWaitTime": 0, "httpCORSHeadersEnabled": true,
        "httpStreamers": ["cupertinostreaming", "mpegdashstreaming"], "mediaReaderRandomAccessReaderClass": "",
        "httpOptimizeFileReads": false, "mediaReaderBufferSeekIO": false, "captionLiveIngestType": "",
        "securityConfig": security(), "streamConfig": streams(), "dvrConfig": dvr(), "drmConfig": drm(),
        "transcoderConfig": transcoder(), "modules": { "serverName": SERVER, "moduleList": [] },
    })
}

fn security() -> Value {
    json!({
        "serverName": SERVER, "secureTokenVersion": 0, "clientStreamWriteAccess": "", "publishRequirePassword": true,
        "publishPasswordFile": "", "publishRTMPSecureURL": "", "publishIPBlackList": "", "publishIPWhiteList": "",
        "publishBlockDuplicateStreamNames": true, "publishValidEncoders": "", "publishAuthenticationMethod": "key",
        "playMaximumConnections": 0, "playRequireSecureConnection": false, "secureTokenSharedSecret": "",
        "secureTokenUseTEAForRTMP": false, "secureTokenIncludeClientIPInHash": false, "secureTokenHashAlgorithm": "",
        "secureTokenQueryParametersPrefix": "", "secureTokenOriginSharedSecret": "", "playIPBlackList": "",
        "playIPWhiteList": "", "playAuthenticationMethod": "none",
    })
}

fn streams() -> Value {
    json!({
        "serverName": SERVER, "streamType": "live", "storageDir": "", "createStorageDir": false,
        "storageDirExists": false, "keyDir": "", "httpRandomizeMediaName": false,
        "liveStreamPacketizer": ["cupertinostreamingpacketizer", "mpegdashstreamingpacketizer"],
    })
}

fn dvr() -> Value {
    json!({
        "serverName": SERVER, "licenseType": "", "inUse": false, "dvrEnable": false, "windowDuration": 0, "storageDir": "",
        "archiveStrategy": "", "dvrOnlyStreaming": false, "startRecordingOnStartup": false,
        "dvrEncryptionSharedSecret": "", "dvrMediaCacheEnabled": false, "httpRandomizeMediaName": false,
    })
}

fn drm() -> Value {
    json!({
        "serverName": SERVER, "licenseType": "", "inUse": false, "cupertinoEncryptionAPIBased": false,
        "ezDRMUsername": "", "ezDRMPassword": "", "buyDRMUserKey": "", "buyDRMProtectSmoothStreaming": false,
        "buyDRMProtectCupertinoStreaming": false, "buyDRMProtectMpegDashStreaming": false,
        "verimatrixProtectCupertinoStreaming": false, "verimatrixCupertinoKeyServerIpAddress": "",
        "verimatrixCupertinoKeyServerPort": 0, "verimatrixCupertinoVODPerSessionKeys": false,
        "verimatrixProtectSmoothStreaming": false, "verimatrixSmoothKeyServerIpAddress": "",
        "verimatrixSmoothKeyServerPort": 0,
    })
}

fn transcoder() -> Value {
    json!({
        "serverName": SERVER, "available": true, "licensed": true, "licenses": 0, "licensesInUse": 0,
        "templates": { "vhostName": "_defaultVHost_", "templates": [] }, "templatesInUse": "", "profileDir": "",
        "templateDir": "", "createTemplateDir": false,
    })
}

/// `…/streamfiles`, of all or (`before` = `applications/{app}/`) of one application. The lists are the same, since every
/// channel may show every source.
pub(super) fn stream_files(view: &MatrixView, before: &str) -> Value {
    let file = |name: &str| json!({ "id": name, "href": href(&format!("{before}streamfiles/{name}")) });
    let files: Vec<Value> = view.sources.iter().map(|source| file(&source.name)).collect();
    json!({ "serverName": SERVER, "streamFiles": files })
}

/// `…/streamfiles/{name}`. The URI is left empty, since it may contain a password.
pub(super) fn stream_file(view: &MatrixView, name: &WowzaStream, version: &str) -> Option<Value> {
    let source = view.source(&name.source())?;
    Some(json!({ "version": version, "serverName": SERVER, "uri": "", "name": source.name }))
}

/// `…/instances`.
pub(super) fn instances(view: &MatrixView, channel: &ChannelView) -> Value {
    json!({ "serverName": SERVER, "instanceList": [instance_body(view, channel)] })
}

/// `…/instances/_definst_`.
pub(super) fn instance(view: &MatrixView, channel: &ChannelView) -> Value {
    of_server(instance_body(view, channel))
}

fn instance_body(view: &MatrixView, channel: &ChannelView) -> Value {
    let incoming = channel.desired.source.as_deref();
    let incoming: Vec<Value> = incoming.map(|source| stream_body(view, source)).into_iter().collect();
    json!({
        "incomingStreams": incoming, "outgoingStreams": [], "recorders": [], "streamGroups": [], "name": INSTANCE,
    })
}

/// `…/incomingstreams/{stream}`.
pub(super) fn incoming(view: &MatrixView, source: &str) -> Value {
    of_server(stream_body(view, source))
}

fn stream_body(view: &MatrixView, source: &str) -> Value {
    // Wowza's `isConnected` means that media arrives, whether or not it can be decoded.
    let connected = |state| matches!(state, SourceState::Live | SourceState::Undecodable);
    let live = view.source(source).is_some_and(|source| connected(source.status.state));
    json!({
        "sourceIp": "", "isPTZEnabled": false, "applicationInstance": INSTANCE, "name": format!("{source}.stream"),
        "isRecordingSet": false, "isStreamManagerStream": true, "isPublishedToVOD": false, "isConnected": live,
        "ptzPollingInterval": 2000, "ptzPollingIntervalMinimum": 1000,
    })
}

fn of_server(mut body: Value) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.insert("serverName".to_owned(), SERVER.into());
    }
    body
}

/// The traffic of a source and a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) uptime_s: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_in_rate: u64,
    pub(super) outgoing: Outgoing,
    pub(super) bytes_out_rate: u64,
}

impl Traffic {
    /// The sum of both; the uptime is the longer one.
    pub(super) const fn and(self, other: &Self) -> Self {
        let (one, two) = (self.outgoing, other.outgoing);
        Self {
            uptime_s: if self.uptime_s > other.uptime_s { self.uptime_s } else { other.uptime_s },
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_in_rate: self.bytes_in_rate + other.bytes_in_rate,
            outgoing: Outgoing {
                hls: one.hls + two.hls,
                dash: one.dash + two.dash,
                rtmp: one.rtmp + two.rtmp,
                rtsp: one.rtsp + two.rtsp,
                bytes: one.bytes + two.bytes,
            },
            bytes_out_rate: self.bytes_out_rate + other.bytes_out_rate,
        }
    }
}

/// `…/applications/{app}/monitoring/current`.
pub(super) fn application_monitoring(traffic: Traffic) -> Value {
    let mut body = counts(traffic);
    for name in ["WEBM", "DVRCHUNKS"] {
        if let Some(counts) = body["connectionCount"].as_object_mut() {
            counts.insert(name.to_owned(), 0.into());
        }
    }
    body
}

/// `…/incomingstreams/{stream}/monitoring/current`.
pub(super) fn stream_monitoring(traffic: Traffic, stream: &str) -> Value {
    let mut body = counts(traffic);
    if let Some(object) = body.as_object_mut() {
        object.insert("applicationInstance".to_owned(), INSTANCE.into());
        object.insert("name".to_owned(), stream.into());
    }
    body
}

fn counts(traffic: Traffic) -> Value {
    let Traffic { uptime_s, bytes_in, bytes_in_rate, outgoing, bytes_out_rate } = traffic;
    json!({
        "serverName": SERVER, "uptime": uptime_s, "bytesIn": bytes_in, "bytesOut": outgoing.bytes,
        "bytesInRate": bytes_in_rate, "bytesOutRate": bytes_out_rate, "totalConnections": outgoing.viewers(),
        "connectionCount": {
            "RTMP": outgoing.rtmp, "MPEGDASH": outgoing.dash, "CUPERTINO": outgoing.hls, "SANJOSE": 0, "SMOOTH": 0,
            "RTP": outgoing.rtsp,
        },
    })
}

/// `/v2/servers/_defaultServer_/status`.
pub(super) fn status(version: &str, running_s: f64, memory: (u64, u64), viewers: u64) -> Value {
    let (total, available) = memory;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut body = json!({
        "version": version, "serverName": SERVER, "serverVersion": env!("CARGO_PKG_VERSION"),
        "serverMode": "Production", "osName": "Linux", "osArchitecture": std::env::consts::ARCH, "osBitness": "64",
        "totalMemory": total, "availableMemory": available, "processorCores": processors, "timeRunning": running_s,
        "restAPIAvailable": true, "httpOriginAvailable": true, "transcoderLicensed": true, "transcoderAvailable": true,
        "nativeBase": "linux", "wseName": concat!("Amphi ", env!("CARGO_PKG_VERSION")),
    });
    if let Some(object) = body.as_object_mut() {
        let empty = [
            "serverBuild",
            "licenseType",
            "licenseExpireDate",
            "osVersion",
            "gpuAcceleration",
            "javaVersion",
            "javaVMVersion",
            "javaBitness",
            "javaName",
            "javaVendor",
            "javaHome",
            "javaMaxHeapSize",
        ];
        let zero = ["maxConnections", "maxIncommingStreams", "transcoderLicenses", "transcoderLicensesInUse"];
        let no = ["transcoderWatermark", "dvrLicensed", "dvrInUse", "drmLicensed", "drmInUse"];
        let none = ["transcoderApplications", "dvrApplications", "drmApplications"];
        object.insert("currentConnections".to_owned(), viewers.into());
        object.extend(empty.map(|key| (key.to_owned(), "".into())));
        object.extend(zero.map(|key| (key.to_owned(), 0.into())));
        object.extend(no.map(|key| (key.to_owned(), false.into())));
        object.extend(none.map(|key| (key.to_owned(), json!([]))));
    }
    body
}

/// `…/streamrecorders`: an empty list, since there is no recorder.
pub(super) fn recorders() -> Value {
    json!({ "serverName": SERVER, "instanceName": INSTANCE, "streamrecorder": [] })
}
