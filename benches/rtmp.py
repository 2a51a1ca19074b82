#!/usr/bin/env python3
"""What an RTMP player costs, compared with nginx and its RTMP module in the same run.

    cargo build --release && benches/rtmp.py [--players 500,2200] [--seconds 30] [--stuck 1000]

Both servers send the same bytes: one rung of about 870 kbit/s. Amphi's channel shows its waiting video, so that nothing
is coded during the measurement; nginx gets a recording of it from ffmpeg in real time. For each number of players
`amphi loadtest rtmp://...` plays from one server and then from the other. Prints, for the time when all players play:

* CPU milliseconds of the server per player and minute, minus what it takes without players (/proc/<pid>/stat);
* the delay added: how much later than its time stamp each picture arrives at each player, relative to the earliest arrival of any
  picture at any player; that is what merged writes, queues and a busy machine add; p50 and p99;
* the time from connecting to the first media, p50 and p99;
* whether any player was too late: it stalled with a second in its buffer, or missed something.

Then so many players that never read are connected beside a hundred that do. Prints the server's memory, and how the hundred fared.
Needs nginx, libnginx-mod-rtmp and ffmpeg (`tests/run` installs them).
"""
import argparse
import json
import os
import re
import resource
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import live
from live import Amphi, cpu, rss_mb

live.AMPHI = AMPHI = os.environ.get("AMPHI", live.AMPHI)

STREAM = "Live/live_720p"


def make(folder):
    """Makes a waiting video that needs its whole bit rate."""
    clip = folder / "busy.mp4"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i",
                    "testsrc2=size=1280x720:rate=15,noise=alls=4:allf=t", "-f", "lavfi", "-i", "anoisesrc=r=48000:a=0.1",
                    "-t", "20", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-g", "30", "-bf", "0",
                    "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-b:a", "96k", clip], check=True)
    return clip


def amphi(folder, clip):
    any_port = "127.0.0.1:0"
    config = folder / "amphi.toml"
    config.write_text(f"""
[server]
listen = "{any_port}"
http_listen = "{any_port}"
admin_listen = "{any_port}"
state_dir = "{folder}/state"
connections_per_address = 15000
[[ladder]]
name = "one"
audio = {{ bitrate = 96000, sample_rate = 48000, channels = 2 }}
rung = [{{ name = "720p", width = 1280, height = 720, fps = 15, bitrate = 740000 }}]
[[channel]]
name = "Live"
streams = ["live"]
ladder = "one"
waiting = "{clip}"
""")
    return Amphi(["run", config])


