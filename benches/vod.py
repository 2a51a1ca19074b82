#!/usr/bin/env python3
"""What a recorded lecture costs, compared with nginx and the same segments as files in the same run.

    cargo build --release && benches/vod.py [--seconds 8] [--rounds 5] [--only opening,throughput,viewers]
    benches/vod.py --sound [--minutes 30]       what sound costs that is coded to AAC as it is watched, and nothing else

The recording is a lecture of two hours and 1.5 GB. Prints the time to its playlists and first segment with a cold and a warm
page cache; the memory of its index; CPU seconds per GB from a warm file, of whole processes and in turns with nginx, which has the
same segments as files and its best settings (`sendfile`, `tcp_nopush`, `open_file_cache`): for 64 readers as fast as they can be
served and for 2200 that ask for a segment every six seconds, with readers that let the kernel discard what comes and with some
that read it (`readers.c`); and how 250 and 2000 viewers at random positions fare (`amphi loadtest`). Needs ffmpeg, nginx and a
C compiler from Debian, and 4 GB of disk.
"""
import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from live import AMPHI, cpu, rss_mb, Amphi

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
    return lecture


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


def opened(address, name):
    """Milliseconds to the multivariant playlist, the media playlist, the initialization section, the first segment."""
    client, base, at, times = Client(address), f"/vod/mp4:{name}", time.perf_counter(), []
    lap = lambda: times.append((time.perf_counter() - at) * 1000)
    variants = client.get(f"{base}/playlist.m3u8").decode()
    lap()
    playlist = [line for line in variants.splitlines() if line and line[0] != "#"][0]
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
              f"(at most {worst:.1f})")


def nginx(folder, files):
    config = folder / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  open_file_cache max=10000 inactive=1h; open_file_cache_valid 1h; open_file_cache_min_uses 1;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:18099; root {files}; }} }}
