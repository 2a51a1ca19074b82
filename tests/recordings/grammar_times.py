"""Times: variable rates, negative durations, odd timescales, headers that say something else than the tables."""
import struct

from boxes import set_duration, set_edits
from grammar import add, base, copied, edited, in_fragments, remuxed
from muxer import Fragments
from shape import ALL
from tables import pairs, table


def scaled(over, under, handler="vide"):
    """The same times in other ticks: mdhd's timescale is multiplied by over/under."""
    def change(film):
        from boxes import timescale_of
        trak = film.track(handler)
        mdhd = trak.find("mdia/mdhd")
        mdhd.put(12, ">I", timescale_of(trak) * over // under)
        stts = trak.find("mdia/minf/stbl/stts")
        rows = [stts.get(8 + 8 * row, ">II") for row in range(stts.get(4, ">I")[0])]
        stts.body = table(b"stts", ">II", [(count, delta * over // under) for count, delta in rows]).body
        elst = trak.find("edts/elst")
        if elst is not None:
            media = elst.get(12, ">i")[0]
            elst.put(12, ">i", media * over // under)
    return change


def durations(change, handler="vide"):
    """The durations of a track's samples, changed: f(index, duration)."""
    def apply(tracks):
        for track in tracks:
            if track.handler == handler:
                for index, sample in enumerate(track.samples):
                    sample.duration = change(index, sample.duration)
                track.retime()
                lasting(track)
    return apply


def lasting(track):
    """An edit for all of the track, in milliseconds as ffmpeg's movies count."""
    elst = track.trak.find("edts/elst")
    ticks = sum(sample.duration for sample in track.samples)
    set_edits(track.trak, [(max(ticks, 0) * 1000 // track.timescale, elst.get(12, ">i")[0] if elst else 0, 1)])


def pictures(rule):
    return remuxed(durations(rule))


def describe():
    def t(name, make, says, **expected):
        add("times", name, make, says, **expected)

    t("vfr", pictures(lambda index, ticks: ticks * (1 + index % 4)), "a variable rate: 40 to 160 ms a picture", longest=10.1, sample=True,
      browser=True)
    t("vfr_still", pictures(lambda index, ticks: 20 * 12800 if index == 60 else ticks), "a picture that stands for 20 s", longest=24.1)
    t("vfr_two_rates", pictures(lambda index, ticks: ticks if index < 75 else ticks // 2), "25, then 50 pictures a second")
    t("stts_negative", pictures(lambda index, ticks: -ticks if index == 60 else ticks), "one negative duration (a clock set back)",
      sample=True, browser=True, loose=1)
    t("stts_negative_large", pictures(lambda index, ticks: -12800 if index == 60 else ticks), "a second back", loose=30)
    t("stts_zeros", pictures(lambda index, ticks: 0 if index % 10 == 9 else ticks), "every tenth duration is 0", loose=3)
    t("stts_last_zero", pictures(lambda index, ticks: 0 if index == 149 else ticks), "the last duration is 0")
    t("stts_last_huge", pictures(lambda index, ticks: 20 * 12800 if index == 149 else ticks), "the last picture lasts 20 s", longest=24.1)
    t("stts_short", edited(_fewer), "stts has ten samples less than stsz", loose=10, reference=base())
    t("stts_more", edited(_more), "stts has a thousand samples more than stsz", reference=base())
    t("stts_one_each", edited(_one_each), "an entry of stts for each sample")
    t("stts_sound_odd", remuxed(durations(lambda index, ticks: ticks + (index % 3 - 1), "soun")), "sound's durations jitter by a tick")
    t("stts_sound_gap", remuxed(durations(lambda index, ticks: ticks + 48000 * (index == 140), "soun")), "sound pauses for a second within stts",
      reference=base(), spans=ALL, sound_spans=((0, 2.9, 0), (3.1, 6, 4.1)))
    t("sound_slow", edited(lambda film: film.track("soun").find("mdia/mdhd").put(12, ">I", 47990)),
      "sound's timescale is a little less than its rate (it drifts)")
    t("scale_1000", edited(scaled(1000, 12800)), "40 ticks a picture")
    t("scale_25", edited(scaled(25, 12800)), "25 ticks a second")
    t("scale_90000", edited(scaled(90000, 12800)), "90 kHz")
    t("scale_10m", edited(scaled(10_000_000, 12800)), "10 MHz (Smooth Streaming)")
    t("scale_1g", edited(scaled(1_000_000_000, 12800)), "nanoseconds")
    t("scale_sound_90000", in_fragments(Fragments(), _sound_90000), "sound in ticks of 90 kHz", reference=base())
    t("duration_unknown", edited(lambda film: [set_duration(film.find("moov/mvhd"), 0xFFFFFFFF)] +
                                 [set_duration(trak.find(path), 0xFFFFFFFF) for trak in film.tracks() for path in ("tkhd", "mdia/mdhd")]),
      "all durations are unknown (0xffffffff)", reference=base())
    t("duration_zero", edited(lambda film: [set_duration(film.find("moov/mvhd"), 0)] +
                              [set_duration(trak.find(path), 0) for trak in film.tracks() for path in ("tkhd", "mdia/mdhd")]),
      "all durations are 0", reference=base())
    t("duration_short", edited(lambda film: set_duration(film.track("vide").find("mdia/mdhd"), 12800)), "mdhd says 1 s of 6", reference=base())
    t("headers_64", edited(_headers_64), "mvhd, tkhd and mdhd of version 1", reference=base())
    t("ctts_version_1", in_fragments(Fragments(), _lowered, "h264_b", keep_edits=False), "negative composition offsets", reference=base("h264_b"),
      sound_spans=((0, 6, 1024 / 48000),))
    t("ctts_negative", remuxed(_lowered, "h264_b", after=_no_edits_of_picture), "ctts of version 1 with negative offsets, no edit list",
      reference=base("h264_b"))
    t("ctts_zero", edited(lambda film: film.stbl("vide").append(table(b"ctts", ">II", [(150, 0)]))), "ctts of zeros")
    t("ctts_shifted", edited(lambda film: film.stbl("vide").append(table(b"ctts", ">II", [(150, 12800)]))),
      "all pictures are shown a second after they are decoded; the edit of six seconds ends five seconds into them",
      reference=base(), spans=((0, 5, 1),), sound_spans=ALL)
    t("rate_1", copied(rate=1), "one picture a second (slides)", longest=26)
    t("rate_60", copied(rate=60), "60 pictures a second")
    t("rate_ntsc", copied(rate="30000/1001"), "29.97 pictures a second")


def _rows(box, form=">II"):
    size = struct.calcsize(form)
    return [box.get(8 + size * row, form) for row in range(box.get(4, ">I")[0])]


def _fewer(film):
    stts = film.stbl("vide").find("stts")
    stts.body = table(b"stts", ">II", [(140, _rows(stts)[0][1])]).body


def _more(film):
    stts = film.stbl("vide").find("stts")
    stts.body = table(b"stts", ">II", _rows(stts) + [(1000, 512)]).body


def _one_each(film):
    for handler in ("vide", "soun"):
        stts = film.stbl(handler).find("stts")
        stts.body = table(b"stts", ">II", [(1, delta) for count, delta in _rows(stts) for _ in range(count)]).body


def _sound_90000(tracks):
    sound = tracks[1]
    sound.trak.find("mdia/mdhd").put(12, ">I", 90000)
    for sample in sound.samples:
        sample.duration = sample.duration * 90000 // 48000
    elst = sound.trak.find("edts/elst")
    elst.put(12, ">i", elst.get(12, ">i")[0] * 90000 // 48000)
    sound.retime()


def _headers_64(film):
    for box in [film.find("moov/mvhd")] + [trak.find(path) for trak in film.tracks() for path in ("tkhd", "mdia/mdhd")]:
        old = box.body
        flags = old[1:4]
        if box.kind == b"tkhd":
            made, changed, number, zero, ticks = struct.unpack_from(">IIIII", old, 4)
            box.body = b"\1" + flags + struct.pack(">QQIIQ", made, changed, number, zero, ticks) + old[24:]
        else:
            made, changed, scale, ticks = struct.unpack_from(">IIII", old, 4)
            box.body = b"\1" + flags + struct.pack(">QQIQ", made, changed, scale, ticks) + old[20:]


def _lowered(tracks):
    """Composition offsets that are negative for B pictures, so that the first is shown at 0."""
    for sample in tracks[0].samples:
        sample.shift -= 1024


def _no_edits_of_picture(film):
    from boxes import set_edits
    set_edits(film.track("vide"), None)

