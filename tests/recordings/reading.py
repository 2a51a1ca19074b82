"""What ffmpeg reads: pictures as hashes with their times, sound on one timeline; and how two readings differ."""
import array
import difflib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from operator import mul

# Samples a second of sound that is compared.
RATE = 16000
# Seconds of sound that are kept: half an hour. What begins at some absurd time would fill the disk with silence.
SOUND_MAX = 1800
BYTES_MAX = SOUND_MAX * RATE * 2
WINDOW = RATE // 8


@dataclass
class Reading:
    """Times in seconds; sound begins at 0, with silence where there is none."""
    pictures: list = field(default_factory=list)
    sounds: list = field(default_factory=list)
    said: str = ""


def streams(path, options=()):
    """The streams of a file as ffprobe lists them."""
    done = subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_streams", *options, str(path)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout or b"{}").get("streams", [])


def picture_of(listed):
    """The index of the first picture that is no cover."""
    for stream in listed:
        if stream.get("codec_type") == "video" and not stream["disposition"].get("attached_pic"):
            return stream["index"]
    return None


def longest_group(path, picture):
    """Seconds between key frames at most: no segment can be shorter."""
    done = subprocess.run(["ffprobe", "-v", "error", "-select_streams", str(picture), "-show_entries", "packet=pts_time,flags", "-of",
                           "csv=p=0", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    rows = [line.split(",") for line in done.stdout.splitlines() if line[:1].isdigit()]
    times = [float(row[0]) for row in rows if "K" in row[1]] + [float(row[0]) for row in rows[-1:]]
    return max((after - before for before, after in zip(times, times[1:])), default=0.0)


def sounds_of(listed):
    return [stream["index"] for stream in listed if stream.get("codec_type") == "audio"]


def read(path, picture, sounds, options=(), at_most=None, later=0.0, timeout=60):
    """Decodes streams `picture` (an index, "v" or None) and `sounds` of a file or URL."""
    if picture is None and not sounds:
        return Reading()
    with tempfile.TemporaryDirectory(prefix="amphi_read_") as folder:
        words = ["ffmpeg", "-v", "error", "-nostdin", "-copyts", "-noautorotate", *options, "-i", str(path)]
        limit = ["-t", str(at_most)] if at_most else []
        if picture is not None:
            words += ["-map", f"0:{picture}", "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-threads", "1",
                      *limit, "-f", "framemd5", f"{folder}/v"]
        for index, sound in enumerate(sounds):
            words += ["-map", f"0:{sound}", "-ac", "1", "-af", f"aresample={RATE}:async=1:min_hard_comp=0.03:first_pts=0",
                      *limit, "-fs", str(BYTES_MAX), "-f", "s16le", f"{folder}/{index}"]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=timeout)
            out = Reading(said=done.stderr.decode(errors="replace").strip()[-300:])
        except subprocess.TimeoutExpired:
            out = Reading(said=f"not at its end after {timeout} s")
        if picture is not None:
            out.pictures = _pictures(f"{folder}/v", later)
        for index in range(len(sounds)):
            out.sounds.append(_pcm(f"{folder}/{index}", later))
        return out


def _pictures(path, later):
    out, tick = [], 1.0
    try:
        lines = open(path).read().splitlines()
    except OSError:
        return out
    for line in lines:
        if line.startswith("#tb"):
            over, under = line.split(":")[1].split("/")
            tick = int(over) / int(under)
        elif line and line[0] != "#":
            columns = [column.strip() for column in line.split(",")]
            if len(columns) >= 6:
                out.append((int(columns[2]) * tick + later, columns[5]))
    return out


def _pcm(path, later):
    out = array.array("h")
    try:
        data = open(path, "rb").read()
    except OSError:
        return out
    out.frombytes(data[:len(data) // 2 * 2])
    if sys.byteorder == "big":
        out.byteswap()
    if later > 0:
        out = array.array("h", bytes(2 * round(min(later, SOUND_MAX) * RATE))) + out
    elif later < 0:
        out = out[round(-later * RATE):]
    return out


def expected_pictures(pictures, spans):
    """What is shown of `pictures` when it is played as `spans` say: [(from, to, at)]."""
    return [(time - start + at, hash_) for start, end, at in spans for time, hash_ in pictures if start - 1e-6 <= time < end - 1e-6]


def shown(pictures):
    """What can be seen: no picture that another follows within 2.5 ms (a server may send those that others need for decoding so),
    and none that is the one before it once more (a picture that is held in pieces)."""
    ordered = sorted(pictures, key=lambda it: it[0])
    later = [time for time, _ in ordered[1:]] + [float("inf")]
    seen = [it for it, after in zip(ordered, later) if after - it[0] >= 0.0025]
    return [it for number, it in enumerate(seen) if number == 0 or it[1] != seen[number - 1][1]]


@dataclass
class Pictures:
    """How pictures differ from what is expected."""
    missing: int
    # Before the first, and elsewhere.
    before: int
    extra: int
    shift: float
    off: float

    @property
    def exact(self):
        return self.missing == 0 and self.extra == 0


def compare_pictures(expected, ours, unsure=0):
    """`unsure`: so many pictures at the beginning may come at any time."""
    expected, ours = shown(expected), shown(ours)
    matcher = difflib.SequenceMatcher(None, [it[1] for it in expected], [it[1] for it in ours], autojunk=False)
    pairs = [(expected[one + i][0], ours[two + i][0]) for one, two, size in matcher.get_matching_blocks() for i in range(size)]
    blocks = matcher.get_matching_blocks()
    before = blocks[0].b if pairs else 0
    # The first picture may wait for its time.
    if pairs and pairs[0][0] == expected[0][0] and pairs[0][1] < pairs[0][0] and len(pairs) > unsure:
        unsure = max(unsure, 1)
    off = sorted(time - wanted for wanted, time in pairs[unsure if len(pairs) > unsure else 0:])
    shift = off[len(off) // 2] if off else 0.0
    worst = max((abs(value - shift) for value in off), default=0.0)
    return Pictures(len(expected) - len(pairs), before, len(ours) - len(pairs) - before, shift, worst)


def _alike(one, power, other):
    other_power = sum(map(mul, other, other))
    return sum(map(mul, one, other)) / (power * other_power) ** 0.5 if other_power else 0.0


def lag(window, pcm, place, reach):
    """Where `window` is in `pcm` near `place`: seconds off, and how alike it is. A part of it is sought first."""
    at, found = round(place * RATE), 0
    for size, around in ((300, range(-reach, reach + 1)), (len(window), range(-1, 2))):
        part = window[:size]
        power, best, middle = sum(map(mul, part, part)), 0.0, found
        for by in around:
            start = at + middle + by
            if start < 0 or start + size > len(pcm):
                continue
            alike = _alike(part, power, pcm[start:start + size])
            if alike > best:
                best, found = alike, middle + by
    return found / RATE, best


@dataclass
class Sound:
    """How sound differs from what is expected."""
    # Seconds off at each place that was compared, less the pictures' shift.
    lags: list
    alike: float
    # Seconds that are missing at the end.
    short: float
    compared: int

    @property
    def off(self):
        return max(map(abs, self.lags), default=0.0)


def compare_sound(expected, ours, spans, shift, places=4, until=1e9):
    """`expected` is the reference's PCM; `ours` is compared where `spans` say that it plays."""
    lags, alike, compared, end = [], 1.0, 0, 0.0
    for start, stop, at in spans:
        stop = min(stop, len(expected) / RATE, start + until - at)
        end = max(end, at + stop - start)
        room = stop - start - WINDOW / RATE - 0.2
        for number in range(places if room > 0.3 else 1 if room > 0 else 0):
            place = start + 0.1 + room * number / max(places - 1, 1)
            window = expected[round(place * RATE):round(place * RATE) + WINDOW]
            if len(window) < WINDOW or max(map(abs, window)) < 200:
                continue
            compared += 1
            wanted = at + place - start + shift
            off, like = lag(window, ours, wanted, 120)
            if like < 0.8:
                wide = lag(window, ours, wanted, 6400)
                if wide[1] > like:
                    off, like = wide
            lags.append(off)
            alike = min(alike, like)
    return Sound(lags, alike, end + shift - len(ours) / RATE, compared)
