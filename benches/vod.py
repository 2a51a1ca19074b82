#!/usr/bin/env python3
"""What a recorded lecture costs, compared with nginx and ffmpeg's HLS of the same file on disk in the same run.

    cargo build --release && benches/vod.py [--seconds 8] [--rounds 5] [--readers 64] [--viewers 250,2200]
    benches/vod.py --sound [--minutes 30]       what sound costs that is coded to AAC as it is watched, and nothing else
    benches/vod.py --odd target/odd/<hash>      memory while 500 recordings of odd shapes are open at once, and nothing else

The recording is a lecture of two hours and 1.5 GB; nginx has the same in segments of the same length, with its best settings
(`Nginx` in common.py). Told are:

* the time to its playlists and first segment with a cold and a warm page cache; the memory of its index;
* the CPU of whole processes for a GB, in turns: readers as fast as they can, who copy what they get (`--read`) or let the kernel
  throw it away (`--discard`). Once from pages that were read from the disk, and once from pages as they were written: the kernel
  keeps those in larger pieces, which cost it less. A server sees pages as written only of what has just been copied to it;
* the same of viewers at their own pace, at random positions, and how they fare.

Needs ffmpeg and nginx, and 4 GB of disk.
"""
import collections
import http.client
import itertools
import os
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
from pathlib import Path

from common import (OURS, Bench, Nginx, configured, faults, get, idle_cpu, rss_mb, spread, steady, turns,
                    whole_cpu)

HOURS = 2


def make(folder):
    """Makes two hours from one minute of a moving test picture at the bit rate of a lecture."""
    minute, lecture = folder / "minute.mp4", folder / "lecture.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=60", "-f", "lavfi",
                    "-i", "sine=f=440:r=48000:d=60", "-c:v", "libx264", "-preset", "superfast", "-b:v", "1560k",
                    "-minrate", "1560k", "-maxrate", "1560k", "-bufsize", "1560k", "-x264-params", "nal-hrd=cbr",
                    "-g", "50", "-c:a", "aac", "-b:a", "96k", minute], check=True)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", str(HOURS * 60 - 1), "-i", minute, "-c", "copy",
                    lecture], check=True)


def duration_s(path):
    return float(subprocess.check_output(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path]))


def evict(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Client:
    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address)

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:200])
        return body


def together(playlist):
    """The playlist with picture and sound, which is there though for AC-3 the list names them apart."""
    return playlist.replace("_v.m3u8", ".m3u8")


def opened(address, name):
    """Milliseconds to the multivariant playlist, the media playlist, the initialization section, the first segment."""
    client, base, at, times = Client(address), f"/vod/mp4:{name}", time.perf_counter(), []
    lap = lambda: times.append((time.perf_counter() - at) * 1000)
    variants = client.get(f"{base}/playlist.m3u8").decode()
    lap()
    playlist = together([line for line in variants.splitlines() if line and line[0] != "#"][0])
    media = client.get(f"{base}/{playlist}").decode()
    lap()
    client.get(f"{base}/" + re.search(r'MAP:URI="([^"]+)"', media)[1])
    client.get(f"{base}/" + next(line for line in media.splitlines() if line and line[0] != "#"))
    lap()
    return times


def cold_and_warm(amphi, lecture, rounds):
    rows = {"cold": [], "warm": [], "indexed": []}
    for number in range(rounds):
        name = f"copy{number}.mp4"
        os.link(lecture, lecture.parent / name)
        evict(lecture)
        rows["cold"].append(opened(amphi.http, name))
        os.link(lecture, lecture.parent / f"warm{name}")
        subprocess.run(["cat", lecture], stdout=subprocess.DEVNULL, check=True)
        rows["warm"].append(opened(amphi.http, f"warm{name}"))
        rows["indexed"].append(opened(amphi.http, f"warm{name}"))
    for name, times in rows.items():
        first, media, segment = (statistics.median(column) for column in zip(*times))
        worst = max(row[2] for row in times)
        print(f"  {name:8} playlist {first:6.1f} ms, media playlist {media:6.1f} ms, first segment {segment:6.1f} ms "
              f"(at most {worst:.1f})", flush=True)
    return {name: [dict(zip(("playlist_ms", "media_playlist_ms", "first_segment_ms"), row)) for row in times]
            for name, times in rows.items()}


def split(folder, lecture):
    """The lecture as ffmpeg's HLS, for nginx."""
    hls = folder / "hls"
    hls.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-i", lecture, "-c", "copy", "-f", "hls", "-hls_time", "6", "-hls_list_size", "0",
                    "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", hls / "index.m3u8"], check=True)
    return hls


def read_back(paths):
    """Lets the page cache have what comes from the disk."""
    os.sync()
    for path in paths:
        evict(path)
    for path in paths:
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass


