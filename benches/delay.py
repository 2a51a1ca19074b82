#!/usr/bin/env python3
"""How late a live picture reaches an RTMP player.

    cargo build --release && benches/delay.py [--seconds 30]

A player (this script, over a bare socket) records when each message of the best rung of a channel of `amphi demo` arrives.
The time stamp of a message, relative to the wall-clock slot of the first picture, says when it was due. RTMP's clock begins
at the start of an unknown cell, so delays are known only modulo the cell of two seconds; the first message of each cell must
be an IDR picture. Prints the median and the worst delay of pictures and of sound.
"""
import argparse
import socket
import struct
import time

from live import Amphi


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


def told(name, late):
    late = sorted(late)
    print(f"{name}: median {late[len(late) // 2] * 1000:.0f} ms, nine in ten within "
          f"{late[len(late) * 9 // 10] * 1000:.0f} ms, worst {late[-1] * 1000:.0f} ms, {len(late)} messages")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=int, default=30)
    arguments.add_argument("--service", default="media")
    arguments = arguments.parse_args()
    anywhere = "127.0.0.1:0"
    demo = Amphi(["demo", "--listen", anywhere, "--http-listen", anywhere, "--admin-listen", anywhere])
    try:
        address = demo.address(arguments.service)
        time.sleep(15)
        player = Player(address, "Live_PAES", "live_720p")
        begun, offset, late = time.time(), None, {8: [], 9: []}
        while time.time() < begun + arguments.seconds:
            type_id, at, payload = player.message()
            now = time.time()
            configuration = len(payload) > 1 and payload[1] == 0
            if type_id not in late or configuration:
                continue
            if type_id == 9 and payload[0] >> 4 == 1 and offset is None:
                # A cell's first picture is due at the cell's start in unix time; take the newest cell before now.
                offset = now // 2 * 2 - at / 1000
            # The first cell comes all at once, so it is not counted.
            if offset is not None and now > begun + 3:
                late[type_id].append(now - (at / 1000 + offset))
        told("pictures", late[9])
        told("sound", late[8])
    finally:
        demo.end()


if __name__ == "__main__":
    main()
