#!/usr/bin/env python3
"""GStreamer's RTSP server, in the role of an encoder in a lecture hall.

    gst_server.py FILE [--no-audio] [--no-video] [--codec h264|h265] [--digest USER:PASSWORD] [--live PIPELINE] [--port N]

Serves FILE (mp4) at /extron1 on a port that the system chooses, prints `port N` and serves until it is killed.
--live takes a whole launch description with pay0 and pay1 instead of a file.
"""
import argparse
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("file", nargs="?")
arguments.add_argument("--no-audio", action="store_true")
arguments.add_argument("--no-video", action="store_true")
arguments.add_argument("--codec", default="h264")
arguments.add_argument("--digest")
arguments.add_argument("--live")
arguments.add_argument("--port", default="0")
options = arguments.parse_args()

Gst.init(None)
if options.live:
    launch = f"( {options.live} )"
else:
    launch = f'( filesrc location="{options.file}" ! qtdemux name=d '
    if not options.no_video:
        launch += f"d.video_0 ! queue ! {options.codec}parse ! rtp{options.codec}pay name=pay0 pt=96 config-interval=-1 "
    if not options.no_audio:
        pay = "pay0" if options.no_video else "pay1"
        launch += f"d.audio_0 ! queue ! aacparse ! rtpmp4gpay name={pay} pt=97 "
    launch += ")"

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(options.port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(launch)
factory.set_shared(True)
if options.digest:
    user, password = options.digest.split(":")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.set_realm("lecture hall")
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    factory.add_role_from_structure(Gst.Structure.from_string(
        "user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true")[0])
server.get_mount_points().add_factory("/extron1", factory)
server.attach(None)
print(f"port {server.get_bound_port()}", flush=True)
GLib.MainLoop().run()
