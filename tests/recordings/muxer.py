"""Writes samples as a plain or a fragmented mp4 (ISO/IEC 14496-12 §8.6 to §8.8) in any way that the standard, or a recorder,
knows: each oddity is an argument."""
import copy
import struct
from dataclasses import dataclass, field
from typing import Callable, Optional

from boxes import Box, Film, full, set_duration, set_edits
from tables import ctts, stss, stsz, stts, table

SYNC, NOT_SYNC = 0x02000000, 0x01010000


def plain(film, tracks, faststart=True, large=False, seconds=0.5, first="mdat", brand=None):
    """A file with one chunk per `seconds` of each track, interleaved; `large`: co64 (§8.7.5) and a 64-bit mdat."""
    moov = copy.deepcopy(film.moov)
    moov.children = [child for child in moov.children if child.kind not in (b"trak", b"mvex")]
    chunks = []
    for index, track in enumerate(tracks):
        place, at, run = 0.0, 0, []
        for sample in track.samples:
            if run and at / track.timescale - place >= seconds:
                chunks.append((place, index, run))
                place, run = at / track.timescale, []
            run.append(sample)
            at += max(sample.duration, 0)
        if run:
            chunks.append((place, index, run))
    chunks.sort(key=lambda chunk: chunk[:2])
    body, offsets, counts = bytearray(), [[] for _ in tracks], [[] for _ in tracks]
    for _, index, run in chunks:
        offsets[index].append(len(body))
        counts[index].append(len(run))
        body += b"".join(sample.data for sample in run)
    traks = [_with_tables(track, offsets[i], counts[i], large) for i, track in enumerate(tracks)]
    moov.append(*traks)
    mdat = Box(b"mdat", bytes(body))
    mdat.large = large
    ftyp = Box(b"ftyp", brand or film.find("ftyp").body)
    whole = Film([ftyp, moov, mdat] if faststart else [ftyp, mdat, moov])
    at = sum(map(len, whole.children[:whole.children.index(mdat)])) + mdat.head_len
    for trak in traks:
        name, form = ("co64", "Q") if large else ("stco", "I")
        box = trak.find(f"mdia/minf/stbl/{name}")
        count = box.get(4, ">I")[0]
        box.put(8, f">{count}{form}", *(at + offset for offset in box.get(8, f">{count}{form}")))
    return whole


def _with_tables(track, offsets, counts, large):
    trak = copy.deepcopy(track.trak)
    stbl = trak.find("mdia/minf/stbl")
    kept = [child for child in stbl.children if child.kind in (b"stsd", b"sgpd", b"sbgp")]
    rows = [(chunk, count, 1) for chunk, count in enumerate(counts, 1) if chunk == 1 or counts[chunk - 2] != count]
    samples = track.samples
    stbl.children = [kept[0], stts([sample.duration & 0xFFFFFFFF for sample in samples])]
    if any(sample.shift for sample in samples):
        stbl.append(ctts([sample.shift for sample in samples], int(any(sample.shift < 0 for sample in samples))))
    if not all(sample.sync for sample in samples):
        stbl.append(stss([number for number, sample in enumerate(samples, 1) if sample.sync]))
    stbl.append(table(b"stsc", ">III", rows), stsz([len(sample.data) for sample in samples]))
    stbl.append(table(b"co64" if large else b"stco", ">Q" if large else ">I", [[offset] for offset in offsets]), *kept[1:])
    set_duration(trak.find("mdia/mdhd"), sum(max(sample.duration, 0) for sample in samples))
    return trak


