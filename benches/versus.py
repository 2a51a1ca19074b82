#!/usr/bin/env python3
"""What two builds of Amphi cost, in turns in one run, and the ratio of the second to the first.

    benches/versus.py OLD NEW [--players 2200,10000] [--rounds 5] [--seconds 20]

Both serve one live channel of three rungs from the same simulated encoder, and the same recording from a warm page cache.
Told are, as the median of the rounds and of the ratios with their spread: CPU of a channel without viewers, CPU of the
threads that deliver for each viewer and minute, answer times of playlists and segments, CPU for a recorded GB. Both are
watched by the load test of NEW. Needs wrk; OLD and NEW are paths of binaries.
"""
import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import load
from live import cpu
from vod import Client, wrk


def told(name, old, new, unit):
    ratios = sorted(after / before for before, after in zip(old, new))
    print(f"  {name}: {statistics.median(old):.3f} -> {statistics.median(new):.3f} {unit}, ratio "
          f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})", flush=True)


def delivering(pid):
    return sum(seconds for name, seconds in load.task_cpu(pid).items() if load.is_delivering(name))


def without_viewers(servers, seconds):
    """CPU s/s of the whole process and of its delivering threads, of both at the same time."""
    pids = [server.process.pid for server in servers]
    before, begun = [(cpu(pid), delivering(pid)) for pid in pids], time.time()
    time.sleep(seconds)
    took = time.time() - begun
    return [((cpu(pid) - whole) / took, (delivering(pid) - part) / took) for pid, (whole, part) in zip(pids, before)]


def live(servers, players, rounds, seconds, idle):
    rows = [[], []]
    for turn in range(rounds):
        # The one that begins has the warmer machine: they take turns at it.
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            url = f"http://{servers[which].http}/Live_0/live_720p/playlist.m3u8"
            rows[which].append(load.phase(load.OURS, url, servers[which].process.pid, players, seconds, idle[which]))
    print(f"{players} viewers of a live channel:")
    told("delivery", *([row["cpu_ms_per_player_minute"] for row in each] for each in rows), "ms a viewer and minute")
    told("whole process", *([row["process_cpu_s"] / row["window_s"] for row in each] for each in rows), "CPU s/s")
    for kind in ("playlist", "segment"):
        for rank in ("p50_ms", "p99_ms"):
            told(f"{kind} {rank[:3]}", *([row["report"][kind][rank] for row in each] for each in rows), "ms")
    print("  stalls", *(sum(row["report"]["stalls"] for row in each) for each in rows),
          "errors", *(sum(sum(row["report"]["errors"].values()) for row in each) for each in rows), flush=True)


def recorded(servers, folder, rounds, seconds, idle):
    rows = [[], []]
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            server, base = servers[which], "/vod/mp4:hall_a.mp4"
            lines = lambda path: [line for line in Client(server.http).get(path).decode().splitlines() if line[:1] != "#"]
            media = lines(f"{base}/{lines(f'{base}/playlist.m3u8')[0]}")
            before, begun = cpu(server.process.pid), time.time()
            requests, size = wrk(folder, server.http, [f"{base}/{name}" for name in media if name], seconds)
            used = cpu(server.process.pid) - before - idle[which] * (time.time() - begun)
            rows[which].append((used / size, requests / seconds))
    print("a recording, eight connections:")
    told("CPU", *([row[0] for row in each] for each in rows), "s/GB")
    told("rate", *([row[1] for row in each] for each in rows), "segments/s")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("old", type=Path)
    arguments.add_argument("new", type=Path)
    arguments.add_argument("--players", default="2200,10000")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=20)
    options = arguments.parse_args()
    load.AMPHI = options.new
    print(load.machine())
    with tempfile.TemporaryDirectory() as home:
        halls, servers = load.Halls(options.new), []
        for name, binary in (("old", options.old), ("new", options.new)):
            folder = Path(home) / name
            folder.mkdir()
            servers.append(load.server(folder, halls, 1, binary))
        idle = [without_viewers(servers, options.seconds) for _ in range(options.rounds)]
        print("a live channel without viewers:")
        told("whole process", [each[0][0] for each in idle], [each[1][0] for each in idle], "CPU s/s")
        whole, parts = ([statistics.median(each[which][part] for each in idle) for which in (0, 1)] for part in (0, 1))
        for players in map(int, options.players.split(",")):
            live(servers, players, options.rounds, options.seconds, parts)
        recorded(servers, Path(home), options.rounds, max(3, options.seconds // 3), whole)
        for server in servers:
            server.end()
        halls.demo.end()


if __name__ == "__main__":
    main()
