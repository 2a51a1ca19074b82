#!/usr/bin/env python3
"""How hundreds of clients that ask for costly parts of a recording affect the viewers of a live channel.

    cargo build --release && benches/costly.py [--askers 300] [--seconds 8] [--rounds 1]

The recording is a lecture of two hours with 3000 captions, a SMIL file of four renditions. For each kind of request, so many
askers repeat it without a pause, each over a connection of its own. Meanwhile one viewer fetches a live playlist fifty times a
second. Prints the viewer's times, the askers' responses by status, and the server's CPU. The askers share the machine with the
server, so the viewer runs at a higher priority if that is allowed. Needs ffmpeg and 1 GB of disk.
"""
import http.client
import multiprocessing as mp
import os
import random
import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from common import ROOT, Bench, configured, quantiles, whole_cpu

SMIL = "/vod/smil:lecture.smil"


def make(nas):
    """Makes two hours from one minute, with captions and four names for its renditions."""
    minute, whole = nas / "minute.mp4", nas / "a.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=60", "-f", "lavfi",
                    "-i", "sine=f=440:r=48000:d=60", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "40",
                    "-g", "50", "-c:a", "aac", "-b:a", "32k", minute], check=True)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", "119", "-i", minute, "-c", "copy", whole], check=True)
    for name in "bcd":
        shutil.copy(whole, nas / f"{name}.mp4")
    clock = lambda s: f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}.000"
    cues = [f"{clock(at)} --> {clock(at + 2)}\nCaption {at}: what was said here, in a line of some length & <i>more</i>\n"
            for at in range(0, 7200, 2)][:3000]
    (nas / "a.de.vtt").write_text("WEBVTT\n\n" + "\n".join(cues))
    videos = "".join(f'<video src="mp4:{name}.mp4" system-bitrate="{rate}00000"/>' for rate, name in enumerate("abcd", 1))
    (nas / "lecture.smil").write_text(f"<smil><body><switch>{videos}</switch></body></smil>")


def serve(folder, nas):
    amphi = configured(folder, f"""
[[ladder]]
name = "lecture"
rung = [{{ name = "480p", width = 854, height = 480, fps = 15, bitrate = 400000 }}]
[[channel]]
name = "Live"
streams = ["live"]
ladder = "lecture"
waiting = "{ROOT}/fixtures/waiting.mp4"
[[vod]]
name = "vod"
root = "{nas}"
index = true
""")
    port, until = int(amphi.http.rsplit(":", 1)[1]), time.time() + 60
    while get(port, "/Live/playlist.m3u8")[0] != 200:
        if time.time() > until:
            raise SystemExit("the channel does not begin")
        time.sleep(0.2)
    return amphi, port


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def view(port, path, until, results):
    """The viewer of the live channel."""
    try:
        os.nice(-10)
    except OSError:
        pass
    connection, times, bad = http.client.HTTPConnection("127.0.0.1", port, timeout=30), [], 0
    while time.time() < until:
        at = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - at) * 1000)
        bad += answer.status != 200
        time.sleep(0.02)
    results.put((times, bad))


HEAD = re.compile(rb"HTTP/1.1 (\d+).*?content-length: (\d+)", re.S | re.I)


def ask(port, paths, askers, until, results):
    """So many connections, each of which asks again as soon as it has a response."""
    selector, statuses, random_path = selectors.DefaultSelector(), Counter(), random.Random(7)
    request = lambda: f"GET {random_path.choice(paths)} HTTP/1.1\r\nhost: x\r\n\r\n".encode()

    def begin():
        one = socket.create_connection(("127.0.0.1", port), timeout=30)
        one.setblocking(False)
        one.send(request())
        selector.register(one, selectors.EVENT_READ, [b"", None])

    for _ in range(askers):
        begin()
    while time.time() < until:
        for key, _ in selector.select(0.5):
            state = key.data
            try:
                part = key.fileobj.recv(1 << 18)
            except BlockingIOError:
                continue
            if not part:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                statuses["closed"] += 1
                begin()
                continue
            if state[1] is None:
                state[0] += part
                end = state[0].find(b"\r\n\r\n")
                if end < 0:
                    continue
                status, length = HEAD.search(state[0][:end + 4]).groups()
                state[1] = int(length) - (len(state[0]) - end - 4)
                statuses[int(status)] += 1
            else:
                state[1] -= len(part)
            if state[1] <= 0:
                state[0], state[1] = b"", None
                key.fileobj.send(request())
    results.put(statuses)