@dataclass
class Fragments:
    """How fragments are written."""
    seconds: float = 1.0
    # 32, 64: the version of tfdt; None: there is none.
    tfdt: Optional[int] = 64
    # "moof": default-base-is-moof; "offset": base-data-offset; "before": neither, so from the moof or the data before it.
    base: str = "moof"
    # Where sync is said: "first": first-sample-flags; "each": every sample's; "default": tfhd's alone.
    flags: str = "each"
    # Durations of samples: "each", "default" (tfhd), "trex" (trex alone), "none" (all zero).
    durations: str = "each"
    # One moof for all tracks, or one for each.
    apart: bool = False
    # Several runs for each track fragment.
    samples_a_run: int = 10 ** 9
    styp: bool = False
    sidx: bool = False
    empty_run: bool = False
    empty_moof: bool = False
    # Every run says where its data is, not only the first of a track fragment.
    data_offset: bool = True
    between: Optional[Callable] = None
    large: bool = False
    # What tfdt says of a decode time: f(handler, fragment's number, ticks, timescale).
    says: Callable = staticmethod(lambda handler, number, ticks, scale: ticks)
    # What is left out: f(handler, fragment's number).
    lost: Callable = staticmethod(lambda handler, number: False)
    # Durations that are written: f(handler, sample, last of its fragment).
    written: Callable = staticmethod(lambda handler, sample, last: sample.duration)
    sequence: Callable = staticmethod(lambda number: number)
    brand: bytes = b"iso6\0\0\0\0iso6mp41"
    extra: list = field(default_factory=list)


def fragmented(film, tracks, how=None, keep_edits=True):
    """The same samples in fragments."""
    how = how or Fragments()
    moov = copy.deepcopy(film.moov)
    moov.children = [child for child in moov.children if child.kind not in (b"trak", b"mvex")]
    mvex = Box(b"mvex", children=[])
    for track in tracks:
        trak = copy.deepcopy(track.trak)
        stbl = trak.find("mdia/minf/stbl")
        stbl.children = [stbl.find("stsd"), stts([]), table(b"stsc", ">III", []), stsz([]), table(b"stco", ">I", [])]
        for path in ("mdia/mdhd", "tkhd"):
            set_duration(trak.find(path), 0)
        edits = _edits_without_end(trak) if keep_edits else None
        set_edits(trak, edits)
        moov.append(trak)
        usual = track.samples[0].duration if how.durations == "trex" else 0
        flags = NOT_SYNC if track.handler == "vide" else SYNC
        mvex.append(full(b"trex", 0, 0, struct.pack(">IIIII", track.id, 1, usual, 0, flags)))
    set_duration(moov.find("mvhd"), 0)
    moov.append(mvex)
    out = Film([Box(b"ftyp", how.brand), moov, *how.extra])
    number = 0
    for index, parts in enumerate(zip(*(_split(track, tracks, how.seconds) for track in tracks))):
        named = [(track, part) for track, part in zip(tracks, parts) if part and not how.lost(track.handler, index)]
        for group in [[one] for one in named] if how.apart else [named]:
            if not group:
                continue
            number += 1
            boxes = _fragment(group, how, number, index)
            at = sum(map(len, out.children))
            extra = _between(how, group, index, boxes)
            _place(boxes, at + sum(map(len, extra)), how)
            out.children += extra + boxes
    return out


def _edits_without_end(trak):
    """Its edits, of which the last lasts for as long as fragments come (§8.6.6.1)."""
    elst = trak.find("edts/elst")
    if elst is None:
        return None
    entries = [elst.get(8 + 12 * row, ">Ii") for row in range(elst.get(4, ">I")[0])]
    return [(0 if row + 1 == len(entries) else entry[0], entry[1], 1) for row, entry in enumerate(entries)]


def _split(track, tracks, seconds):
    """A track's samples, cut at the sync samples of the picture, or at the same times."""
    lead = next((it for it in tracks if it.handler == "vide"), tracks[0])
    times, last = [0], 0
    for sample in lead.samples:
        if sample.sync and sample.decode - last >= seconds * lead.timescale * 0.99:
            last = sample.decode
            times.append(last)
    cut = [time * track.timescale / lead.timescale for time in times] + [float("inf")]
    return [[s for s in track.samples if cut[i] <= s.decode < cut[i + 1]] for i in range(len(times))]


