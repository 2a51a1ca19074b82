#!/usr/bin/env python3
"""How hundreds of clients that ask for costly parts of a recording affect the viewers of a live channel.

    cargo build --release && benches/costly.py [--amphi target/release/amphi] [--askers 300] [--seconds 8]

The recording is a lecture of two hours with 3000 captions, a SMIL file of four renditions. For each kind of request, so many
askers repeat it without a pause, each over a connection of its own. Meanwhile one viewer fetches a live playlist fifty times a
second. Prints the viewer's times, the askers' responses by status, and the server's CPU. The askers share the machine with the
server, so the viewer runs at a higher priority if that is allowed. Needs ffmpeg and 1 GB of disk.
"""
import argparse
import http.client
import json
import multiprocessing as mp
import os
import random
import re
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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


def free():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    def __init__(self, amphi, folder, nas):
        self.web, media, admin = free(), free(), free()
        config = folder / "config.toml"
        config.write_text(f"""
[server]
listen = "127.0.0.1:{media}"
http_listen = "127.0.0.1:{self.web}"
admin_listen = "127.0.0.1:{admin}"
state_dir = "{folder}/state"
[[ladder]]
name = "lecture"
[[ladder.rung]]
name = "480p"
width = 854
height = 480
fps = 15
bitrate = 400000
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
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen([amphi, "run", config], stdout=self.log, stderr=self.log)
        until = time.time() + 60
        while time.time() < until:
            try:
                if get(self.web, "/Live/playlist.m3u8")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise SystemExit("the server does not begin: " + (folder / "log").read_text()[-800:])

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amphi", default=ROOT / "target/release/amphi")
    parser.add_argument("--askers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--nas", type=Path, help="a folder of an earlier run, or one to be filled")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        folder = Path(folder)
        nas = args.nas or folder / "nas"
        nas.mkdir(parents=True, exist_ok=True)
        if not (nas / "lecture.smil").exists():
            make(nas)
        server, rows = Server(args.amphi, folder, nas), []
        print(f"{args.askers} askers, {args.seconds:g} s each; live playlist in ms; load of the machine {os.getloadavg()[0]:.1f}")
        for name, paths in kinds(server.web).items():
            until, results, seen = time.time() + args.seconds, mp.Queue(), mp.Queue()
            viewer = mp.Process(target=view, args=(server.web, "/Live/chunklist_480p.m3u8", until, seen))
            asking = [mp.Process(target=ask, args=(server.web, paths, args.askers, until, results))] if paths else []
            begun = server.cpu()
            for process in [viewer, *asking]:
                process.start()
            (times, bad), statuses = seen.get(), results.get() if asking else Counter()
            cpu = server.cpu() - begun
            for process in [viewer, *asking]:
                process.join()
            times.sort()
            row = {"kind": name, "p50": statistics.median(times), "p99": times[int(len(times) * 0.99)], "max": times[-1],
                   "playlists": len(times), "bad": bad, "answers": {str(k): v for k, v in statuses.items()},
                   "cpu": cpu / args.seconds}
            rows.append(row)
            print(f"  {name:30} p50 {row['p50']:6.1f}  p99 {row['p99']:7.1f}  max {row['max']:7.1f}  of {len(times):4}, "
                  f"bad {bad}; {dict(statuses)}; {row['cpu']:.2f} CPU s/s", flush=True)
            time.sleep(1)
        server.stop()
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