""")
    process = subprocess.Popen(["nginx", "-c", config, "-e", folder / "error.log"])
    time.sleep(1)
    worker = subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True).split()[0]
    return process, int(worker)


def wrk(folder, address, paths, seconds):
    script = folder / "urls.lua"
    script.write_text("local paths = {" + ",".join(json.dumps(path) for path in paths) + "}\n"
                      "math.randomseed(7)\nrequest = function() "
                      "return wrk.format('GET', paths[math.random(#paths)]) end\n")
    out = subprocess.check_output(["wrk", "-t1", "-c8", f"-d{seconds}s", "-s", script, f"http://{address}/"], text=True)
    requests, size, unit = re.search(r"(\d+) requests in [\d.]+s, ([\d.]+)(MB|GB)", out).groups()
    assert "Non-2xx" not in out, out
    return int(requests), float(size) * {"MB": 1 / 1024, "GB": 1}[unit] * 1.073741824


def read(folder, address, paths, how, readers, seconds, period_ms=0):
    binary, names = folder / "readers", folder / "paths"
    if not binary.exists():
        subprocess.run(["cc", "-O2", "-o", binary, Path(__file__).with_name("readers.c")], check=True)
    names.write_text("".join(f"{path}\n" for path in paths))
    host, port = address.split(":")
    command = [binary, host, port, names, str(readers), str(seconds), how, str(period_ms)]
    return json.loads(subprocess.check_output(command, text=True))


def throughput(amphi, folder, seconds, rounds):
    files = folder / "files"
    files.mkdir()
    client, base = Client(amphi.http), "/vod/mp4:lecture.mp4"
    playlist = re.search(r"^chunklist.*$", client.get(f"{base}/playlist.m3u8").decode(), re.M)[0]
    media = client.get(f"{base}/{playlist}").decode().splitlines()
    names = [line for line in media if line.startswith("media_")][:200]
    for name in names:
        (files / name).write_bytes(client.get(f"{base}/{name}"))
    ours, static = [f"{base}/{name}" for name in names], [f"/{name}" for name in names]
    process, worker = nginx(folder, files)
    servers = (("amphi", amphi.http, amphi.process.pid, ours), ("nginx", "127.0.0.1:18099", worker, static))
    for how, readers, period_ms in (("discard", 64, 0), ("read", 64, 0), ("discard", 2200, 6000), ("read", 2200, 6000)):
        rows = {"amphi": [], "nginx": []}
        for number in range(rounds):
            # Whoever comes second finds the caches of the first.
            for name, address, pid, paths in servers[::1 if number % 2 else -1]:
                before = cpu(pid)
                seen = read(folder, address, paths, how, readers, max(seconds, 2 * period_ms / 1000), period_ms)
                size = seen["bytes"] / 1e9
                assert not seen["errors"], seen
                rows[name].append(((cpu(pid) - before) / size, size / seen["seconds"], seen["p99_ms"]))
        print(f"  {readers} readers that {how}, {'a segment every 6 s' if period_ms else 'as fast as they can'}:")
        for name, row in rows.items():
            spent, rate, p99 = (statistics.median(column) for column in zip(*row))
            print(f"    {name}: {spent:.3f} CPU s/GB ({min(row)[0]:.3f} to {max(row)[0]:.3f}), {rate:.2f} GB/s, p99 {p99:.1f} ms")
        ratios = sorted(mine[0] / theirs[0] for mine, theirs in zip(rows["amphi"], rows["nginx"]))
        print(f"    CPU per GB, amphi to nginx: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    process.terminate()


def viewers(amphi, players, seconds):
    before, at = cpu(amphi.process.pid), time.time()
    out = subprocess.run([AMPHI, "loadtest", f"http://{amphi.http}/vod/mp4:lecture.mp4/playlist.m3u8", "--players",
                          str(players), "--duration", str(seconds), "--ramp", "20", "--seek", "60", "--json", "-"],
                         stdout=subprocess.PIPE, text=True).stdout
    report = json.loads(out)
    took = time.time() - at
    spent = cpu(amphi.process.pid) - before
    print(f"  {players} viewers: {report['stalls']} stalls of {report['stalled_players']} players, errors "
          f"{report['errors']}, {report['seeks']} seeks, {report['bytes'] * 8e-6 / took:.0f} Mbit/s, segment p50 "
          f"{report['segment']['p50_ms']:.1f} ms, p99 {report['segment']['p99_ms']:.1f} ms, start p99 "
          f"{report['start']['p99_ms']:.0f} ms, {spent / (report['bytes'] * 1e-9):.2f} CPU s/GB, "
          f"{rss_mb(amphi.process.pid):.0f} MB resident")


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
        media = client.get(f"{base}/{playlist}").decode().splitlines()
        rows = []
        for _ in range(2):
            before, at, slowest = cpu(amphi.process.pid), time.time(), 0
            for segment in (line for line in media if line.startswith("media_")):
                asked = time.time()
                client.get(f"{base}/{segment}")
                slowest = max(slowest, time.time() - asked)
            spent = cpu(amphi.process.pid) - before
            rows.append(f"{spent * 60 / minutes:6.2f} CPU s per hour, {(time.time() - at) * 60 / minutes:6.2f} s, "
                        f"slowest segment {slowest * 1000:.0f} ms")
        print(f"  {name:8} first segment {first:6.1f} ms; {rows[0]}; again: {rows[1]}")
    print(f"  {rss_mb(amphi.process.pid):.0f} MB resident")
    amphi.end()


def serve(folder, nas):
    config = folder / "amphi.toml"
    any_port = "127.0.0.1:0"
    config.write_text(f'[server]\nlisten = "{any_port}"\nhttp_listen = "{any_port}"\nadmin_listen = "{any_port}"\n'
                      f'state_dir = "{folder}/state"\n[[vod]]\nname = "vod"\nroot = "{nas}"\n')
    return Amphi(["run", config])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--viewer-seconds", type=int, default=90)
    arguments.add_argument("--only", type=lambda text: text.split(","), default=["opening", "throughput", "viewers"])
    arguments.add_argument("--sound", action="store_true")
    arguments.add_argument("--minutes", type=int, default=30)
    options = arguments.parse_args()
    random.seed(7)
    with tempfile.TemporaryDirectory(dir=os.environ.get("AMPHI_BENCH_DIR")) as directory:
        folder = Path(directory)
        folder.chmod(0o755)
        if options.sound:
            return sound(folder, options.minutes)
        nas = folder / "nas"
        nas.mkdir()
        lecture = make(nas)
        size = lecture.stat().st_size
        print(f"a lecture of {HOURS} h, {size / 1e9:.2f} GB, {size * 8e-6 / HOURS / 3600:.2f} Mbit/s")
        amphi = serve(folder, nas)
        admin = Client(amphi.address("admin"))
        if "opening" in options.only:
            print("opening:")
            cold_and_warm(amphi, lecture, options.rounds)
            time.sleep(3)
            metrics = admin.get("/metrics").decode()
            indexes, memory = (float(re.search(rf'^{name}{{.*}} (.*)$', metrics, re.M)[1])
                               for name in ("amphi_vod_indexes", "amphi_vod_index_bytes"))
            print(f"index: {memory / indexes / HOURS / 1e6:.2f} MB per hour")
        if "throughput" in options.only:
            print("from a warm file, whole processes, in turns:")
            throughput(amphi, folder, options.seconds, options.rounds)
        if "viewers" in options.only:
            print("viewers at random places:")
            for players in (250, 2000):
                viewers(amphi, players, options.viewer_seconds)
        amphi.end()


if __name__ == "__main__":
    main()
