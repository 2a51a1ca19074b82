#!/usr/bin/env python3
"""What a viewer waits for: the first picture, a lecture that is connected, and how far behind the hall the picture is.

    cargo build --release && benches/startup.py [--rounds 5] [--seconds 10]

Three simulated halls are coded meanwhile (`amphi demo`), over loopback, in headless Chromium (hls.js, dash.js and its own HLS)
and ffmpeg (RTMP, RTSP). Told are

  click      from a click to the first picture on the screen; page and scripts are loaded before. Of a channel that is live, of one
             that shows its waiting picture, and of a recording that nobody has opened yet
  switching  from `PUT /api/v1/channels/<channel>/source`, as the console sends it, to the first picture of the hall in a player that
             plays meanwhile
  glass      from the time that is burnt into a picture by the hall to the moment at which it is on the screen: what hall, network,
             ladder, cells, delivery and the player's buffer add up to. ffmpeg shows pictures as they come, so over RTMP and RTSP a
             player's own buffer comes on top

Needs ffmpeg, Chromium, node, and `npm ci` in tests/browser.
"""
import json
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from common import ROOT, Bench, ClockReader, configured, delay_of, demo, get, number_of, quantiles, spread, start


class Browser:
    def __init__(self):
        if not (ROOT / "tests/browser/node_modules/playwright-core").exists():
            subprocess.run(["npm", "ci", "--prefix", ROOT / "tests/browser", "--no-audit", "--no-fund"], check=True)
        self.process = start(["node", ROOT / "benches/startup.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self.reply()

    def reply(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the browser has ended")
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def clicks(browser, server, rounds, folder):
    """Milliseconds from a click to the first picture."""
    channel = lambda name: lambda _: f"http://{server.http}/{name}/live/playlist.m3u8"
    nas = folder / "nas"
    nas.mkdir()
    recordings = configured(folder, f'[[vod]]\nname = "vod"\nroot = "{nas}"\n')

    def recording(turn):
        # A file that nobody has opened has no index yet.
        (nas / f"copy{turn}.mp4").write_bytes((ROOT / "fixtures/hall_a.mp4").read_bytes())
        return f"http://{recordings.http}/vod/mp4:copy{turn}.mp4/playlist.m3u8"
    rows, numbers = [], iter(range(1000))
    for what, url in (("a live channel", channel("Live_PAES")), ("a waiting channel", channel("Live_L2")),
                      ("a recording", recording)):
        for player in ("hls.js", "native"):
            times = [browser.ask(do="click", player=player, url=url(next(numbers)))["ms"] for _ in range(rounds)]
            good = [ms for ms in times if ms is not None]
            print(f"  {what}, {player}: first picture {spread(good, 0)} ms after the click"
                  + (f", {len(times) - len(good)} times none" if len(good) < len(times) else ""), flush=True)
            rows.append({"what": what, "player": player, "ms": times})
    recordings.end()
    return rows


def first_live(pictures, since):
    """When the clock of a hall is seen for the first time, and goes on. The waiting picture has none."""
    told = [(at, number) for at, number in pictures if at >= since]
    for (at, one), (_, two), (_, three) in zip(told, told[1:], told[2:]):
        if None not in (one, two, three) and two - one in (1, 2, 3) and three - two in (1, 2, 3):
            return at
    return None


def numbers(clocks):
    return [(at, number_of(blocks)) for at, blocks in clocks]


def switching(browser, server, rounds, seconds):
    """Seconds from connecting a hall to its first picture in a player."""
    admin, rows = server.address("admin"), []
    media, channel = server.address("media"), "Live_L2"
    source = f"http://{admin}/api/v1/channels/{channel}/source"
    for turn in range(rounds):
        get(source, "DELETE")
        reader = ClockReader(f"rtmp://{media}/{channel}/live_720p")
        browser.ask(do="watch", player="hls.js", url=f"http://{server.http}/{channel}/live/playlist.m3u8", settle=6, seconds=seconds)
        # Not always at the same place of a cell.
        time.sleep(0.37 * turn % 2)
        begun = time.time()
        get(source, "PUT", {"source": "PS-Amphi_B"})
        answered = time.time() - begun
        shown = browser.reply()
        row = {"round": turn, "answered_s": answered}
        for player, pictures in (("hls.js", numbers(shown["clocks"])), ("RTMP", reader.seen)):
            at = first_live(pictures, begun)
            row[player] = at and at - begun
        reader.end()
        rows.append(row)
    get(source, "DELETE")
    for player in ("hls.js", "RTMP"):
        good = [row[player] for row in rows if row[player]]
        print(f"  {player}: the hall's first picture {spread(good)} s after it was connected"
              + (f", {rounds - len(good)} times none within {seconds} s" if len(good) < rounds else ""), flush=True)
    return rows


def glass(browser, server, rounds, seconds):
    media, rows = server.address("media"), []
    ways = [("HLS", "hls.js", "playlist.m3u8"), ("HLS", "native", "playlist.m3u8"), ("DASH", "dash.js", "manifest.mpd"),
            ("RTMP", "ffmpeg", None), ("RTSP", "ffmpeg", None)]
    for turn in range(rounds):
        for protocol, player, name in ways:
            if name:
                url = f"http://{server.http}/Live_PAES/live/{name}"
                browser.ask(do="watch", player=player, url=url, settle=8, seconds=seconds)
                delays = [delay_of(number, at) * 1000 for at, number in numbers(browser.reply()["clocks"]) if number is not None]
            else:
                reader = ClockReader(f"{protocol.lower()}://{media}/Live_PAES/live_720p")
                time.sleep(ClockReader.BEGINS_S + seconds)
                reader.end()
                delays = reader.delays()
            rows.append({"round": turn, "protocol": protocol, "player": player, "delay": quantiles(delays)})
    for protocol, player, _ in ways:
        of = [row["delay"] for row in rows if (row["protocol"], row["player"]) == (protocol, player) and row["delay"]["count"]]
        text = f"{median(row['p50_ms'] for row in of) / 1000:.2f} s, at most {max(row['max_ms'] for row in of) / 1000:.2f} s" if of else "no clock was seen"
        print(f"  {protocol}, {player}: behind the hall by {text}", flush=True)
    return rows


def main():
    bench = Bench("startup", __doc__, "chromium", "ffmpeg")
    bench.option("--seconds", type=int, default=10)
    bench.option("--glass-rounds", type=int, default=2)
    options = bench.begin()
    with tempfile.TemporaryDirectory() as folder:
        server, browser = demo("--no-schedule"), Browser()
        time.sleep(12)
        print("click to the first picture:", flush=True)
        first = clicks(browser, server, options.rounds, Path(folder))
        print("a hall is connected:", flush=True)
        connected = switching(browser, server, options.rounds, max(12, options.seconds))
        print("glass to glass:", flush=True)
        behind = glass(browser, server, options.glass_rounds, options.seconds)
        browser.end()
        server.end()
    bench.write(clicks=first, switching=connected, glass=behind)


if __name__ == "__main__":
    main()