def kinds(port):
    """The paths of each kind of request, by name."""
    text = get(port, f"{SMIL}/playlist.m3u8")[1].decode()
    media = [line for line in text.splitlines() if line and line[0] != "#"][0]
    iframes = re.search(r'I-FRAME.*URI="([^"]+)"', text)[1]
    manifest = get(port, f"{SMIL}/manifest.mpd")[1].decode()
    template = re.findall(r'media="([^"]+_a0_t)\$Time\$', manifest)[0]
    timeline = manifest.split(template, 1)[1]
    first = int(re.search(r't="(\d+)"', timeline)[1])
    return {
        "nobody": [],
        "multivariant playlist": [f"{SMIL}/playlist.m3u8"],
        "manifest": [f"{SMIL}/manifest.mpd"],
        "media playlist": [f"{SMIL}/{media}"],
        "I-frame playlist": [f"{SMIL}/{iframes}"],
        "media playlists of 300 parts": [f"{SMIL}/" + media.replace(".m3u8", f"_t{at}000.m3u8") for at in range(300)],
        "one segment of captions": ["/vod/mp4:a.mp4/text_0_5.vtt"],
        "all segments of captions": [f"/vod/mp4:a.mp4/text_0_{part}.vtt" for part in range(100)],
        "captions in one piece": ["/vod/mp4:a.mp4/text_0.vtt"],
        "chapters": ["/vod/mp4:a.mp4/chapters.json"],
        "one picture": ["/vod/mp4:a.mp4/poster.jpg?t=100"],
        "pictures of 3000 places": [f"/vod/mp4:a.mp4/poster.jpg?t={at}" for at in range(0, 6000, 2)],
        "list of recordings": ["/vod/index.json"],
        "a DASH segment of sound": [f"{SMIL}/{template}{first}.m4s"],
    }


def measure(amphi, port, kind, paths, options):
    until, results, seen = time.time() + options.seconds, mp.Queue(), mp.Queue()
    viewer = mp.Process(target=view, args=(port, "/Live/chunklist_480p.m3u8", until, seen))
    asking = [mp.Process(target=ask, args=(port, paths, options.askers, until, results))] if paths else []
    begun = whole_cpu(amphi.pid)
    for process in [viewer, *asking]:
        process.start()
    (times, bad), statuses = seen.get(), results.get() if asking else Counter()
    cpu = whole_cpu(amphi.pid) - begun
    for process in [viewer, *asking]:
        process.join()
    row = {"kind": kind, "playlist": quantiles(times), "bad": bad, "answers": {str(k): v for k, v in statuses.items()},
           "whole_cpu_s_per_s": cpu / options.seconds}
    p = row["playlist"]
    print(f"  {kind:30} p50 {p['p50_ms']:6.1f}  p99 {p['p99_ms']:7.1f}  max {p['max_ms']:7.1f}  of {len(times):4}, "
          f"bad {bad}; {dict(statuses)}; {row['whole_cpu_s_per_s']:.2f} CPU s/s", flush=True)
    return row


def main():
    bench = Bench("costly", __doc__, rounds=1)
    bench.option("--askers", type=int, default=300)
    bench.option("--seconds", type=float, default=8)
    bench.option("--nas", type=Path, help="a folder of an earlier run, or one to be filled")
    options = bench.begin()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        folder = Path(folder)
        nas = options.nas or folder / "nas"
        nas.mkdir(parents=True, exist_ok=True)
        if not (nas / "lecture.smil").exists():
            make(nas)
        (amphi, port), rows = serve(folder, nas), []
        print(f"{options.askers} askers, {options.seconds:g} s each; live playlist in ms")
        for turn in range(options.rounds):
            for kind, paths in kinds(port).items():
                rows.append({"round": turn, **measure(amphi, port, kind, paths, options)})
                time.sleep(1)
        amphi.end()
    bench.write(rounds=rows)


if __name__ == "__main__":
    main()
