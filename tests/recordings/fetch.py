"""Fetches a recording over HLS and DASH as a player does: every playlist, every segment that is listed, and what is wrong
with them. The media are put together in files, one for each rendition."""
import re
import struct
import urllib.parse
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from amphi import SEGMENT_S, get
from boxes import Film, entries_of, handler_of, timescale_of, track_id

DASH = {"d": "urn:mpeg:dash:schema:mpd:2011"}


@dataclass
class Rendition:
    """The media of one playlist or representation."""
    path: str
    # Codecs by the sample entries of its initialization section: (handler, four letters).
    codecs: list
    language: str = ""
    # Seconds to add to the times in the file.
    later: float = 0.0
    # What a list says of the codecs.
    said: str = ""


@dataclass
class Fetched:
    """What a protocol has of a recording."""
    status: int = 200
    reason: str = ""
    picture: Rendition = None
    sounds: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    longest: float = 0.0
    seconds: float = 0.0


def codecs_of(init):
    """The tracks of an initialization section: (handler, sample entry, timescale, track_ID, ticks that its edit list takes away)."""
    film = Film.of(init)
    (movie,) = film.find("moov/mvhd").get(12, ">I")
    return [(handler_of(trak), _codec(entry), timescale_of(trak), track_id(trak), _edited(trak, movie))
            for trak in film.tracks() for entry in entries_of(trak.find("mdia/minf/stbl/stsd"))[:1]]


def _codec(entry):
    """The four letters of a sample entry, and for what is no MPEG-4 audio (0x40) its object type (ISO/IEC 14496-1 §7.2.6.6)."""
    at = entry.body.find(b"esds")
    if entry.kind != b"mp4a" or at < 0:
        return entry.kind.decode()
    # The ES descriptor (3), and in it the decoder configuration (4): tag, length in one to four bytes.
    rest = entry.body[at + 8:]
    for fixed in (3, 0):
        length = next(index for index in range(1, 5) if rest[index] < 0x80)
        rest = rest[length + 1 + fixed:]
    return "mp4a" if rest[0] == 0x40 else f"mp4a.{rest[0]:02x}"


def _edited(trak, movie):
    elst, ticks = trak.find("edts/elst"), 0
    for row in range(elst.get(4, ">I")[0] if elst else 0):
        duration, media = elst.get(8 + 20 * row, ">Qq") if elst.body[0] == 1 else elst.get(8 + 12 * row, ">Ii")
        if media >= 0:
            return ticks + media
        ticks -= duration * timescale_of(trak) // movie
    return ticks


def begins(segment, track):
    """When the first sample of a track in a segment is shown, in seconds; None if there is none."""
    first = None
    _, _, scale, wanted, edited = track
    for moof in Film.of(segment).all("moof"):
        for traf in moof.all("traf"):
            tfhd, tfdt = traf.find("tfhd"), traf.find("tfdt")
            if tfhd.get(4, ">I")[0] != wanted or tfdt is None:
                continue
            (at,) = tfdt.get(4, ">Q" if tfdt.body[0] == 1 else ">I")
            flags, offset = tfhd.get(0, ">I")[0], 8
            usual = 0
            for bit, size in ((1, 8), (2, 4), (8, 4)):
                if flags & bit:
                    usual = tfhd.get(offset, ">I")[0] if bit == 8 else usual
                    offset += size
            for trun in traf.all("trun"):
                (flags,), (count,) = trun.get(0, ">I"), trun.get(4, ">I")
                flags &= 0xFFFFFF
                place = 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
                for _ in range(count):
                    duration, shift = usual, 0
                    for bit in (0x100, 0x200, 0x400, 0x800):
                        if flags & bit:
                            value = struct.unpack_from(">i" if bit == 0x800 else ">I", trun.body, place)[0]
                            duration = value if bit == 0x100 else duration
                            shift = value if bit == 0x800 else shift
                            place += 4
                    first = at + shift if first is None else min(first, at + shift)
                    at += duration
    return None if first is None else (first - edited) / scale