def readers(server, url, pid, pages, client, count, seconds):
    """Readers as fast as they can."""
    row = steady(server, url, pid, count, seconds, 0, "--unpaced", f"--{client}", ramp=1)
    row |= {"pages": pages, "client": client, "machine_cpu_s_per_gb": row["machine_cpu_s"] / row["gb"]}
    print(f"  {server:6} {count} readers that {client}, pages {pages}: {row['whole_cpu_s_per_gb']:.3f} CPU s/GB (the machine "
          f"{row['machine_cpu_s_per_gb']:.3f}), {row['gb'] / row['window_s']:.2f} GB/s, {faults(row['report'])}", flush=True)
    return row


def throughput(servers, pages, options):
    rows = []
    for client in ("read", "discard"):
        for turn in range(options.rounds):
            for name in turns(servers, turn):
                url, pid = servers[name]
                rows.append({"round": turn, **readers(name, url, pid, pages, client, options.readers, options.seconds)})
        cost = lambda name: [row["whole_cpu_s_per_gb"] for row in rows if (row["server"], row["client"]) == (name, client)]
        ratios = [ours / theirs for ours, theirs in zip(cost(OURS), cost("nginx"))]
        print(f"  CPU for a GB, Amphi / nginx, pages {pages}, clients {client}: {spread(ratios)}", flush=True)
    return rows


def paced(servers, options):
    """Viewers at their own pace. A reading client takes most of the CPU itself, so theirs discards."""
    idle = dict(zip(servers, idle_cpu([pid for _, pid in servers.values()], 4)[1:]))
    rows = []
    for players in map(int, filter(None, options.viewers.split(","))):
        for turn in range(options.viewer_rounds):
            for name in turns(servers, turn):
                url, pid = servers[name]
                row = steady(name, url, pid, players, options.viewer_seconds, idle[name], "--discard", "--seek", 60,
                             ramp=max(5, players // 110))
                report = row["report"]
                print(f"  {name:6} {players} viewers: {row['whole_cpu_s_per_gb']:.3f} CPU s/GB, whole "
                      f"{row['whole_ms_per_player_minute']:.1f} ms/player-min, segment p99 {report['segment']['p99_ms']:.1f} ms, "
                      f"start p99 {report['start']['p99_ms']:.1f} ms, {report['seeks']} seeks, {row['rss_mb']:.0f} MB, "
                      f"{faults(report)}", flush=True)
                rows.append({"round": turn, **row})
    return rows


CODINGS = {
    "aac": ("mp4", ["-c:a", "aac", "-b:a", "96k"]),
    "pcm": ("mov", ["-c:a", "pcm_s16le"]),
    "mp3": ("mp4", ["-c:a", "libmp3lame", "-b:a", "128k"]),
    "alac": ("mp4", ["-c:a", "alac"]),
    "ac3": ("mp4", ["-c:a", "ac3", "-b:a", "192k"]),
    "ac3_5.1": ("mp4", ["-ac", "6", "-c:a", "ac3", "-b:a", "384k"]),
}


def sound(folder, minutes):
    """CPU seconds per hour of recording, time to the first segment, and what a second viewer of the same costs."""
    nas = folder / "nas"
    nas.mkdir()
    for name, (suffix, coding) in CODINGS.items():
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s=160x90:r=5:d={minutes * 60}", "-f",
                        "lavfi", "-i", f"anoisesrc=c=pink:a=0.3:r=48000:d={minutes * 60}", "-ac", "2", "-c:v", "libx264",
                        "-preset", "ultrafast", "-g", "10", *coding, nas / f"{name}.{suffix}"], check=True)
    amphi = serve(folder, nas)
    for name, (suffix, _) in CODINGS.items():
        client, base = Client(amphi.http), f"/vod/mp4:{name}.{suffix}"
        first = opened(amphi.http, f"{name}.{suffix}")[2]
        playlist = re.search(r"^chunklist.*$", client.get(f"{base}/playlist.m3u8").decode(), re.M)[0]
        media = client.get(f"{base}/{together(playlist)}").decode().splitlines()
        rows = []
        for _ in range(2):
            before, at, slowest = whole_cpu(amphi.pid), time.time(), 0
            for segment in (line for line in media if line.startswith("media_")):
                asked = time.time()
                client.get(f"{base}/{segment}")
                slowest = max(slowest, time.time() - asked)
            spent = whole_cpu(amphi.pid) - before
            rows.append(f"{spent * 60 / minutes:6.2f} CPU s per hour, {(time.time() - at) * 60 / minutes:6.2f} s, "
                        f"slowest segment {slowest * 1000:.0f} ms")
        print(f"  {name:8} first segment {first:6.1f} ms; {rows[0]}; again: {rows[1]}")
    print(f"  {rss_mb(amphi.pid):.0f} MB resident")
    amphi.end()


