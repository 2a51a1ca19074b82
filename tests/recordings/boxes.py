"""Boxes of an mp4 file (ISO/IEC 14496-12 §4.2) that are read, changed and written again; offsets follow what has moved.

    film = Film.read(path)
    film.track("vide").find("mdia/minf/stbl/stss").body = stss([])
    film.write(other)

What does not belong here: what the tables of samples hold (tables.py), and which oddities are made (grammar.py).
"""
import struct
from pathlib import Path

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"udta", b"tref", b"dinf"}


class Box:
    """One box: either `body` or `children` holds its content."""

    def __init__(self, kind, body=b"", children=None, at=None):
        self.kind, self.body, self.children, self.at = kind, body, children, at
        self.large = self.to_the_end = False
        # A size that is not true, for damage.
        self.size = None

    def __repr__(self):
        return f"{self.kind.decode('latin-1')}[{len(self.children) if self.children is not None else len(self.body)}]"

    @property
    def head_len(self):
        return 16 if self.large else 8

    def __len__(self):
        return self.head_len + (len(self.body) if self.children is None else sum(map(len, self.children)))

    def find(self, path):
        """The first box at a path such as `mdia/minf/stbl`; `traf[1]` is the second of its kind."""
        name, _, rest = path.partition("/")
        found = self.all(name.split("[")[0])
        index = int(name.split("[")[1][:-1]) if "[" in name else 0
        if index >= len(found):
            return None
        return found[index].find(rest) if rest else found[index]

    def all(self, name):
        return [child for child in self.children or [] if child.kind == name.encode("latin-1")]

    def append(self, *boxes):
        self.children.extend(boxes)

    def before(self, name, box):
        """Puts `box` before the first child of that name, or at the end."""
        kinds = [child.kind for child in self.children]
        self.children.insert(kinds.index(name.encode()) if name.encode() in kinds else len(kinds), box)

    def drop(self, path):
        """Takes away the first box at a path; that it is there is what the recipe says."""
        folder, _, name = path.rpartition("/")
        parent = self.find(folder) if folder else self
        parent.children.remove(parent.find(name))

    def put(self, at, form, *values):
        """Overwrites fields of the body from byte `at` on."""
        data = struct.pack(form, *values)
        self.body = self.body[:at] + data + self.body[at + len(data):]

    def get(self, at, form):
        return struct.unpack_from(form, self.body, at)

    def bytes(self):
        body = self.body if self.children is None else b"".join(child.bytes() for child in self.children)
        if self.to_the_end:
            return struct.pack(">I4s", 0, self.kind) + body
        size = len(self) if self.size is None else self.size
        if self.large:
            return struct.pack(">I4sQ", 1, self.kind, size) + body
        return struct.pack(">I4s", size, self.kind) + body


def full(kind, version=0, flags=0, body=b""):
    """A box with version and flags (§4.2.2)."""
    return Box(kind, struct.pack(">I", version << 24 | flags) + body)


def parse(data, at=0, end=None):
    """The boxes of `data[at:end]`. What is no box at the end is kept as one of kind None."""
    boxes, end = [], len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, at + 8), 16
        to_the_end = size == 0
        size = end - at if to_the_end else size
        if size < head or at + size > end:
            break
        box = Box(kind, at=at)
        box.large, box.to_the_end = head == 16, to_the_end
        if kind in CONTAINERS:
            box.children = parse(data, at + head, at + size)
        else:
            box.body = data[at + head:at + size]
        boxes.append(box)
        at += size
    if at < end:
        boxes.append(Rest(data[at:end]))
    return boxes


class Rest(Box):
    """Bytes that are no box."""

    def __init__(self, body):
        super().__init__(b"\0\0\0\0", body)

    def __len__(self):
        return len(self.body)

    def bytes(self):
        return self.body