def _between(how, group, index, boxes):
    extra = [Box(b"styp", b"msdh\0\0\0\0msdhmsix")] if how.styp else []
    if how.sidx:
        track, part = group[0]
        ticks, size = sum(sample.duration for sample in part), sum(map(len, boxes))
        extra.append(full(b"sidx", 1, 0, struct.pack(">IIQQHHIII", track.id, track.timescale, part[0].decode, 0, 0, 1, size,
                                                     ticks, 0x90000000)))
    if how.empty_moof:
        extra.append(Box(b"moof", children=[full(b"mfhd", 0, 0, struct.pack(">I", 0))]))
    return extra + (how.between(index) if how.between else [])


def _fragment(group, how, number, index):
    moof = Box(b"moof", children=[full(b"mfhd", 0, 0, struct.pack(">I", how.sequence(number)))])
    mdat = Box(b"mdat", b"".join(sample.data for _, part in group for sample in part))
    mdat.large = how.large
    for track, part in group:
        traf = Box(b"traf", children=[_tfhd(track, part, how)])
        if how.tfdt:
            ticks = how.says(track.handler, index, part[0].decode, track.timescale)
            form, version = (">Q", 1) if how.tfdt == 64 else (">I", 0)
            traf.append(full(b"tfdt", version, 0, struct.pack(form, ticks)))
        if how.empty_run:
            traf.append(full(b"trun", 0, 0, struct.pack(">I", 0)))
        for at in range(0, len(part), how.samples_a_run):
            traf.append(_trun(track.handler, part[at:at + how.samples_a_run], part[-1], how, at == 0 or how.data_offset))
        moof.append(traf)
    return [moof, mdat]


def _tfhd(track, part, how):
    flags, body = 0x020000 if how.base == "moof" else 0, b""
    if how.base == "offset":
        flags, body = flags | 1, bytes(8)
    if how.durations == "default":
        flags, body = flags | 8, body + struct.pack(">I", part[0].duration)
    if how.flags in ("first", "default"):
        later = SYNC if part[-1].sync and len(part) > 1 or track.handler != "vide" else NOT_SYNC
        flags, body = flags | 0x20, body + struct.pack(">I", SYNC if how.flags == "default" else later)
    return full(b"tfhd", 0, flags, struct.pack(">I", track.id) + body)


def _trun(handler, part, last, how, placed):
    flags = 0x201 if placed else 0x200
    body = struct.pack(">I", len(part)) + (bytes(4) if placed else b"")
    if how.durations in ("each", "none"):
        flags |= 0x100
    if how.flags == "each":
        flags |= 0x400
    elif how.flags == "first" and handler == "vide" and part[0].sync:
        flags |= 4
        body += struct.pack(">I", SYNC)
    if any(sample.shift for sample in part):
        flags |= 0x800
    for sample in part:
        if flags & 0x100:
            body += struct.pack(">I", 0 if how.durations == "none" else how.written(handler, sample, sample is last))
        body += struct.pack(">I", len(sample.data))
        if flags & 0x400:
            body += struct.pack(">I", SYNC if sample.sync else NOT_SYNC)
        if flags & 0x800:
            body += struct.pack(">i", sample.shift)
    return full(b"trun", int(any(sample.shift < 0 for sample in part)), flags, body)


def _place(boxes, at, how):
    """Writes where the data of each run is; boxes are at byte `at` of the file."""
    moof, mdat = boxes
    data = len(moof) + mdat.head_len
    base = 0
    for traf in moof.all("traf"):
        if how.base == "offset":
            traf.find("tfhd").put(8, ">Q", at)
        if how.base == "before" and data > len(moof) + mdat.head_len:
            # §8.8.7.1: from the end of the data of the track fragment before it.
            base = data
        for trun in traf.all("trun"):
            (flags,), (count,) = trun.get(0, ">I"), trun.get(4, ">I")
            if not flags & 0xFFFFFF:
                continue
            if flags & 1:
                trun.put(8, ">i", data - base)
            rest = 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
            fields = [bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800)]
            width, place = 4 * sum(fields), 4 * fields[0]
            data += sum(trun.get(rest + row * width + place, ">I")[0] for row in range(count))