class Nginx:
    def __init__(self, folder, clip):
        free = socket.create_server(("127.0.0.1", 0))
        self.port = free.getsockname()[1]
        free.close()
        config = folder / "nginx.conf"
        config.write_text(f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile 60000;
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
events {{ worker_connections 30000; }}
rtmp {{ server {{ listen 127.0.0.1:{self.port}; chunk_size 65536; application Live {{ live on; }} }} }}
""")
        self.process = subprocess.Popen(["nginx", "-c", config, "-e", folder / "error.log"])
        time.sleep(1)
        self.ffmpeg = subprocess.Popen(["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip,
                                        "-c", "copy", "-f", "flv", f"rtmp://127.0.0.1:{self.port}/{STREAM}"])
        time.sleep(4)

    def end(self):
        for process in (self.ffmpeg, self.process):
            process.terminate()
            process.wait()


def wait_for(url):
    """Waits until the waiting video is coded."""
    while True:
        try:
            return live.get(url)
        except OSError:
            time.sleep(0.5)


def measure(name, address, pid, players, seconds, idle):
    ramp = max(5, players // 150)
    duration = ramp + 6 + seconds
    loadtest = subprocess.Popen([AMPHI, "loadtest", f"rtmp://{address}/{STREAM}", "--players", str(players), "--ramp",
                                 str(ramp), "--duration", str(duration), "--json", "-"],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    time.sleep(ramp + 4)
    before, at = cpu(pid), time.time()
    time.sleep(seconds)
    spent, took = cpu(pid) - before - idle * (time.time() - at), time.time() - at
    report = json.loads(loadtest.communicate()[0])
    per_player = spent * 1000 / players / took * 60
    late, start = report["lateness"], report["start"]
    behind = report["stalled_players"] or report["errors"]
    print(f"  {players:6} players of {name:5}: {per_player:6.2f} ms CPU per player and minute, delay added p50 "
          f"{late['p50_ms']:.0f} ms, p99 {late['p99_ms']:.0f} ms, start p50 {start['p50_ms']:.0f} ms, p99 "
          f"{start['p99_ms']:.0f} ms, {report['bytes'] * 8e-3 / report['media_s']:.0f} kbit/s, "
          f"{rss_mb(pid):.0f} MB, " +
          (f"BEHIND: {report['stalled_players']} players, errors {report['errors']}" if behind else "none behind"),
          flush=True)
    return per_player


def idle_cpu(pid, seconds=5):
    before, at = cpu(pid), time.time()
    time.sleep(seconds)
    return (cpu(pid) - before) / (time.time() - at)


class Stuck:
    """Players that request the stream and never read it."""

    def __init__(self, address, count):
        self.address, self.count, self.sockets, self.ending = address, count, [], False
        self.threads = [threading.Thread(target=self.keep, args=(count // 8,), daemon=True) for _ in range(8)]
        for thread in self.threads:
            thread.start()

    def keep(self, count):
        host, port = self.address.rsplit(":", 1)
        opened = []
        while not self.ending:
            # The server closes them after ten seconds, so they are replaced.
            opened = [it for it in opened if not self.is_closed(it)]
            while len(opened) < count and not self.ending:
                opened.append(self.play(host, int(port)))
            time.sleep(0.5)

    @staticmethod
    def is_closed(stuck):
        info = stuck.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        if info[0] != 1:
            stuck.close()
            return True
        return False

    @staticmethod
    def play(host, port):
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.settimeout(20)
        stuck.connect((host, port))
        stuck.sendall(b"\x03" + bytes(1536))
        left = 1 + 1536 + 1536
        while left > 0:
            left -= len(stuck.recv(left))
        stuck.sendall(bytes(1536))
        text = lambda it: b"\x02" + len(it).to_bytes(2, "big") + it

        def command(stream, payload):
            parts = [payload[at:at + 128] for at in range(0, len(payload), 128)]
            head = b"\x03\0\0\0" + len(payload).to_bytes(3, "big") + b"\x14" + stream.to_bytes(4, "little")
            stuck.sendall(head + b"\xc3".join(parts))
        one = b"\x00" + bytes.fromhex("3ff0000000000000")
        command(0, text(b"connect") + one + b"\x03\0\x03app" + text(b"Live") + b"\0\0\x09")
        command(0, text(b"createStream") + one + b"\x05")
        command(1, text(b"play") + one + b"\x05" + text(b"live_720p"))
        # Read a little, to see that it plays.
        left = 8192
        while left > 0:
            left -= len(stuck.recv(left))
        return stuck

    def end(self):
        self.ending = True


def stuck(server, count, seconds):
    pid = server.process.pid
    before = rss_mb(pid)
    crowd = Stuck(server.address("media"), count)
    time.sleep(15)
    report = json.loads(subprocess.run([AMPHI, "loadtest", f"rtmp://{server.address('media')}/{STREAM}", "--players",
                                        "100", "--ramp", "3", "--duration", str(seconds), "--json", "-"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout)
    during = rss_mb(pid)
    crowd.end()
    print(f"  {count} players that never read: {before:.0f} MB before, {during:.0f} MB with them; a hundred others: "
          f"{report['stalled_players']} fell behind, errors {report['errors']}, delay added p99 "
          f"{report['lateness']['p99_ms']:.0f} ms", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--players", default="500,2200")
    arguments.add_argument("--seconds", type=int, default=30)
    arguments.add_argument("--stuck", type=int, default=1000)
    arguments.add_argument("--alone", action="store_true", help="without nginx")
    options = arguments.parse_args()
    numbers = [int(number) for number in options.players.split(",") if number]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())[1]
    print(f"{os.cpu_count()} cores of {model}, load {os.getloadavg()[0]:.1f} before the run", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        ours = amphi(folder, make(folder))
        address = ours.address("media")
        wait_for(f"http://{ours.http}/Live/playlist.m3u8")
        recorded = folder / "recorded.mp4"
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", f"rtmp://{address}/{STREAM}", "-t", "20", "-c", "copy",
                        recorded], check=True)
        idle = idle_cpu(ours.process.pid)
        costs = [measure("amphi", address, ours.process.pid, count, options.seconds, idle) for count in numbers]
        if options.stuck:
            stuck(ours, options.stuck, options.seconds)
        ours.end()
        if options.alone:
            return
        theirs = Nginx(folder, recorded)
        idle = idle_cpu(theirs.process.pid)
        for count, cost in zip(numbers, costs):
            other = measure("nginx", f"127.0.0.1:{theirs.port}", theirs.process.pid, count, options.seconds, idle)
            print(f"  {count:6} players: amphi's CPU is {cost / other:.2f} of nginx's", flush=True)
        theirs.end()


if __name__ == "__main__":
    main()
