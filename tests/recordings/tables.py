"""The samples of a track: read from the tables of a plain mp4 (ISO/IEC 14496-12 §8.6, §8.7), and tables written from them."""
import struct
from dataclasses import dataclass, replace

from boxes import Box, Film, full, handler_of, timescale_of, track_id


@dataclass
class Sample:
    """One sample, in decode order. Times in ticks of the track."""
    data: bytes
    duration: int
    # Composition offset.
    shift: int
    sync: bool
    decode: int = 0


@dataclass
class Track:
    """A track with its samples in memory."""
    trak: Box
    samples: list

    @property
    def id(self):
        return track_id(self.trak)

    @property
    def handler(self):
        return handler_of(self.trak)

    @property
    def timescale(self):
        return timescale_of(self.trak)

    def retime(self):
        """Decode times that follow from the durations."""
        at = 0
        for sample in self.samples:
            sample.decode = at
            at += sample.duration
        return self


def runs(box, form, keep=1):
    """The values of a table of (count, value)."""
    if box is None:
        return []
    (count,) = box.get(4, ">I")
    pairs = struct.iter_unpack(form, box.body[8:8 + count * struct.calcsize(form)])
    return [pair[keep] for pair in pairs for _ in range(pair[0])]


def read_tracks(path):
    """All tracks of a plain mp4 with their samples."""
    film = Film.read(path)
    data = film.bytes()
    return film, [Track(trak, samples_of(trak, data)).retime() for trak in film.tracks()]


def samples_of(trak, data):
    stbl = trak.find("mdia/minf/stbl")
    size, count = stbl.find("stsz").get(4, ">II")
    sizes = [size] * count if size else list(stbl.find("stsz").get(12, f">{count}I"))
    table = stbl.find("stco") or stbl.find("co64")
    offsets = table.get(8, f">{table.get(4, '>I')[0]}{'I' if table.kind == b'stco' else 'Q'}")
    stsc = stbl.find("stsc")
    rows = [stsc.get(8 + 12 * row, ">III") for row in range(stsc.get(4, ">I")[0])]
    places, at = [], 0
    for chunk, offset in enumerate(offsets, 1):
        many = [row[1] for row in rows if row[0] <= chunk][-1]
        for _ in range(many):
            if at < count:
                places.append(offset)
                offset += sizes[at]
                at += 1
    durations = runs(stbl.find("stts"), ">II")
    shifts = runs(stbl.find("ctts"), ">Ii") or [0] * count
    stss = stbl.find("stss")
    syncs = set(stss.get(8, f">{stss.get(4, '>I')[0]}I")) if stss else range(1, count + 1)
    return [Sample(data[places[i]:places[i] + sizes[i]], durations[i], shifts[i], i + 1 in syncs) for i in range(count)]


def pairs(values):
    """Runs of equal values as (count, value)."""
    out = []
    for value in values:
        if out and out[-1][1] == value:
            out[-1][0] += 1
        else:
            out.append([1, value])
    return out


def table(kind, form, rows, version=0):
    return full(kind, version, 0, struct.pack(">I", len(rows)) + b"".join(struct.pack(form, *row) for row in rows))


def stts(durations, form=">II"):
    return table(b"stts", form, pairs(durations))


def ctts(shifts, version=0):
    return table(b"ctts", ">Ii" if version else ">II", pairs(shifts), version)


def stss(numbers):
    return table(b"stss", ">I", [[number] for number in numbers])


def stsz(sizes):
    return full(b"stsz", 0, 0, struct.pack(f">II{len(sizes)}I", 0, len(sizes), *sizes))


def stz2(sizes, bits):
    """Compact sample sizes (§8.7.3.3)."""
    if bits == 4:
        padded = sizes + [0] * (len(sizes) % 2)
        body = bytes(padded[i] << 4 | padded[i + 1] for i in range(0, len(padded), 2))
    else:
        body = struct.pack(f">{len(sizes)}{'B' if bits == 8 else 'H'}", *sizes)
    return full(b"stz2", 0, 0, struct.pack(">II", bits, len(sizes)) + body)


def copy_of(track):
    """A track whose samples may be changed."""
    return Track(track.trak, [replace(sample) for sample in track.samples])
