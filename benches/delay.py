#!/usr/bin/env python3
"""How late a live picture reaches an RTMP player.

    cargo build --release && benches/delay.py [--seconds 30] [--rounds 3]

First by time stamps, with the player's own cost left out. A player (this script, over a bare socket) records when each message of the best rung of a channel of `amphi demo` arrives.
The time stamp of a message, relative to the wall-clock slot of the first picture, says when it was due. RTMP's clock begins
at the start of an unknown cell, so delays are known only modulo the cell of two seconds; the first message of each cell must
be an IDR picture. Then by the clock that is burnt into the hall's pictures: from the time that a picture tells, as the hall sends
it, to its being decoded by ffmpeg, over RTMP and RTSP. What players buffer before they show it comes on top (`startup.py`).
"""
import socket
import struct
import time

from common import Bench, ClockReader, demo, quantiles


def amf(*values):
    out = b""
    for value in values:
        if value is None:
            out += b"\x05"
        elif isinstance(value, str):
            out += b"\x02" + struct.pack(">H", len(value)) + value.encode()
        elif isinstance(value, dict):
            out += b"\x03"
            for key, entry in value.items():
                out += struct.pack(">H", len(key)) + key.encode() + amf(entry)
            out += b"\x00\x00\x09"
        else:
            out += b"\x00" + struct.pack(">d", value)
    return out


class Player:
    """The part of RTMP that a player needs."""

    def __init__(self, address, app, stream):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data, self.chunk, self.heads, self.parts = b"", 128, {}, {}
        self.socket.sendall(b"\x03" + bytes(1536))
        self.take(1 + 1536)
        self.socket.sendall(self.take(1536))
        self.send(0, amf("connect", 1, {"app": app, "tcUrl": f"rtmp://{address}/{app}"}))
        self.send(0, amf("createStream", 2, None))
        self.send(1, amf("play", 3, None, stream))

    def take(self, count):
        while len(self.data) < count:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError
            self.data += more
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def send(self, stream, payload):
        pieces = [payload[at:at + 128] for at in range(0, len(payload), 128)]
        head = b"\x03" + b"\x00\x00\x00" + struct.pack(">I", len(payload))[1:] + b"\x14" + struct.pack("<I", stream)
        self.socket.sendall(head + b"\xc3".join(pieces))

    def message(self):
        while True:
            first = self.take(1)[0]
            kind, channel = first >> 6, first & 63
            if channel < 2:
                channel = 64 + int.from_bytes(self.take(1 + channel), "little")
            at, length, type_id, delta = self.heads.get(channel, (0, 0, 0, 0))
            if kind < 3:
                head = self.take((11, 7, 3)[kind])
                stamp = int.from_bytes(head[:3], "big")
                if kind < 2:
                    length, type_id = int.from_bytes(head[3:6], "big"), head[6]
                if stamp == 0xFFFFFF:
                    stamp = struct.unpack(">I", self.take(4))[0]
                at, delta = (stamp, 0) if kind == 0 else (at + stamp, stamp)
            elif at >= 0xFFFFFF:
                self.take(4)
            part = self.parts.setdefault(channel, b"")
            part += self.take(min(self.chunk, length - len(part)))
            self.heads[channel], self.parts[channel] = (at, length, type_id, delta), part
            if len(part) == length:
                self.parts[channel] = b""
                if type_id == 1:
                    self.chunk = struct.unpack(">I", part)[0]
                else:
                    return type_id, at, part


def by_time_stamps(address, seconds):
    """Seconds that pictures (9) and sound (8) are late."""
    player = Player(address, "Live_PAES", "live_720p")
    begun, offset, late = time.time(), None, {8: [], 9: []}
    while time.time() < begun + seconds:
        try:
            type_id, at, payload = player.message()
        except EOFError:
            print("  the server has closed the connection: its player was too late", flush=True)
            break
        now = time.time()
        configuration = len(payload) > 1 and payload[1] == 0
        if type_id not in late or configuration:
            continue
        if type_id == 9 and payload[0] >> 4 == 1 and offset is None:
            # A cell's first picture is due at the cell's start in unix time; take the newest cell before now.
            offset = now // 2 * 2 - at / 1000
        # The first cell comes all at once, so it is not counted.
        if offset is not None and now > begun + 3:
            late[type_id].append((now - (at / 1000 + offset)) * 1000)
    player.socket.close()
    return late


def by_burnt_in_clock(url, seconds):
    reader = ClockReader(url)
    time.sleep(ClockReader.BEGINS_S + seconds)
    reader.end()
    return reader.delays()


def told(turn, protocol, what, delays):
    row = {"round": turn, "protocol": protocol, "what": what, "delay": quantiles(delays)}
    if delays:
        print(f"  {protocol} {what}: median {row['delay']['p50_ms']:.0f} ms, nine in ten within {row['delay']['p90_ms']:.0f} ms, "
              f"worst {row['delay']['max_ms']:.0f} ms, {len(delays)} times", flush=True)
    else:
        print(f"  {protocol} {what}: nothing came", flush=True)
    return row


def main():
    bench = Bench("delay", __doc__, "ffmpeg", rounds=3)
    bench.option("--seconds", type=int, default=30)
    options = bench.begin()
    server = demo("--no-schedule")
    address, rows = server.address("media"), []
    time.sleep(15)
    for turn in range(options.rounds):
        late = by_time_stamps(address, options.seconds)
        rows += [told(turn, "RTMP", "pictures, by time stamps", late[9]), told(turn, "RTMP", "sound, by time stamps", late[8])]
        for protocol in ("rtmp", "rtsp"):
            delays = by_burnt_in_clock(f"{protocol}://{address}/Live_PAES/live_720p", options.seconds)
            rows.append(told(turn, protocol.upper(), "pictures, by the burnt-in clock", delays))
    server.end()
    bench.write(rounds=rows)


if __name__ == "__main__":
    main()
