//! Against GStreamer's RTSP server: B pictures, Digest, UDP.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::probe::{ProbeReport, probe};
use amphi_config::Transport;

/// Prints its port, then serves `/extron1`. Arguments: options of x264enc, user and password or nothing.
const SCRIPT: &str = r"
import sys, gi
gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); gi.require_version('GstRtsp', '1.0')
from gi.repository import Gst, GLib, GstRtsp, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(); server.set_service('0'); server.set_address('127.0.0.1')
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch('( videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=15/1'
    ' ! x264enc bitrate=300 key-int-max=15 ' + sys.argv[1] + ' ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1'
    ' audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! rtpmp4gpay name=pay1 pt=97 )')
if len(sys.argv) > 2:
    auth = GstRtspServer.RTSPAuth(); auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken(); token.set_string('media.factory.role', 'user')
    auth.add_digest(sys.argv[2], sys.argv[3], token)
    rights = GstRtspServer.RTSPPermissions()
    for right in ('access', 'construct'):
        rights.add_permission_for_role('user', 'media.factory.' + right, True)
    factory.set_permissions(rights); server.set_auth(auth)
server.get_mount_points().add_factory('/extron1', factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
";

struct Server(Child, u16);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(arguments: &[&str]) -> Server {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    Server(child, port.trim().parse().unwrap())
}

fn assert_plays(report: &ProbeReport, b_frames: bool) {
    let video = report.video.as_ref().unwrap();
    assert_eq!((video.width, video.height, video.b_frames), (320, 180, b_frames), "{report}");
    assert!((video.fps - 15.0).abs() < 0.5, "{report}");
    assert_eq!(report.audio.as_ref().unwrap().sample_rate, 48_000, "{report}");
    assert_eq!((report.lost_packets, report.broken_packets), (0, 0), "{report}");
}

#[tokio::test]
#[ignore = "needs GStreamer"]
async fn tcp_and_udp_play() {
    let server = serve(&["tune=zerolatency"]);
    for transport in [Transport::Tcp, Transport::Udp] {
        let url = format!("rtsp://127.0.0.1:{}/extron1", server.1);
        assert_plays(&probe(&url, transport, 4).await.unwrap(), false);
    }
}

#[tokio::test]
#[ignore = "needs GStreamer"]
async fn digest_and_b_pictures_play() {
    let server =
        serve(&["bframes=2 b-adapt=false rc-lookahead=5 ! video/x-h264,profile=high", "ad min", "p@ss"]);
    let url = format!("rtsp://ad%20min:p%40ss@127.0.0.1:{}/extron1", server.1);
    assert_plays(&probe(&url, Transport::Tcp, 5).await.unwrap(), true);
    let url = format!("rtsp://ad%20min:wrong@127.0.0.1:{}/extron1", server.1);
    let fault = probe(&url, Transport::Tcp, 5).await.unwrap_err().to_string();
    assert!(fault.contains("401") && !fault.contains("wrong"), "{fault}");
}
