#!/usr/bin/env python3
"""What two builds of Amphi cost, in turns in one run, and the ratio of the second to the first.

    benches/versus.py OLD NEW [--players 2200,10000] [--rounds 5] [--seconds 20]

Both serve one live channel of three rungs from the same simulated encoder, and the same recording from a warm page cache.
Told are, as the median of the rounds and of the ratios with their spread: CPU of a channel without viewers, CPU of the
threads that deliver for each viewer and minute, answer times of playlists and segments, CPU for a recorded GB. Both are
watched by the load test of NEW. OLD and NEW are paths of binaries.
"""
import argparse
import statistics
import tempfile
from pathlib import Path

import common
from common import Binaries, Halls, idle_cpu, live_server, steady, tell


def told(name, old, new, unit):
    ratios = sorted(after / before for before, after in zip(old, new) if before) or [float("nan")]
    print(f"  {name}: {statistics.median(old):.3f} -> {statistics.median(new):.3f} {unit}, ratio "
          f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})", flush=True)


def without_viewers(server, seconds):
    """CPU s/s of the whole process and of its delivering threads."""
    delivering, whole = idle_cpu([server.pid], seconds)
    return whole, delivering


def live(servers, players, rounds, seconds, idle):
    rows = [[], []]
    for turn in range(rounds):
        # The one that begins has the warmer machine: they take turns at it.
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            url = f"http://{servers[which].http}/Live_0/live_720p/playlist.m3u8"
            rows[which].append(tell(steady(common.OURS, url, servers[which].pid, players, seconds, idle[which])))
    print(f"{players} viewers of a live channel:")
    told("delivery", *([row["delivering_cpu_s"] * 6e4 / row["window_s"] / players for row in each] for each in rows),
         "ms a viewer and minute")
    told("whole process", *([row["whole_cpu_s"] / row["window_s"] for row in each] for each in rows), "CPU s/s")
    for kind in ("playlist", "segment"):
        for rank in ("p50_ms", "p99_ms"):
            told(f"{kind} {rank[:3]}", *([row["report"][kind][rank] for row in each] for each in rows), "ms")
    print("  stalls", *(sum(row["report"]["stalls"] for row in each) for each in rows),
          "errors", *(sum(sum(row["report"]["errors"].values()) for row in each) for each in rows), flush=True)


def recorded(servers, rounds, seconds):
    rows = [[], []]
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            url = f"http://{servers[which].http}/vod/mp4:hall_a.mp4/playlist.m3u8"
            rows[which].append(steady(common.OURS, url, servers[which].pid, 8, seconds, 0, "--unpaced", "--discard", ramp=1))
    print("a recording, eight readers as fast as they can, whole processes beside the channel:")
    told("CPU", *([row["whole_cpu_s_per_gb"] for row in each] for each in rows), "s/GB")
    told("rate", *([row["gb"] / row["window_s"] for row in each] for each in rows), "GB/s")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("old", type=Path)
    arguments.add_argument("new", type=Path)
    arguments.add_argument("--players", default="2200,10000")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=20)
    options = arguments.parse_args()
    Binaries.server = Binaries.loadtest = str(options.new)
    print(common.machine())
    with tempfile.TemporaryDirectory() as home:
        halls, servers = Halls(), []
        for name, binary in (("old", options.old), ("new", options.new)):
            folder = Path(home) / name
            folder.mkdir()
            servers.append(live_server(folder, halls, binary=str(binary)))
        idle = [[without_viewers(server, options.seconds) for server in servers] for _ in range(options.rounds)]
        print("a live channel without viewers:")
        told("whole process", [each[0][0] for each in idle], [each[1][0] for each in idle], "CPU s/s")
        whole = [statistics.median(each[which][0] for each in idle) for which in (0, 1)]
        for players in map(int, options.players.split(",")):
            live(servers, players, options.rounds, options.seconds, whole)
        recorded(servers, options.rounds, max(3, options.seconds // 3))
        for server in servers:
            server.end()
        halls.end()


if __name__ == "__main__":
    main()