class Film(Box):
    """A whole file."""

    def __init__(self, children):
        super().__init__(b"file", children=children)

    @classmethod
    def read(cls, path):
        return cls.of(Path(path).read_bytes())

    @classmethod
    def of(cls, data):
        return cls(parse(data))

    @property
    def moov(self):
        return self.find("moov")

    def tracks(self):
        return self.moov.all("trak")

    def track(self, handler, index=0):
        """The track of that handler (§8.4.3), e.g. `vide`, `soun`."""
        return [it for it in self.tracks() if handler_of(it) == handler][index]

    def stbl(self, handler, index=0):
        return self.track(handler, index).find("mdia/minf/stbl")

    def bytes(self):
        self._move_offsets()
        return b"".join(child.bytes() for child in self.children)

    def write(self, path):
        Path(path).write_bytes(self.bytes())

    def _move_offsets(self):
        """Chunk offsets (§8.7.5), base and data offsets of fragments (§8.8.7, §8.8.8) follow their mdat."""
        moved, at = [], 0
        for child in self.children:
            if child.at is not None and child.kind == b"mdat":
                moved.append((child.at, child.at + len(child), at - child.at))
            at += len(child)

        def new(offset):
            return offset + next((by for start, end, by in moved if start <= offset < end), 0)

        for trak in self.moov.all("trak") if self.moov else []:
            stbl = trak.find("mdia/minf/stbl")
            for name, form in (("stco", "I"), ("co64", "Q")):
                for table in stbl.all(name) if stbl else []:
                    (count,) = table.get(4, ">I")
                    count = min(count, (len(table.body) - 8) // struct.calcsize(form))
                    offsets = table.get(8, f">{count}{form}")
                    table.put(8, f">{count}{form}", *map(new, offsets))
        at = 0
        for child in self.children:
            if child.kind == b"moof" and child.at is not None:
                for traf in child.all("traf"):
                    _move_fragment(traf, child.at, at, new)
            at += len(child)
        at = 0
        for child in self.children:
            child.at = at if child.at is not None else None
            at += len(child)


def _move_fragment(traf, old, now, new):
    tfhd = traf.find("tfhd")
    (flags,) = tfhd.get(0, ">I")
    base_old, base_now = old, now
    if flags & 1:
        (base_old,) = tfhd.get(8, ">Q")
        base_now = now if base_old == old else new(base_old)
        tfhd.put(8, ">Q", base_now)
    for trun in traf.all("trun"):
        if trun.get(0, ">I")[0] & 1:
            (offset,) = trun.get(8, ">i")
            trun.put(8, ">i", new(base_old + offset) - base_now)


def handler_of(trak):
    return trak.find("mdia/hdlr").body[8:12].decode("latin-1")


def head(box, after):
    """Where the fields of a header begin that has its times in 32 or 64 bits (mvhd, tkhd, mdhd): byte `after` of version 0."""
    return after + (8 if box.body[0] == 1 else 0)


def timescale_of(trak):
    mdhd = trak.find("mdia/mdhd")
    return mdhd.get(head(mdhd, 12), ">I")[0]


def language_of(text):
    """Three letters as mdhd packs them (§8.4.2.3)."""
    return sum(ord(letter) - 0x60 << shift for letter, shift in zip(text, (10, 5, 0)))


def set_language(trak, text):
    mdhd = trak.find("mdia/mdhd")
    mdhd.put(32 if mdhd.body[0] == 1 else 20, ">H", language_of(text))


def track_id(trak):
    tkhd = trak.find("tkhd")
    return tkhd.get(20 if tkhd.body[0] == 1 else 12, ">I")[0]


def set_track_id(trak, number):
    tkhd = trak.find("tkhd")
    tkhd.put(20 if tkhd.body[0] == 1 else 12, ">I", number)


def set_enabled(trak, enabled):
    """Bit 0 of tkhd's flags (§8.3.2)."""
    tkhd = trak.find("tkhd")
    tkhd.put(3, ">B", tkhd.body[3] & ~1 | enabled)


def set_duration(box, ticks):
    """The duration of mvhd, mdhd (at byte 16) or tkhd (at byte 20)."""
    at = 20 if box.kind == b"tkhd" else 16
    if box.body[0] == 1:
        box.put(at + 8, ">Q", ticks)
    else:
        box.put(at, ">I", ticks)


def edits(entries, version=0):
    """An edts box of (duration in movie ticks, media time or -1, rate as 16.16) (§8.6.6)."""
    form = ">Qqi" if version else ">Iii"
    body = b"".join(struct.pack(form, duration, media, int(rate * 65536)) for duration, media, rate in entries)
    return Box(b"edts", children=[full(b"elst", version, 0, struct.pack(">I", len(entries)) + body)])


def set_edits(trak, entries, version=0):
    trak.children = [child for child in trak.children if child.kind != b"edts"]
    if entries is not None:
        trak.before("mdia", edits(entries, version))


def entries_of(stsd):
    """The sample entries of an stsd (§8.5.2) as boxes whose body is not read further."""
    return parse(stsd.body, 8)


def set_entries(stsd, boxes, count=None):
    number = len(boxes) if count is None else count
    stsd.body = stsd.body[:4] + struct.pack(">I", number) + b"".join(box.bytes() for box in boxes)
