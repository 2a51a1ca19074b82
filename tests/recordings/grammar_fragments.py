"""Fragments (ISO/IEC 14496-12 §8.8): what recorders write, and where they say when a fragment begins."""
import struct

from boxes import Box, full
from grammar import add, base, in_fragments
from muxer import Fragments
from shape import ALL


def later(handler, after, by):
    """tfdt says `by` seconds more for this handler (or all) from fragment `after` on."""
    return lambda found, number, ticks, scale: ticks + (round(by * scale) if handler in (found, None) and number >= after else 0)


def from_(seconds):
    return lambda found, number, ticks, scale: ticks + round(seconds * scale)


def guessed(handler, sample, last):
    """A recorder that guesses how long the last picture of a fragment lasts."""
    return sample.duration * 3 // 10 if last and handler == "vide" else sample.duration


def describe():
    def f(name, how, says, change=None, picture="h264", sound="aac", **expected):
        add("fragments", f"frag_{name}", in_fragments(how, change, picture, sound), says, **expected)

    def told(name, says, **expected):
        """The same pictures and sound as in the plain file, however the fragments are written."""
        how = expected.pop("how", {})
        picture, sound = expected.pop("picture", "h264"), expected.pop("sound", "aac")
        f(name, Fragments(**how), says, picture=picture, sound=sound, reference=base(picture, sound), **expected)

    told("tfdt_64", "tfdt in 64 bits")
    told("tfdt_32", "tfdt in 32 bits", how={"tfdt": 32})
    told("no_tfdt", "no tfdt: times are counted", how={"tfdt": None})
    told("styp_sidx", "styp and sidx before each fragment", how={"styp": True, "sidx": True})
    told("base_offset", "base-data-offset", how={"base": "offset"})
    told("base_before", "neither base: the second track's data counts from the end of the first's", how={"base": "before"})
    told("first_sample_flags", "first-sample-flags says what is sync", how={"flags": "first"})
    told("default_flags", "sound's flags by default, short groups", how={"flags": "first", "durations": "default"})
    told("trex_durations", "durations in trex alone", how={"durations": "trex"})
    told("empty_runs", "an empty trun in each fragment", how={"empty_run": True})
    told("empty_moofs", "a moof without tracks before each fragment", how={"empty_moof": True})
    told("many_runs", "seven samples a trun", how={"samples_a_run": 7})
    told("many_runs_no_offset", "later truns do not say where their data is", how={"samples_a_run": 7, "data_offset": False})
    told("apart", "a moof for each track", how={"apart": True})
    told("large_mdat", "mdat with a 64-bit size", how={"large": True})
    told("long", "fragments of three seconds", how={"seconds": 3}, longest=3.1)
    told("one", "a single fragment", how={"seconds": 1000})
    told("sequence_zero", "every mfhd has number 0", how={"sequence": lambda number: 0})
    told("sequence_back", "mfhd's numbers count down", how={"sequence": lambda number: 100 - number})
    told("between", "emsg, prft, free and unknown boxes between fragments",
         how={"between": lambda index: [Box(b"free", b"x" * index), full(b"emsg", 0, 0, b"urn:x\0\0" + bytes(16)),
                                        full(b"prft", 1, 0, struct.pack(">IQQ", 1, 1, 1)), Box(b"ZZZZ", b"")]})
    told("b_pictures", "B pictures", picture="h264_b")
    told("hevc", "HEVC in fragments", picture="hevc", codec="hevc")
    told("opus", "Opus in fragments", sound="opus", aac=False)

    gap = Fragments(says=later("vide", 3, 2.0))
    f("tfdt_gap", gap, "the picture pauses for 2 s: tfdt says so", browser=True, sample=True, reference=base(),
      spans=((0, 3, 0), (3, 6, 5)), sound_spans=ALL, longest=5.1)
    f("tfdt_gap_both", Fragments(says=later(None, 3, 2.0)), "picture and sound pause for 2 s", reference=base(),
      spans=((0, 3, 0), (3, 6, 5)), longest=5.1, sample=True, browser=True)
    f("tfdt_gap_first", Fragments(says=later(None, 1, 1.5)), "a pause of 1.5 s behind the first fragment", reference=base(),
      spans=((0, 1, 0), (1, 6, 2.5)), longest=4.1)
    f("tfdt_gap_sound", Fragments(says=later("soun", 3, 1.0)), "sound pauses for 1 s", reference=base(), spans=ALL,
      sound_spans=((0, 2.9, 0), (3.05, 6, 4.05)))
    f("tfdt_gaps_small", Fragments(says=lambda handler, number, ticks, scale: ticks + round(number * 0.15 * scale)),
      "each fragment begins 0.15 s later than the samples before it last", reference=base(),
      spans=tuple((n, n + 1, n * 1.15) for n in range(6)),
      sound_spans=tuple((n + 0.1, n + 0.9, n * 1.15 + 0.1) for n in range(6)))
    f("tfdt_gap_32", Fragments(tfdt=32, says=later("vide", 3, 2.0)), "the same pause with tfdt in 32 bits", reference=base(),
      spans=((0, 3, 0), (3, 6, 5)), sound_spans=ALL, longest=5.1)
    f("tfdt_overlap", Fragments(says=later("vide", 3, -0.02)), "the fourth fragment begins half a picture too early",
      reference=base(), spans=((0, 3, 0), (3, 6, 2.98)), sound_spans=ALL)
    f("lost", Fragments(lost=lambda handler, number: number == 2), "the third fragment was lost: tfdt goes on behind it",
      reference=base(), spans=((0, 2, 0), (3, 6, 3)), sound_spans=((0, 1.9, 0), (3.05, 6, 3.05)), longest=4.1)
    f("lost_picture", Fragments(lost=lambda handler, number: handler == "vide" and number == 2),
      "the third fragment has no pictures", reference=base(), spans=((0, 2, 0), (3, 6, 3)), sound_spans=ALL, longest=4.1)
    f("durations_guessed", Fragments(written=guessed), "the last duration of each fragment is guessed too short; tfdt is true",
      reference=base(), sample=True)
    f("durations_zero", Fragments(written=lambda handler, sample, last: 0 if last else sample.duration),
      "the last duration of each fragment is 0; tfdt is true", reference=base())
    f("from_1000s", Fragments(says=from_(1000)), "a recording of a live stream: tfdt begins at 1000 s", reference=base())
    f("from_1000s_32", Fragments(tfdt=32, says=from_(1000)), "the same with tfdt in 32 bits", reference=base())
    f("from_unix", Fragments(says=from_(1_700_000_000)), "tfdt counts from 1970", reference=base(), browser=True)
    f("from_half", Fragments(says=from_(0.5)), "all begins at 0.5 s", reference=base(), spans=((0, 6, 0.5),), lead_in=0.5)
    f("sound_from_1s", Fragments(says=lambda handler, number, ticks, scale: ticks + scale * (handler == "soun")),
      "sound's tfdt begins at 1 s", reference=base(), sound_spans=((0, 6, 1),))
    f("picture_from_1s", Fragments(says=lambda handler, number, ticks, scale: ticks + scale * (handler == "vide")),
      "the picture's tfdt begins at 1 s", reference=base(), spans=((0, 6, 1),), sound_spans=ALL)
    f("sound_apart_60s", Fragments(apart=True, says=from_(60)), "apart, from 60 s on", reference=base())
    add("fragments", "frag_mfra", _with_mfra, "mfra at the end", reference=base())
    add("fragments", "frag_sound_alone.mp4", in_fragments(Fragments(), None, None, "aac"), "sound alone in fragments", picture=False,
        reference=base(None, "aac"), sample=True)
    add("fragments", "frag_sound_alone_gap.mp4", in_fragments(Fragments(says=later("soun", 3, 2.0)), None, None, "aac"),
        "sound alone that pauses for 2 s", picture=False, reference=base(None, "aac"), spans=((0, 2.9, 0), (3.1, 6, 5.1)), longest=5.1)
    add("fragments", "frag_picture_alone.mp4", in_fragments(Fragments(), None, "h264", None), "pictures alone in fragments", sounds=(),
        reference=base("h264", None))


def _with_mfra(kit, path):
    in_fragments(Fragments())(kit, path)
    data = path.read_bytes()
    at = data.index(b"moof") - 4
    tfra = full(b"tfra", 1, 0, struct.pack(">IIIQQBBB", 1, 0, 1, 0, at, 1, 1, 1))
    mfro = full(b"mfro", 0, 0, struct.pack(">I", 8 + len(tfra) + 16))
    path.write_bytes(data + Box(b"mfra", tfra.bytes() + mfro.bytes()).bytes())
