#!/usr/bin/env python3
"""What viewers of one live channel cost while it is transcoded on the same cores, compared with nginx in the same run.

    cargo build --release && benches/load.py [--players 500,2200,5000,10000] [--rounds 5] [--seconds 20]

The servers, measured in turns, with `amphi loadtest` as the players:

  amphi        `amphi run` with one live channel of three rungs, which is transcoded meanwhile; its source is a simulated
               SMP 351
  nginx        the same segments as files in memory (/dev/shm), copied there as they come
  nginx-rtmp   HLS of the same pictures and sound, pushed to it over RTMP; its files are in memory, too

The channel is transcoded in all phases, so every server has the same cores left. What viewers add is counted: for Amphi the
CPU time of the threads that deliver, for nginx that of its processes, both minus what they use without viewers (for
nginx-rtmp: the incoming stream). The CPU time of whole processes is recorded, too. After that come a join storm, and live and
recorded viewers together while three channels are transcoded. Writes all figures and a description of the machine to
`benches/runs/<date>/load.json`; `benches/report.py` makes a table and a plot of them. This is Python rather than Rust, as are
benches/live.py and benches/vod.py: it starts processes and reads /proc, and needs nothing of the crate. Needs ffmpeg, and
nginx with libnginx-mod-rtmp.
"""
import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

from live import AMPHI, LADDER, ROOT, TICKS, Amphi, get

