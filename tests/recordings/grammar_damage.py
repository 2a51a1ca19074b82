"""Damage: one odd track or table, tables that lie, files that are cut off, and files that are none."""
import struct

from boxes import Box, Film, entries_of, full, set_entries
from grammar import add, base, copied, damaged, edited, in_fragments, remuxed
from muxer import Fragments
from shape import ALL
from tables import stss, stsz, stz2, table

FIRST = "-movflags +faststart"


def describe():
    def d(name, make, says, **expected):
        add("damage", name, make, says, **expected)

    def same(name, change, says, **expected):
        """All that is in the plain file is played."""
        expected.setdefault("reference", base())
        d(name, edited(change), says, **expected)

    same("two_equal_entries_picture", _twice("vide"), "two equal sample descriptions of the picture are one", sample=True)
    same("two_equal_entries_sound", _twice("soun"), "two equal sample descriptions of the sound are one")
    same("two_entries_unused", _unused("vide"), "a second sample description that no sample uses")
    d("stz2_16", remuxed(after=_compact(16)), "compact sample sizes in 16 bits (stz2)", reference=base())
    d("stz2_8_sound", remuxed(lambda tracks: tracks, "h264", "opus", after=_compact(16, "soun")), "stz2 of sound", reference=base(sound="opus"),
      aac=False)
    same("stss_empty", lambda film: setattr(film.stbl("vide").find("stss"), "body", stss([]).body), "stss with no entries")
    same("stss_none", lambda film: film.stbl("vide").drop("stss"), "no stss: every picture is said to be sync", longest=3.1)
    same("stss_beyond", lambda film: setattr(film.stbl("vide").find("stss"), "body", stss([1, 51, 101, 9999, 0xFFFFFFFF]).body),
         "stss with samples that do not exist")
    same("stss_zero", lambda film: setattr(film.stbl("vide").find("stss"), "body", stss([0, 1, 51, 101]).body), "stss with a sample 0")
    same("stss_order", lambda film: setattr(film.stbl("vide").find("stss"), "body", stss([101, 1, 51, 51]).body), "stss out of order")
    same("stss_sound_empty", lambda film: film.stbl("soun").append(stss([])), "sound with an empty stss", sample=True, browser=True)
    same("stss_sound_first", lambda film: film.stbl("soun").append(stss([1])), "sound with its first frame in stss")
    d("stss_sound_alone.m4a", edited(lambda film: film.stbl("soun").append(stss([])), None, "aac"), "sound alone with an empty stss",
      picture=False, reference=base(None, "aac"))
    gone = {"sounds": (), "reference": base()}
    same("sound_no_esds", lambda film: _entry(film, "soun", lambda body: body[:28]), "sound without its configuration: the picture is played",
         left_out=(("sound",),), **gone)
    same("sound_no_stsz", lambda film: film.stbl("soun").drop("stsz"), "sound without sizes: the picture is played", left_out=(("sound",),), **gone)
    same("sound_no_stsd", lambda film: film.stbl("soun").drop("stsd"), "sound without a description", left_out=(("sound",),), **gone)
    same("sound_no_stts", lambda film: film.stbl("soun").drop("stts"), "sound without times", left_out=(("sound",),), **gone)
    same("sound_no_stbl", lambda film: film.track("soun").find("mdia/minf").drop("stbl"), "sound without tables", left_out=(("sound",),), **gone)
    same("sound_no_tkhd", lambda film: film.track("soun").drop("tkhd"), "sound without a header", left_out=(("track",),), **gone)
    same("sound_no_mdia", lambda film: film.track("soun").drop("mdia"), "a track with nothing in it", left_out=(("track",),), **gone)
    same("sound_cut_off_table", lambda film: setattr(film.stbl("soun").find("stsz"), "body", film.stbl("soun").find("stsz").body[:100]),
         "sound whose table of sizes is cut off: the 22 frames before are heard, then silence", left_out=(("sound", "22 samples"),),
         sound_spans=((0, 0.4, 0),))
    same("sound_timescale_0", lambda film: film.track("soun").find("mdia/mdhd").put(12, ">I", 0), "sound with a timescale of 0: it counts samples",
         left_out=(("sound", "timescale"),))
    same("sound_no_samples", _no_samples, "sound without samples", **gone)
    picture_gone = {"picture": False, "reference": base()}
    same("picture_no_avcc", lambda film: _entry(film, "vide", lambda body: body[:78]), "a picture without its configuration: the sound is played",
         left_out=(("picture",),), **picture_gone)
    same("picture_no_stsz", lambda film: film.stbl("vide").drop("stsz"), "a picture without sizes: the sound is played",
         left_out=(("picture",),), sample=True, **picture_gone)
    same("picture_no_samples", lambda film: _no_samples(film, "vide"), "a picture without samples", picture=False, reference=base())
    same("text_no_stbl", _text_without_tables, "a text track without tables")
    same("text_empty", _text_empty, "a text track with a sample table of nothing")
    same("no_dinf", lambda film: [trak.find("mdia/minf").drop("dinf") for trak in film.tracks()], "no dinf")
    same("no_vmhd_smhd", lambda film: [film.track("vide").find("mdia/minf").drop("vmhd"), film.track("soun").find("mdia/minf").drop("smhd")],
         "no vmhd, no smhd")
    same("no_stsc_sound", lambda film: film.stbl("soun").drop("stsc"), "sound without stsc", left_out=(("sound",),), **gone)
    same("mvhd_timescale_0", lambda film: film.find("moov/mvhd").put(12, ">I", 0), "a movie timescale of 0")
    same("no_mvhd", lambda film: film.moov.drop("mvhd"), "no mvhd")
    same("udta_lies", lambda film: film.moov.append(_lying(b"udta")), "udta that says it is larger than moov")
    same("zero_sizes", lambda film: _some_empty(film, "soun"), "three sound samples of 0 bytes", loose=1, sound_spans=((0, 2.6, 0), (3.6, 6, 3.6)))
    same("zero_size_picture", lambda film: _some_empty(film, "vide", (60,)), "a picture of 0 bytes", loose=16)
    same("stsz_count", lambda film: film.stbl("soun").find("stsz").put(8, ">I", 0x7FFFFFFF), "sound says it has two thousand million samples",
         left_out=(("sound",),), **gone)
    same("stco_beyond_sound", lambda film: _beyond(film, "soun"), "the last chunk of sound lies behind the end of the file: what is before is heard",
         left_out=(("sound",),), sound_spans=((0, 5.9, 0),))
    same("entry_box_lies", lambda film: _entry(film, "vide", lambda body: body + struct.pack(">I4s", 0x7FFFFFFF, b"pasp")),
         "a box in the sample entry that says it is larger than it")
    d("nal_length", damaged(_bad_nal), "one picture's NAL length lies", loose=26, reference=base())
    d("bits_flipped", damaged(_flipped), "some bytes of pictures are others", loose=60, reference=base())
    d("frag_cut_in_mdat", lambda kit, path: _cut(kit, path, 0.62), "a recorder that was killed: the last fragment is cut off, its pictures are there",
      sample=True)
    d("frag_cut_in_moof", _cut_in_moof, "cut off within a moof", reference=base(), spans=((0, 4, 0),))
    d("frag_junk_behind", _junk_behind, "zeros behind the last fragment (a full disk)", reference=base())
    d("frag_no_trex", _no_trex, "fragments without trex", reference=base())
    d("frag_unknown_track", _unknown_track, "fragments of a track that moov does not have", reference=base())
    d("frag_sound_broken", _sound_run_lies, "a sound run of the third fragment that says a million samples", reference=base(),
      sounds=("passed",), sound_spans=((0, 1.9, 0), (3.1, 6, 3.1)), left_out=(("sound",),))
    d("moov_twice", damaged(lambda data: data + Film.of(data).moov.bytes()), "moov stands twice", reference=base())

    def n(name, make, says, status, *reason, **expected):
        add("foreign", name, make, says, status=status, reason=reason, picture=False, sounds=(), **expected)

    n("cut_before_moov", damaged(lambda data: data[:len(data) * 7 // 10], options=""), "half copied: moov is not there yet", 503)
    n("cut_in_mdat", damaged(lambda data: data[:len(data) * 6 // 10]), "half copied: moov is there, mdat is not yet whole", 503)
    n("empty", lambda kit, path: path.write_bytes(b""), "an empty file", 503)
    n("text", lambda kit, path: path.write_text("This is not a film.\n" * 50), "a text", 415, "mp4")
    n("webm", lambda kit, path: _foreign(kit, path, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus -f webm"), "WebM named mp4",
      415, "mp4", sample=True)
    n("avi", lambda kit, path: _foreign(kit, path, "-c:v mpeg4 -c:a mp3 -f avi"), "AVI named mp4", 415, "mp4")
    n("transport_stream", lambda kit, path: _foreign(kit, path, "-c copy -f mpegts"), "an MPEG transport stream named mp4", 415, "mp4")
    n("jpeg", lambda kit, path: _foreign(kit, path, "-frames:v 1 -c:v mjpeg -f mjpeg -an"), "a JPEG named mp4", 415, "mp4")
    n("zeros", lambda kit, path: path.write_bytes(bytes(200000)), "zeros: a copy whose length was set first", 503)
    n("text_track_alone", edited(lambda film: _entry_and_handler(film, b"text", b"tx3g"), None, "aac"), "a text track alone", 415)
    n("encrypted", edited(_encrypted), "encrypted tracks (encv, enca): nothing can be played", 415, "encv")


def _twice(handler):
    def change(film):
        stsd = film.stbl(handler).find("stsd")
        set_entries(stsd, entries_of(stsd) * 2)
    return change


def _unused(handler):
    def change(film):
        stsd = film.stbl(handler).find("stsd")
        entries = entries_of(stsd)
        other = Box(b"mp4v", entries[0].body[:78])
        set_entries(stsd, entries + [other])
    return change


def _entry(film, handler, change):
    stsd = film.stbl(handler).find("stsd")
    entries = entries_of(stsd)
    entries[0].body = change(entries[0].body)
    set_entries(stsd, entries)


def _compact(bits, handler="vide"):
    def change(film):
        stbl = film.stbl(handler)
        size, count = stbl.find("stsz").get(4, ">II")
        sizes = [size] * count if size else list(stbl.find("stsz").get(12, f">{count}I"))
        stbl.children[stbl.children.index(stbl.find("stsz"))] = stz2(sizes, bits)
    return change


def _no_samples(film, handler="soun"):
    stbl = film.stbl(handler)
    stbl.children = [stbl.find("stsd"), table(b"stts", ">II", []), table(b"stsc", ">III", []), stsz([]), table(b"stco", ">I", [])]


def _text_track(film):
    from grammar_tracks import _text_like
    trak, stbl = _text_like(film, Box(b"tx3g", bytes(6) + b"\0\1" + bytes(30)), b"text")
    film.moov.append(trak)
    return trak, stbl


def _text_without_tables(film):
    trak, _ = _text_track(film)
    trak.find("mdia/minf").drop("stbl")


def _text_empty(film):
    _, stbl = _text_track(film)
    stbl.children = [stbl.find("stsd"), table(b"stts", ">II", []), table(b"stsc", ">III", []), stsz([]), table(b"stco", ">I", [])]


def _lying(kind):
    box = Box(kind, bytes(20))
    box.size = 0x00FFFFFF
    return box


def _some_empty(film, handler, which=(150, 151, 152)):
    table_ = film.stbl(handler).find("stsz")
    for index in which:
        table_.put(12 + 4 * index, ">I", 0)


def _beyond(film, handler):
    stco = film.stbl(handler).find("stco")
    stco.put(8 + 4 * (stco.get(4, ">I")[0] - 1), ">I", 0x7FFFFFFF)


def _bad_nal(data):
    at = data.index(b"mdat") + 4 + len(data) // 3
    return data[:at] + b"\x7f\xff\xff\xff" + data[at + 4:]


def _flipped(data):
    start = data.index(b"mdat") + 4
    out = bytearray(data)
    for number in range(3):
        at = start + (len(data) - start) * (number + 1) // 5
        out[at:at + 3] = bytes(255 - byte for byte in out[at:at + 3])
    return bytes(out)


def _in_fragments(kit, **how):
    from tables import read_tracks
    from muxer import fragmented
    film, tracks = read_tracks(kit.both())
    return fragmented(film, tracks, Fragments(**how))


def _cut(kit, path, part):
    film = _in_fragments(kit)
    data = film.bytes()
    moofs = [at for at in range(len(data)) if data[at:at + 4] == b"moof"]
    path.write_bytes(data[:moofs[3] - 4 + (moofs[4] - moofs[3]) * 6 // 10])


def _cut_in_moof(kit, path):
    data = _in_fragments(kit).bytes()
    moofs = [at for at in range(len(data)) if data[at:at + 4] == b"moof"]
    path.write_bytes(data[:moofs[4] + 50])


def _junk_behind(kit, path):
    path.write_bytes(_in_fragments(kit).bytes() + bytes(5000))


def _no_trex(kit, path):
    film = _in_fragments(kit)
    film.find("moov/mvex").children.clear()
    film = Film.of(film.bytes())
    film.write(path)


def _unknown_track(kit, path):
    from muxer import fragmented
    from boxes import set_track_id
    from tables import Track, read_tracks
    import copy
    film, tracks = read_tracks(kit.both())
    third = Track(copy.deepcopy(tracks[1].trak), tracks[1].samples)
    set_track_id(third.trak, 77)
    whole = fragmented(film, tracks + [third], Fragments())
    whole = Film.of(whole.bytes())
    whole.moov.children.remove(whole.tracks()[2])
    whole.find("moov/mvex").drop("trex[2]")
    whole.write(path)


def _sound_run_lies(kit, path):
    film = _in_fragments(kit)
    film.all("moof")[2].find("traf[1]/trun").put(4, ">I", 1_000_000)
    path.write_bytes(b"".join(child.bytes() for child in film.children))


def _foreign(kit, path, words):
    from sources import ffmpeg
    ffmpeg("-i", kit.both(), words, path)


def _entry_and_handler(film, handler, kind):
    trak = film.tracks()[0]
    trak.find("mdia/hdlr").put(8, ">4s", handler)
    stsd = trak.find("mdia/minf/stbl/stsd")
    set_entries(stsd, [Box(kind, bytes(6) + b"\0\1" + bytes(30))])


def _encrypted(film):
    for handler, kind in (("vide", b"encv"), ("soun", b"enca")):
        stsd = film.stbl(handler).find("stsd")
        entries = entries_of(stsd)
        original = entries[0].kind
        entries[0].kind = kind
        entries[0].body += Box(b"sinf", Box(b"frma", original).bytes() + full(b"schm", 0, 0, b"cenc\0\1\0\0").bytes()).bytes()
        set_entries(stsd, entries)