def odd(folder, files, count=500):
    """Memory while `count` recordings of odd shapes, those of the folder `files` by turns, are open at once."""
    nas, sources = folder / "nas", sorted(path for path in files.iterdir() if path.is_file() and path.suffix != ".json")
    nas.mkdir()
    names = [f"{number}{sources[number % len(sources)].suffix}" for number in range(count)]
    for name, source in zip(names, itertools.cycle(sources)):
        shutil.copy(source, nas / name)
    amphi = serve(folder, nas)
    metrics = lambda: get(f"http://{amphi.address('admin')}/metrics").decode()
    value = lambda name: float(re.search(rf"^{name}(?:{{.*}})? (.*)$", metrics(), re.M)[1])
    before, at, statuses = rss_mb(amphi.pid), time.time(), collections.Counter()
    for name in names:
        playlist = f"http://{amphi.http}/vod/mp4:{name}/playlist.m3u8"
        try:
            for _ in range(2):
                lines = [line for line in get(playlist).decode().splitlines() if line and line[0] != "#"]
                playlist = urllib.parse.urljoin(playlist, lines[0])
            get(playlist)
            statuses[200] += 1
        except urllib.error.HTTPError as error:
            statuses[error.code] += 1
    print(f"  {count} recordings of {len(sources)} shapes, opened one after the other in {time.time() - at:.1f} s: {dict(statuses)}; "
          f"{value('amphi_vod_indexes'):.0f} are kept open, "
          f"{before:.0f} MB resident before, {rss_mb(amphi.pid):.0f} MB with them")
    amphi.end()


def serve(folder, nas):
    return configured(folder, f'[[vod]]\nname = "vod"\nroot = "{nas}"\n',
                      more="connections = 100000\nconnections_per_address = 15000\n")


def main():
    bench = Bench("vod", __doc__, "nginx", "ffmpeg")
    bench.option("--seconds", type=int, default=8, help="of readers")
    bench.option("--readers", type=int, default=64)
    bench.option("--pages", default="written,read", help="how the page cache got the files")
    bench.option("--viewers", default="250,2200")
    bench.option("--viewer-seconds", type=int, default=60)
    bench.option("--viewer-rounds", type=int, default=3)
    bench.option("--lecture", type=Path, help="a recording, in place of the one that is made")
    bench.option("--sound", action="store_true")
    bench.option("--minutes", type=int, default=30)
    bench.option("--odd", type=Path, help="a folder of odd recordings, such as `tests/odd` leaves beneath target/odd")
    options = bench.begin()
    random.seed(7)
    with tempfile.TemporaryDirectory(dir=os.environ.get("AMPHI_BENCH_DIR")) as directory:
        folder = Path(directory)
        folder.chmod(0o755)
        if options.sound:
            return sound(folder, options.minutes)
        if options.odd:
            return odd(folder, options.odd)
        nas = folder / "nas"
        nas.mkdir()
        lecture = nas / "lecture.mp4"
        if options.lecture:
            shutil.copyfile(options.lecture, lecture)
        else:
            make(nas)
        hls = split(folder, lecture)
        os.sync()
        size, hours = lecture.stat().st_size, duration_s(lecture) / 3600
        print(f"a lecture of {hours:.1f} h, {size / 1e9:.2f} GB, {size * 8e-6 / hours / 3600:.2f} Mbit/s", flush=True)
        amphi = serve(folder, nas)
        admin = Client(amphi.address("admin"))
        nginx = Nginx(folder, hls, live=False)
        servers = {OURS: (f"http://{amphi.http}/vod/mp4:lecture.mp4/playlist.m3u8", amphi.pid),
                   "nginx": (f"http://127.0.0.1:{nginx.port}/index.m3u8", nginx.pid)}
        files, rows = [lecture, *hls.glob("*.m4s")], []
        opened(amphi.http, "lecture.mp4")
        time.sleep(1)
        pages = options.pages.split(",")
        if "written" in pages:
            rows += throughput(servers, "written", options)
        print("opening:")
        opening = cold_and_warm(amphi, lecture, options.rounds)
        time.sleep(3)
        metrics = admin.get("/metrics").decode()
        indexes, memory = (float(re.search(rf'^{name}{{.*}} (.*)$', metrics, re.M)[1])
                           for name in ("amphi_vod_indexes", "amphi_vod_index_bytes"))
        print(f"index: {memory / indexes / hours / 1e6:.2f} MB per hour", flush=True)
        read_back(files)
        if "read" in pages:
            rows += throughput(servers, "read", options)
        viewing = paced(servers, options)
        nginx.end()
        amphi.end()
    bench.write(hours=hours, bytes=size, opening=opening, index_mb_per_hour=memory / indexes / hours / 1e6, readers=rows, viewers=viewing)


if __name__ == "__main__":
    main()
