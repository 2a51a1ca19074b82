"""Edit lists (ISO/IEC 14496-12 §8.6.5, §8.6.6): what was cut out is not shown, what is empty is waited for."""
import struct

from boxes import set_edits, timescale_of
from grammar import add, base, edited, in_fragments

# Samples of ffmpeg's AAC encoder before the first that is heard.
PRIMING = 1024
WHOLE = 6000


def cut(*parts, version=0, tracks=("vide", "soun")):
    """Edits of (from, to) seconds; None for `from` is an empty edit of `to` seconds. Movie ticks are milliseconds."""
    def change(film):
        for handler in tracks:
            trak = film.track(handler)
            scale, first = timescale_of(trak), PRIMING if handler == "soun" else 0
            entries = [(round(to * 1000), -1, 1) if start is None else
                       (round((to - start) * 1000), round(start * scale) + first, 1) for start, to in parts]
            set_edits(trak, entries, version)
    return change


def spans(*parts):
    out, at = [], 0.0
    for start, to in parts:
        if start is None:
            at += to
        else:
            out.append((start, to, at))
            at += to - start
    return tuple(out)


def one(handler, entries):
    return lambda film: set_edits(film.track(handler), entries)


def describe():
    def e(name, make, says, **expected):
        add("edits", name, make, says, **expected)

    def cuts(name, says, *parts, **expected):
        expected.setdefault("reference", base())
        expected.setdefault("spans", spans(*parts))
        e(name, edited(cut(*parts)), says, **expected)

    e("edit_none", edited(lambda film: [set_edits(trak, None) for trak in film.tracks()]), "no edit lists: priming is heard")
    e("edit_none_b", edited(lambda film: [set_edits(trak, None) for trak in film.tracks()], "h264_b"),
      "B pictures without an edit list: the first is shown at 0.08 s")
    e("edit_sound_late", edited(one("soun", [(1000, -1, 1), (WHOLE, PRIMING, 1)])), "an empty edit: sound begins 1 s later",
      longest=3.1, browser=True)
    e("edit_picture_late", edited(one("vide", [(2000, -1, 1), (WHOLE, 0, 1)])), "an empty edit: the picture begins 2 s later",
      longest=4.1, browser=True, sample=True)
    e("edit_picture_late_5s", edited(one("vide", [(5000, -1, 1), (WHOLE, 0, 1)])), "the picture begins 5 s later")
    e("edit_two_empty", edited(one("vide", [(500, -1, 1), (700, -1, 1), (WHOLE, 0, 1)])), "two empty edits, one after the other",
      reference=base(), spans=((0, 9, 1.2),), sound_spans=((0, 9, 0),))
    e("edit_both_late", edited(lambda film: [set_edits(trak, [(3000, -1, 1), (WHOLE, PRIMING * (trak is film.tracks()[1]), 1)])
                                             for trak in film.tracks()]), "both tracks begin 3 s late", longest=6.1)
    cuts("edit_begin_key", "the first 2 s are cut off, at a sync sample", (2, 6))
    cuts("edit_begin_mid", "the first 1.52 s are cut off, between sync samples", (1.52, 6), lead_in=1.0)
    cuts("edit_end", "the last 2 s are cut off", (0, 4), browser=True)
    cuts("edit_both_ends", "from 1 s to 5 s", (1, 5))
    cuts("edit_middle_key", "2 s are cut out of the middle, at sync samples", (0, 2), (4, 6), sample=True, browser=True)
    cuts("edit_middle_twice", "two pieces are cut out", (0, 1), (2, 3), (5, 6))
    cuts("edit_middle_mid", "cut out between sync samples", (0, 1.52), (3.52, 6))
    cuts("edit_order", "three edits in another order", (4, 6), (0, 2), (2, 3))
    cuts("edit_again", "the same two seconds twice", (0, 2), (0, 2))
    cuts("edit_empty_middle", "an empty edit in the middle: a second of nothing", (0, 2), (None, 1), (2, 6))
    e("edit_version_1", edited(cut((1, 6), version=1)), "64-bit edits", reference=base(), spans=((1, 6, 0),))
    e("edit_b_middle", edited(lambda film: set_edits(film.track("vide"), [(2000, 1024, 1), (2000, 1024 + 4 * 12800, 1)]) or
                              set_edits(film.track("soun"), [(2000, PRIMING, 1), (2000, PRIMING + 4 * 48000, 1)]), "h264_b"),
      "B pictures, cut in the middle at a sync sample", reference=base("h264_b"), spans=((0, 2, 0), (4, 6, 2)), loose=2)
    e("edit_zero_duration", edited(lambda film: set_edits(film.track("vide"), [(0, 0, 1)]) or
                                   set_edits(film.track("soun"), [(0, PRIMING, 1)])), "edits of duration 0: to the end",
      reference=base())
    e("edit_count_lies", edited(lambda film: film.track("vide").find("edts/elst").put(4, ">I", 1000)),
      "an edit list that says it has a thousand entries", reference=base())
    e("edit_beyond", edited(one("soun", [(WHOLE, 48000 * 3600, 1)])), "a sound's edit that begins an hour behind its end",
      reference=base(), sounds=(), left_out=(("sound",),))
    e("edit_longer", edited(lambda film: set_edits(film.track("vide"), [(99000, 0, 1)])), "an edit that lasts longer than the track",
      reference=base())
    e("edit_rate_half", edited(one("vide", [(WHOLE, 0, 0.5)])), "a rate of one half, which no player obeys", reference=base())
    e("edit_dwell", edited(lambda film: set_edits(film.track("vide"), [(2000, 0, 1), (1000, 25600, 0), (4000, 25600, 1)])
                           or set_edits(film.track("soun"), [(2000, PRIMING, 1), (1000, -1, 1), (4000, PRIMING + 96000, 1)])),
      "a dwell (rate 0): the picture stands for a second", reference=base(),
      spans=((0, 2, 0), (2, 2.02, 2), (2.02, 6, 3.02)), sound_spans=((0, 2, 0), (2, 6, 3)))
    e("edit_sound_ahead", edited(one("soun", [(WHOLE, PRIMING + 24000, 1)])), "sound alone begins half a second into its track")
    e("edit_movie_timescale", edited(_other_timescale), "a movie timescale of 7 ticks a second: edits are rounded",
      reference=base(), spans=((1, 6, 0),))
    e("edit_no_elst", edited(lambda film: film.track("vide").find("edts").children.clear()), "edts without elst", reference=base())
    e("edit_cut_off", edited(lambda film: setattr(film.track("vide").find("edts/elst"), "body", struct.pack(">II", 0, 1))),
      "an edit list without its entry", reference=base())
    e("edit_sound_alone.m4a", edited(one("soun", [(2000, PRIMING + 96000, 1), (1000, PRIMING + 48000 * 5, 1)]), None, "aac"),
      "sound alone with two edits", picture=False, reference=base(None, "aac"), spans=((2, 4, 0), (5, 6, 2)))
    e("edit_frag_begin", in_fragments(change=None, picture="h264_b"), "in fragments: B pictures and priming by edits",
      reference=base("h264_b"))
    e("edit_frag_picture_late", _late_in_fragments, "in fragments: an empty edit before the picture",
      longest=4.1)


def _other_timescale(film):
    mvhd = film.find("moov/mvhd")
    mvhd.put(12, ">II", 7, 42)
    set_edits(film.track("vide"), [(35, 12800, 1)])
    set_edits(film.track("soun"), [(35, PRIMING + 48000, 1)])
    for trak in film.tracks():
        trak.find("tkhd").put(20, ">I", 42)


def _late_in_fragments(kit, path):
    from muxer import Fragments, fragmented
    from tables import read_tracks
    film, tracks = read_tracks(kit.both())
    set_edits(tracks[0].trak, [(2000, -1, 1), (0, 0, 1)])
    fragmented(film, tracks, Fragments()).write(path)
