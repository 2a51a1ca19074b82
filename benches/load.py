#!/usr/bin/env python3
"""What viewers of one live channel cost while it is transcoded on the same cores, compared with nginx in the same run.

    cargo build --release && benches/load.py [--players 2200,10000,16000] [--rounds 5] [--seconds 20] [--crowd 30000]

The servers, measured in turns, with `amphi loadtest` as the players:

  amphi         `amphi run` with one live channel of three rungs, which is transcoded meanwhile; its source is a simulated
                SMP 351
  amphi-granted another channel of it, which needs a right: players carry a grant in their paths; not by default
  nginx         the same segments as files in memory (/dev/shm), copied there as they come
  nginx-rtmp    HLS of the same pictures and sound, pushed to it over RTMP; its files are in memory, too
  nginx-pinned  as nginx, with a worker bound to each core (`worker_cpu_affinity`); not by default

nginx has its best settings (`Nginx` in common.py). The channel is transcoded in all phases, so every server has the same cores
left. Of each server the CPU of the whole process is told, and what viewers add to it; of Amphi that of the threads that
deliver, too. After that come a join storm, live and recorded viewers together while three channels are transcoded, and a crowd
by two load tests, which shows where it breaks: a process can have so many files open, and that many connections. Needs ffmpeg,
and nginx with libnginx-mod-rtmp.
"""
import os
import re
import tempfile
import threading
import time
from pathlib import Path

from common import (OPEN_FILES, OURS, Bench, Halls, Nginx, Players, faults, get, idle_cpu, is_delivering, listed, live_server,
                    rss_mb, steady, tell, thread_cpu, tree, turns)


GRANTED = OURS + "-granted"
# Players come from loopback, so that is what opens the channel; what they fetch then is behind a grant.
RULE = """
[[access.network]]
name = "here"
cidr = ["127.0.0.0/8"]
[[access.rule]]
path = "Live_1"
allow = ["network:here"]
"""


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


def storm(server, url, players):
    report = Players(url, players, 8, 1).report()
    del report["timeline"]
    print(f"  {server:13} {players} join in 1 s: first segment p50/p99 {report['start']['p50_ms']:.1f}/"
          f"{report['start']['p99_ms']:.1f} ms, {faults(report)}", flush=True)
    return {"server": server, "players": players, "report": report}