def attributes(line):
    return {key: value.strip('"') for key, value in re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', line.split(":", 1)[1])}


def reason_of(body):
    found = re.search(r'"detail":"((?:[^"\\]|\\.)*)"', body.decode("utf-8", "replace"))
    return found[1] if found else body.decode("utf-8", "replace")[:200]


def hls(url, folder, whole=1e9):
    """`whole`: seconds that the recording is known to last; segments may not be longer."""
    status, body, _ = get(url)
    out = Fetched(status)
    if status != 200:
        out.reason = reason_of(body)
        return out
    variants, groups, said = [], [], None
    for line in body.decode().splitlines():
        if line.startswith("#EXT-X-STREAM-INF:"):
            said = attributes(line)
        elif line.startswith("#EXT-X-MEDIA:"):
            groups.append(attributes(line))
        elif line and line[0] != "#":
            variants.append((said, urllib.parse.urljoin(url, line)))
    for index, (said, uri) in enumerate(variants):
        found = _playlist(uri, folder, f"hls_{index}", out)
        if found is None:
            continue
        found.said = said.get("CODECS", "")
        kinds = [kind for kind, _ in found.codecs]
        if "vide" in kinds and out.picture is None:
            out.picture = found
        # A variant of sound alone beside others is the same sound again.
        if "soun" in kinds and (out.picture is found or out.picture is None) and "AUDIO" not in said:
            out.sounds.append(found)
    listed = set()
    for index, group in enumerate(it for it in groups if it["TYPE"] == "AUDIO"):
        # The same playlist in another group is the same sound.
        if group.get("URI") in listed:
            continue
        listed.add(group.get("URI"))
        if "URI" not in group:
            for found in out.sounds[:1] or ([out.picture] if out.picture else []):
                found.language = group.get("LANGUAGE", "")
                out.sounds += [found] if found not in out.sounds and any(kind == "soun" for kind, _ in found.codecs) else []
            continue
        found = _playlist(urllib.parse.urljoin(url, group["URI"]), folder, f"hls_a{index}", out)
        if found is not None:
            found.language = group.get("LANGUAGE", "")
            out.sounds.append(found)
    for group in (it for it in groups if it["TYPE"] == "SUBTITLES"):
        out.texts.append(_text(urllib.parse.urljoin(url, group["URI"]), group.get("LANGUAGE", ""), out))
    return out


def _text(uri, language, out):
    """The captions of a playlist of WebVTT."""
    status, body, _ = get(uri)
    text = ""
    if status != 200:
        out.faults.append(f"{status} for the subtitles' playlist")
        return language, text
    for line in body.decode().splitlines():
        if line and line[0] != "#":
            status, part, _ = get(urllib.parse.urljoin(uri, line))
            if status != 200:
                out.faults.append(f"{status} for subtitles that are listed")
            else:
                text += part.decode("utf-8", "replace")
    return language, text


def _playlist(uri, folder, name, out):
    status, body, _ = get(uri)
    if status != 200:
        out.faults.append(f"{status} for a playlist that is listed: {reason_of(body)[:80]}")
        return None
    text = body.decode()
    target = int(re.search(r"#EXT-X-TARGETDURATION:(\d+)", text)[1])
    data, length, at, map_, first, tracks = b"", 0.0, 0.0, None, None, []
    bad = []
    for line in text.splitlines():
        if line.startswith("#EXT-X-MAP:"):
            if map_ is not None:
                out.faults.append("several initialization sections")
            map_ = urllib.parse.urljoin(uri, attributes(line)["URI"])
            status, init, _ = get(map_)
            if status != 200:
                out.faults.append(f"{status} for an initialization section")
                return None
            data, tracks = init, codecs_of(init)
        elif line.startswith("#EXTINF:"):
            length = float(line[8:].split(",")[0])
            out.longest = max(out.longest, length)
            if length <= 0:
                out.faults.append("EXTINF is not above 0")
            # RFC 8216 §4.3.3.1: rounded to the nearest integer, it is at most the target duration.
            if int(length + 0.5) > target:
                out.faults.append(f"EXTINF {length:.3f} is above TARGETDURATION {target}")
        elif line and line[0] != "#":
            status, part, _ = get(urllib.parse.urljoin(uri, line))
            if status != 200:
                bad.append(status)
            else:
                data += part
                shown = min((begun for begun in (begins(part, track) for track in tracks) if begun is not None), default=None)
                if shown is not None:
                    first = shown if first is None else first
                    if abs(shown - first - at) > 0.2 and at > 0:
                        out.faults.append(f"a segment at {at:.2f} s by EXTINF begins at {shown - first:.2f} s")
            at += length
    if bad:
        out.faults.append(f"{len(bad)} listed segments are {sorted(set(bad))}")
    if "#EXT-X-ENDLIST" not in text:
        out.faults.append("no EXT-X-ENDLIST")
    out.seconds = max(out.seconds, at)
    path = f"{folder}/{name}.mp4"
    open(path, "wb").write(data)
    return Rendition(path, [track[:2] for track in tracks])


def seconds_of(text):
    """xs:duration, as far as days are not needed."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?", text)
    return int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 + float(found[3] or 0)


def dash(url, folder):
    status, body, _ = get(url)
    out = Fetched(status)
    if status != 200:
        out.reason = reason_of(body)
        return out
    mpd = ElementTree.fromstring(body)
    whole = seconds_of(mpd.get("mediaPresentationDuration"))
    out.seconds = whole
    periods = mpd.findall("d:Period", DASH)
    if len(periods) > 1:
        out.faults.append(f"{len(periods)} periods, which this judge does not put together")
    for number, period in enumerate(periods[:1]):
        start = seconds_of(period.get("start", "PT0S"))
        for set_ in period.iterfind("d:AdaptationSet", DASH):
            kind = set_.get("contentType") or set_.get("mimeType", "").split("/")[0]
            language = set_.get("lang", "")
            for index, representation in enumerate(set_.iterfind("d:Representation", DASH)):
                template = representation.find("d:SegmentTemplate", DASH)
                if template is None:
                    base = representation.find("d:BaseURL", DASH)
                    status, text, _ = get(urllib.parse.urljoin(url, base.text))
                    if status != 200:
                        out.faults.append(f"{status} for subtitles that are listed")
                    out.texts.append((language, text.decode("utf-8", "replace")))
                    continue
                name = f"dash_{number}_{set_.get('id')}_{index}"
                found = _representation(url, template, kind, whole, f"{folder}/{name}.mp4", start, out)
                if found is None:
                    continue
                found.language, found.said = language, representation.get("codecs", "")
                if kind == "video":
                    out.picture = out.picture or found
                else:
                    out.sounds.append(found)
    return out


def _representation(url, template, kind, whole, path, start, out):
    scale = int(template.get("timescale"))
    offset = int(template.get("presentationTimeOffset", 0))
    status, init, _ = get(urllib.parse.urljoin(url, template.get("initialization")))
    if status != 200:
        out.faults.append(f"{status} for an initialization section")
        return None
    tracks, data, at, first, bad = codecs_of(init), init, None, None, []
    for entry in template.iterfind(".//d:S", DASH):
        told = int(entry.get("t", at if at is not None else 0))
        if at is not None and told != at:
            out.faults.append(f"DASH {kind}: a hole of {(told - at) / scale:.2f} s at {at / scale:.2f} s")
        at = told
        first = at if first is None else first
        for _ in range(int(entry.get("r", 0)) + 1):
            status, part, _ = get(urllib.parse.urljoin(url, template.get("media").replace("$Time$", str(at))))
            if status != 200:
                bad.append(status)
            else:
                data += part
                shown = begins(part, tracks[0])
                if shown is not None and at > first and abs(shown - at / scale) > 0.1:
                    out.faults.append(f"DASH {kind}: the segment of {at / scale:.2f} s begins at {shown:.2f} s")
            at += int(entry.get("d"))
            out.longest = max(out.longest, int(entry.get("d")) / scale)
    if bad:
        out.faults.append(f"DASH {kind}: {len(bad)} listed segments are {sorted(set(bad))}")
    if at is None:
        out.faults.append(f"DASH {kind}: no segment")
        return None
    begin, end = (first - offset) / scale, (at - offset) / scale
    # Players skip to where the last buffer begins. Where one ends they wait for ever, unless all of the other is buffered.
    if begin > SEGMENT_S / 4:
        out.faults.append(f"DASH {kind}: begins at {begin:.2f} s of its period")
    if end < whole - (SEGMENT_S / 4 if kind == "video" else 25):
        out.faults.append(f"DASH {kind}: ends at {end:.2f} of {whole:.2f} s")
    open(path, "wb").write(data)
    return Rendition(path, [track[:2] for track in tracks], later=start - offset / scale)