WARM_S = 3
OURS = "amphi"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def task_cpu(pid):
    """CPU seconds of a process, by thread name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            text = (task / "stat").read_text()
        except OSError:
            continue
        name, fields = text[text.index("(") + 1:text.rindex(")")], text.rsplit(")", 1)[1].split()
        # The time of threads that have ended is lost; the server's threads live as long as it does.
        found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS
    return found


def is_delivering(thread):
    return thread == OURS or thread.startswith("deliver")


def tree(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def whole_cpu(pid):
    total = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def rss_mb(pid):
    return sum(int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text())[1]) for one in tree(pid)) / 1024


class Halls:
    """Simulated SMP 351s: those of a demo whose own channels stay idle."""

    def __init__(self, binary=AMPHI):
        self.demo = Amphi(["demo", "--no-schedule", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                           "--admin-listen", "127.0.0.1:0"], binary)
        admin = self.demo.address("admin")
        self.demo.log.seek(0)
        lines = [json.loads(line)["fields"] for line in self.demo.log if line.startswith("{")]
        self.urls = [line["url"] for line in lines if line.get("message") == "simulated SMP 351"]
        request = urllib.request.Request(f"http://{admin}/api/v1/channels/Live_PAES/source", method="DELETE")
        urllib.request.urlopen(request, timeout=5).read()


def server(home, halls, channels, binary=AMPHI):
    """`amphi run` with so many live channels, and a recording."""
    recordings = home / "nas"
    recordings.mkdir(exist_ok=True)
    shutil.copy(ROOT / "fixtures/hall_a.mp4", recordings)
    text = (f'[server]\nlisten = "127.0.0.1:0"\nhttp_listen = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\n'
            f'state_dir = "{home}/state{channels}"\n{LADDER}[[vod]]\nname = "vod"\nroot = "{recordings}"\n')
    for number in range(channels):
        text += (f'[[source]]\nname = "hall{number}"\nurl = "{halls.urls[number % len(halls.urls)]}"\ntransport = "tcp"\n'
                 f'[[channel]]\nname = "Live_{number}"\nstreams = ["live"]\nladder = "lecture"\n'
                 f'waiting = "{ROOT}/fixtures/waiting.mp4"\nsource = "hall{number}"\n')
    config = home / f"amphi{channels}.toml"
    config.write_text(text)
    amphi = Amphi(["run", str(config)], binary)
    admin = amphi.address("admin")
    for number in range(channels):
        while f'amphi_channel_live{{channel="Live_{number}"}} 1' not in get(f"http://{admin}/metrics").decode():
            time.sleep(0.2)
    time.sleep(8)
    return amphi


class Mirror(threading.Thread):
    """Copies the segments of a live rung to files as they come."""

    def __init__(self, base, folder):
        super().__init__(daemon=True)
        self.base, self.folder, self.kept = base, folder, {}
        self.turn()
        self.start()

    def put(self, name, content):
        (self.folder / "tmp").write_bytes(content)
        (self.folder / "tmp").rename(self.folder / name)

    def turn(self):
        playlist = get(f"{self.base}/chunklist_720p.m3u8")
        names = [line for line in playlist.decode().splitlines() if line and line[0] != "#"]
        names.append(re.search(rb'MAP:URI="([^"]+)"', playlist)[1].decode())
        for name in names:
            if name not in self.kept:
                self.put(name, get(f"{self.base}/{name}"))
            self.kept[name] = time.time()
        self.put("chunklist_720p.m3u8", playlist)
        self.put("playlist.m3u8", get(f"{self.base}/live_720p/playlist.m3u8"))
        for name in [name for name, seen in self.kept.items() if seen < time.time() - 60]:
            (self.folder / name).unlink()
            del self.kept[name]

    def run(self):
        while True:
            try:
                self.turn()
            except OSError:
                pass
            time.sleep(0.1)


class Nginx:
    def __init__(self, home, memory, pushed):
        self.static, self.rtmp = memory / "static", memory / "rtmp"
        self.static.mkdir()
        self.rtmp.mkdir()
        # Not in its folder, from which the module removes other files.
        (memory / "rtmp.m3u8").write_text(
            '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000,CODECS="avc1.64001f,mp4a.40.2"\nrtmp/live.m3u8\n')
        self.port, ingest = free_port(), free_port()
        (home / "nginx.conf").write_text(f"""
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off; user root; worker_processes {os.cpu_count()}; pid {home}/nginx.pid; error_log {home}/nginx.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 18000; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_timeout 75; keepalive_requests 100000000;
  client_body_temp_path {home}/body;
  types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 m4s mp4; }}
  server {{ listen 127.0.0.1:{self.port} backlog=4096; root {memory}; }}
}}
rtmp {{ server {{ listen 127.0.0.1:{ingest}; application live {{
  live on; hls on; hls_path {self.rtmp}; hls_fragment 2s; hls_playlist_length 12s;
}} }} }}
""")
        self.process = subprocess.Popen(["nginx", "-c", f"{home}/nginx.conf", "-e", f"{home}/nginx.log"])
        time.sleep(1)
        self.pusher = subprocess.Popen(
            ["ffmpeg", "-nostdin", "-v", "error", "-i", f"rtmp://{pushed}/Live_0/live_720p", "-c", "copy", "-f", "flv",
             f"rtmp://127.0.0.1:{ingest}/live/live"])

    def end(self):
        self.pusher.terminate()
        self.process.terminate()
        self.process.wait()


def watch(url, players, seconds, ramp, more=()):
    command = [AMPHI, "loadtest", url, "--players", str(players), "--duration", str(seconds), "--ramp", str(ramp),
               "--json", "-", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def phase(name, url, pid, players, seconds, idle):
    """One server in a steady state with so many players; it uses `idle` CPU s/s without any."""
    ramp = max(2, players // 1000)
    test = watch(url, players, ramp + WARM_S + seconds + 1, ramp)
    begun = time.time()
    time.sleep(ramp + WARM_S)
    first, threads = whole_cpu(pid), task_cpu(pid)
    since = time.time()
    time.sleep(seconds)
    took = time.time() - since
    whole, after = whole_cpu(pid) - first, task_cpu(pid)
    memory = rss_mb(pid)
    report = json.loads(test.communicate()[0])
    window = [second for second in report["timeline"] if since - begun <= second["at_s"] <= since - begun + took]
    gigabytes = sum(second["mbit_per_s"] for second in window) / max(1, len(window)) * took / 8000
    used = sum(after[it] - threads.get(it, 0) for it in after if is_delivering(it)) if name == OURS else whole
    cpu = used - idle * took
    minutes = players * took / 60
    del report["timeline"]
    row = {"server": name, "players": players, "window_s": took, "cpu_s": cpu, "process_cpu_s": whole, "gb": gigabytes,
           "cpu_ms_per_player_minute": cpu * 1000 / minutes, "cpu_s_per_gb": cpu / gigabytes if gigabytes else None,
           "rss_mb": memory, "load_average": os.getloadavg()[0], "report": report}
    print(f"  {name:11} {players:6} players: {row['cpu_ms_per_player_minute']:6.2f} ms/player-min, "
          f"{row['cpu_s_per_gb'] or 0:5.3f} CPU s/GB, {memory:4.0f} MB, playlist p50/p99 "
          f"{report['playlist']['p50_ms']:.2f}/{report['playlist']['p99_ms']:.2f} ms, segment "
          f"{report['segment']['p50_ms']:.2f}/{report['segment']['p99_ms']:.2f} ms, stalls {report['stalls']}, "
          f"errors {sum(report['errors'].values())}", flush=True)
    return row


def storm(name, url, players):
    report = json.loads(watch(url, players, 8, 1).communicate()[0])
    del report["timeline"]
    print(f"  {name:11} {players} join in 1 s: first segment p50/p99 {report['start']['p50_ms']:.1f}/"
          f"{report['start']['p99_ms']:.1f} ms, stalls {report['stalls']}, errors {sum(report['errors'].values())}",
          flush=True)
    return {"server": name, "players": players, "report": report}


def together(halls, home, seconds):
    """700 live and 250 recorded viewers while three channels are transcoded."""
    amphi = server(home, halls, 3)
    pid = amphi.process.pid
    time.sleep(2)
    live = watch(f"http://{amphi.http}/Live_0/live_720p/playlist.m3u8", 700, seconds, 2)
    recorded = watch(f"http://{amphi.http}/vod/mp4:hall_a.mp4/playlist.m3u8", 250, seconds, 2, ["--seek", "10"])
    first, begun = task_cpu(pid), time.time()
    reports = {}
    for name, test in (("live", live), ("recorded", recorded)):
        reports[name] = json.loads(test.communicate()[0])
        del reports[name]["timeline"]
    took = time.time() - begun
    after = task_cpu(pid)
    threads = {name: (after[name] - first.get(name, 0)) / took for name in after}
    page = get(f"http://{amphi.address('admin')}/metrics").decode()
    dropped = [line for line in page.splitlines() if re.match(r"amphi_(ladder|rung|channel|lattice).*(drop|late|repeat|miss)", line)]
    row = {"cpu_s_per_s_by_thread": threads, "rss_mb": rss_mb(pid), "reports": reports, "ladder": dropped}
    amphi.end()
    for name, report in reports.items():
        print(f"  700 + 250, {name}: segment p99 {report['segment']['p99_ms']:.2f} ms, stalls {report['stalls']}, "
              f"errors {sum(report['errors'].values())}", flush=True)
    print(f"  CPU s/s: {sum(threads.values()):.2f}, of it delivery "
          f"{sum(value for name, value in threads.items() if is_delivering(name)):.2f}", flush=True)
    return row


def machine():
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    run = lambda *command: subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.strip()
    return {"cpu": cpu[1] if cpu else "unknown", "cores": os.cpu_count(), "kernel": os.uname().release,
            "memory_mb": int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) // 1024,
            "open_files": run("sh", "-c", "ulimit -n"), "nginx": run("nginx", "-v"),
            "commit": run("git", "-C", str(ROOT), "describe", "--always", "--dirty")}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--players", default="500,2200,5000,10000")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=20)
    arguments.add_argument("--servers", default="amphi,nginx,nginx-rtmp")
    arguments.add_argument("--storm", type=int, default=2200)
    arguments.add_argument("--without-mixed", action="store_true")
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    now = datetime.now(timezone.utc)
    folder = options.out or ROOT / "benches/runs" / now.strftime("%Y-%m-%d")
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        home, memory = Path(home), Path(memory)
        os.chmod(memory, 0o755)
        halls = Halls()
        amphi = server(home, halls, 1)
        pid = amphi.process.pid
        base = f"http://{amphi.http}/Live_0"
        nginx = Nginx(home, memory, amphi.address("media"))
        Mirror(base, nginx.static)
        before, nginx_before, begun = task_cpu(pid), whole_cpu(nginx.process.pid), time.time()
        time.sleep(10)
        after, took = task_cpu(pid), time.time() - begun
        nginx_idle = (whole_cpu(nginx.process.pid) - nginx_before) / took
        idle = sum(after[it] - before.get(it, 0) for it in after if is_delivering(it)) / took
        coding = (sum(after.values()) - sum(before.values())) / took
        print(f"one live channel without viewers: {coding:.3f} CPU s/s, of it {idle:.4f} in threads that deliver; "
              f"nginx {nginx_idle:.4f}", flush=True)
        servers = {OURS: (f"{base}/live_720p/playlist.m3u8", pid),
                   "nginx": (f"http://127.0.0.1:{nginx.port}/static/playlist.m3u8", nginx.process.pid),
                   "nginx-rtmp": (f"http://127.0.0.1:{nginx.port}/rtmp.m3u8", nginx.process.pid)}
        servers = {name: servers[name] for name in options.servers.split(",")}
        steady, storms = [], []
        for players in map(int, options.players.split(",")):
            for turn in range(options.rounds):
                for name, (url, process) in servers.items():
                    steady.append({"round": turn, **phase(name, url, process, players, options.seconds,
                                                            idle if name == OURS else nginx_idle)})
        if options.storm:
            for turn in range(options.rounds):
                for name, (url, _) in servers.items():
                    storms.append({"round": turn, **storm(name, url, options.storm)})
        nginx.end()
        amphi.end()
        mixed = None if options.without_mixed else together(halls, home, 20)
        halls.demo.end()
    folder.mkdir(parents=True, exist_ok=True)
    result = {"at": now.isoformat(timespec="seconds"), "machine": machine(), "channel_cpu_s_per_s": coding,
              "idle_delivery_cpu_s_per_s": idle, "idle_nginx_cpu_s_per_s": nginx_idle, "steady": steady, "storm": storms, "mixed": mixed}
    (folder / "load.json").write_text(json.dumps(result, indent=1))
    print(f"written: {folder / 'load.json'}")


if __name__ == "__main__":
    main()