def crowd(server, url, pid, players, seconds, idle):
    """More players than one process has files for: two load tests, each with source addresses of its own."""
    most, over = [0], threading.Event()

    def count():
        while not over.wait(1):
            most[0] = max(most[0], sum(len(os.listdir(f"/proc/{one}/fd")) for one in tree(pid)))
    threading.Thread(target=count, daemon=True).start()
    row = steady(server, url, pid, players, seconds, idle, "--discard", ramp=max(10, players // 600), generators=2)
    over.set()
    row |= {"open_files_limit": OPEN_FILES, "open_files": most[0], "processes": len(tree(pid))}
    tell(row)
    errors = row["report"]["errors"]
    if errors:
        print(f"  it breaks at {most[0]} open files of {row['processes']} processes, of which each may have {OPEN_FILES}", flush=True)
    return row


def together(halls, home, seconds):
    """700 live and 250 recorded viewers while three channels are transcoded."""
    amphi = live_server(home, halls, 3)
    live = Players(f"http://{amphi.http}/Live_0/live_720p/playlist.m3u8", 700, seconds, 2)
    recorded = Players(f"http://{amphi.http}/vod/mp4:hall_a.mp4/playlist.m3u8", 250, seconds, 2, "--seek", 10)
    first, begun = thread_cpu(amphi.pid), time.time()
    reports = {"live": live.report(), "recorded": recorded.report()}
    took, after = time.time() - begun, thread_cpu(amphi.pid)
    threads = {name: (after[name] - first.get(name, 0)) / took for name in after}
    page = get(f"http://{amphi.address('admin')}/metrics").decode()
    dropped = [line for line in page.splitlines() if re.match(r"amphi_(ladder|rung|channel|lattice).*(drop|late|repeat|miss)", line)]
    row = {"cpu_s_per_s_by_thread": threads, "rss_mb": rss_mb(amphi.pid), "reports": reports, "ladder": dropped}
    amphi.end()
    for name, report in reports.items():
        del report["timeline"]
        print(f"  700 + 250, {name}: segment p99 {report['segment']['p99_ms']:.2f} ms, {faults(report)}", flush=True)
    print(f"  CPU s/s: {sum(threads.values()):.2f}, of it delivery "
          f"{sum(value for name, value in threads.items() if is_delivering(name)):.2f}", flush=True)
    return row


def main():
    bench = Bench("load", __doc__, "nginx", "nginx-rtmp", "ffmpeg")
    bench.option("--players", default="2200,10000,16000")
    bench.option("--seconds", type=int, default=20)
    bench.option("--servers", default="amphi,nginx,nginx-rtmp")
    bench.option("--storm", type=int, default=2200, help="players that join within a second (0: none)")
    bench.option("--crowd", type=int, default=0, help="players of two load tests at once, in the end")
    bench.option("--without-mixed", action="store_true")
    options = bench.begin()
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        home, memory = Path(home), Path(memory)
        os.chmod(memory, 0o755)
        halls = Halls()
        granted = GRANTED in options.servers.split(",")
        amphi = live_server(home, halls, 2, more=RULE) if granted else live_server(home, halls)
        base = f"http://{amphi.http}/Live_0"
        (memory / "static").mkdir()
        (memory / "rtmp").mkdir()
        # Not in its folder, from which the module removes other files.
        (memory / "rtmp.m3u8").write_text(
            '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000,CODECS="avc1.64001f,mp4a.40.2"\nrtmp/live.m3u8\n')
        Mirror(base, memory / "static")
        wanted, servers, ends = options.servers.split(","), {}, [amphi.end]
        if OURS in wanted:
            servers[OURS] = (f"{base}/live_720p/playlist.m3u8", amphi.pid)
        if granted:
            servers[GRANTED] = (f"http://{amphi.http}/Live_1/live_720p/playlist.m3u8", amphi.pid)
        for name in ("nginx", "nginx-pinned"):
            if name in wanted:
                nginx = Nginx(home, memory, pinned=name != "nginx", name=name)
                ends.append(nginx.end)
                servers[name] = (f"http://127.0.0.1:{nginx.port}/static/playlist.m3u8", nginx.pid)
        if "nginx-rtmp" in wanted:
            # It is a server of its own, so that what the incoming stream costs is not counted for static files.
            hls = f"application live {{ live on; hls on; hls_path {memory}/rtmp; hls_fragment 2s; hls_playlist_length 12s; }}"
            nginx = Nginx(home, memory, hls, name="nginx-rtmp")
            nginx.push(f"rtmp://{amphi.address('media')}/Live_0/live_720p", "live/live")
            ends.append(nginx.end)
            servers["nginx-rtmp"] = (f"http://127.0.0.1:{nginx.port}/rtmp.m3u8", nginx.pid)
            while not (memory / "rtmp/live.m3u8").exists() or len(listed(servers["nginx-rtmp"][0].replace("rtmp.m3u8", "rtmp/live.m3u8"))) < 4:
                time.sleep(0.5)
        figures = {"idle": {}, "steady": [], "storm": [], "crowd": [], "mixed": None}
        delivering, *idle = idle_cpu([pid for _, pid in servers.values()], max(4, min(10, options.seconds)))
        figures["idle"] = dict(zip(servers, idle))
        print("whole processes without viewers, CPU s/s: " + ", ".join(f"{name} {cpu:.4f}" for name, cpu in figures["idle"].items())
              + f"; of Amphi's {delivering:.4f} in threads that deliver", flush=True)
        figures["idle_delivering"] = delivering
        for players in map(int, options.players.split(",")):
            for turn in range(options.rounds):
                for name in turns(servers, turn):
                    url, pid = servers[name]
                    row = steady(name, url, pid, players, options.seconds, figures["idle"][name])
                    figures["steady"].append({"round": turn, **tell(row)})
        for turn in range(options.rounds if options.storm else 0):
            for name in turns(servers, turn):
                figures["storm"].append({"round": turn, **storm(name, servers[name][0], options.storm)})
        if options.crowd:
            for name in (name for name in servers if name in (OURS, "nginx")):
                url, pid = servers[name]
                figures["crowd"].append(crowd(name, url, pid, options.crowd, options.seconds, figures["idle"][name]))
        for finish in reversed(ends):
            finish()
        if not options.without_mixed:
            figures["mixed"] = together(halls, home, 20)
        halls.end()
    bench.write(**figures)


if __name__ == "__main__":
    main()
