#!/usr/bin/env python3
"""What an RTMP player costs, compared with nginx and its RTMP module in the same run.

    cargo build --release && benches/rtmp.py [--players 500,2200,10000] [--rounds 3] [--seconds 30] [--stuck 1000]

The channel is live: a simulated hall, transcoded meanwhile. The servers, measured in turns, which send the same bytes:

  amphi       its best rung
  nginx-rtmp  the same rung, pushed to it by ffmpeg as it comes; one worker, as its manual has it
  nginx-push  the same with a worker for each core, which push the stream to each other (`rtmp_auto_push`)

`amphi loadtest rtmp://...` plays. Told are, for the time when all players play:

* the server's CPU: of the whole process, and what players add to it;
* the delay: from the time that is burnt into a picture, as the hall sends it, to its being decoded by one of four more players
  (ffmpeg) that connect in the middle of the ramp. Coding is in it, and so is the way of the stream to nginx. Beside it, from the
  load test: how much later pictures come to all players than to the luckiest of them, by time stamps;
* the time from connecting to the first media;
* whether any player was too late: it stalled with a second in its buffer, or missed something.

Then so many players that never read are connected to Amphi beside a hundred that do. Needs nginx, libnginx-mod-rtmp and ffmpeg.
"""
import socket
import tempfile
import threading
import time
from pathlib import Path

from common import (OURS, Bench, ClockReader, Halls, Nginx, Players, faults, idle_cpu, live_server, quantiles, rss_mb, steady,
                    turns)

STREAM = "Live_0/live_720p"
READERS = 4


def measure(server, address, pid, players, seconds, idle):
    ramp, url = max(5, players // 150), f"rtmp://{address}/{STREAM}"
    readers = []
    late = threading.Timer(ramp / 2, lambda: readers.extend(ClockReader(url) for _ in range(READERS)))
    late.start()
    row = steady(server, url, pid, players, seconds, idle, ramp=ramp)
    row["delay"] = quantiles([delay for reader in readers for delay in reader.delays()])
    for reader in readers:
        reader.end()
    report, delay = row["report"], row["delay"]
    behind = report["stalled_players"] or report["errors"]
    print(f"  {server:10} {players:6} players: whole {row['whole_ms_per_player_minute']:6.2f}, added "
          f"{row['added_ms_per_player_minute']:6.2f} ms/player-min, delay p50/p99 {delay.get('p50_ms', 0):.0f}/"
          f"{delay.get('p99_ms', 0):.0f} ms, behind the luckiest p50/p99 {report['lateness']['p50_ms']:.0f}/"
          f"{report['lateness']['p99_ms']:.0f} ms, start p99 {report['start']['p99_ms']:.0f} ms, {row['rss_mb']:.0f} MB, "
          + (f"BEHIND: {report['stalled_players']} players, errors {report['errors']}" if behind else "none behind"), flush=True)
    return row


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
        app, stream = (part.encode() for part in STREAM.split("/"))

        def command(to, payload):
            parts = [payload[at:at + 128] for at in range(0, len(payload), 128)]
            head = b"\x03\0\0\0" + len(payload).to_bytes(3, "big") + b"\x14" + to.to_bytes(4, "little")
            stuck.sendall(head + b"\xc3".join(parts))
        one = b"\x00" + bytes.fromhex("3ff0000000000000")
        command(0, text(b"connect") + one + b"\x03\0\x03app" + text(app) + b"\0\0\x09")
        command(0, text(b"createStream") + one + b"\x05")
        command(1, text(b"play") + one + b"\x05" + text(stream))
        # Read a little, to see that it plays.
        left = 8192
        while left > 0:
            left -= len(stuck.recv(left))
        return stuck

    def end(self):
        self.ending = True


def stuck(amphi, count, seconds):
    before = rss_mb(amphi.pid)
    crowd = Stuck(amphi.address("media"), count)
    time.sleep(15)
    report = Players(f"rtmp://{amphi.address('media')}/{STREAM}", 100, seconds, 3).report()
    del report["timeline"]
    during = rss_mb(amphi.pid)
    crowd.end()
    print(f"  {count} players that never read: {before:.0f} MB before, {during:.0f} MB with them; a hundred others: "
          f"{report['stalled_players']} fell behind, {faults(report)}", flush=True)
    return {"players": count, "rss_before_mb": before, "rss_mb": during, "report": report}


def main():
    bench = Bench("rtmp", __doc__, "nginx", "nginx-rtmp", "ffmpeg", rounds=3)
    bench.option("--players", default="500,2200")
    bench.option("--seconds", type=int, default=30)
    bench.option("--servers", default="amphi,nginx-rtmp,nginx-push")
    bench.option("--stuck", type=int, default=1000)
    options = bench.begin()
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        home.chmod(0o755)
        halls = Halls()
        amphi = live_server(home, halls)
        address = amphi.address("media")
        servers, ends = {OURS: (address, amphi.pid)}, [amphi.end, halls.end]
        for name in options.servers.split(","):
            if name == OURS:
                continue
            several = {} if name == "nginx-push" else {"workers": 1}
            nginx = Nginx(home, rtmp="application Live_0 { live on; }", auto_push=name == "nginx-push", name=name, **several)
            nginx.push(f"rtmp://{address}/{STREAM}", STREAM)
            servers[name], ends = (f"127.0.0.1:{nginx.ingest}", nginx.pid), [nginx.end, *ends]
        time.sleep(4)
        _, *idle = idle_cpu([pid for _, pid in servers.values()], max(4, min(10, options.seconds)))
        idle = dict(zip(servers, idle))
        rows = []
        for players in map(int, options.players.split(",")):
            for turn in range(options.rounds):
                for name in turns(servers, turn):
                    rows.append({"round": turn, **measure(name, *servers[name], players, options.seconds, idle[name])})
        never = stuck(amphi, options.stuck, options.seconds) if options.stuck else None
        for finish in ends:
            finish()
    bench.write(idle=idle, steady=rows, stuck=never)


if __name__ == "__main__":
    main()
