"""Containers and who writes them: ffmpeg, GStreamer, npm's mp4box, ours."""
from pathlib import Path

from boxes import Box, Film, full
from grammar import add, base, copied, edited, remuxed
from shape import ALL
from sources import run

GST_BOTH = ("{mux} ! filesink location={{out}} filesrc location={picture} ! qtdemux ! {parse} ! queue ! m. "
            "filesrc location={sound} ! qtdemux ! {other} ! queue ! m.")
MP4BOX = Path(__file__).resolve().parent.parent / "browser" / "mp4box.mjs"


def gst(mux, picture="h264", sound="aac", parse="h264parse", other="aacparse"):
    def make(kit, path):
        pipeline = GST_BOTH.format(mux=mux, picture=kit.picture(picture), sound=kit.sound(sound), parse=parse, other=other)
        run(["gst-launch-1.0", "-q", *pipeline.format(out=path).split()])
    return make


def mp4box(mode, picture="h264", sound="aac"):
    """What npm's mp4box makes of a plain file."""
    return lambda kit, path: run(["node", MP4BOX, mode, kit.both(picture, sound, "-movflags +faststart"), path])


def at_front(*boxes):
    def change(film):
        film.children[:0] = list(boxes)
    return change


def describe():
    def c(name, make, says, **expected):
        add("container", name, make, says, **expected)

    c("plain", copied(), "mp4 by ffmpeg, moov at the end", browser=True, sample=True)
    c("faststart", copied(options="-movflags +faststart"), "mp4 by ffmpeg, moov before mdat")
    c("b_pictures", copied("h264_b"), "B pictures, with the edit list that takes back their delay", browser=True)
    c("frag", copied(options="-movflags frag_keyframe+empty_moov"), "fragmented by ffmpeg, base-data-offset", sample=True)
    c("frag_moof_base", copied(options="-movflags frag_keyframe+empty_moov+default_base_moof"), "default-base-is-moof")
    c("frag_delay_moov", copied("h264_b", options="-movflags frag_keyframe+delay_moov+default_base_moof"),
      "B pictures in fragments, with edit lists")
    c("frag_negative_cts", copied("h264_b", options="-movflags frag_keyframe+empty_moov+negative_cts_offsets"),
      "negative composition offsets in fragments (ffmpeg's reader shows them a picture later than the file says)",
      reference=base("h264_b"), sound_spans=((0, 6, 1024 / 48000),))
    c("frag_full_moov", copied(options="-movflags frag_keyframe -frag_duration 1000000"), "a moov with samples, then fragments")
    c("frag_separate", copied(options="-movflags frag_keyframe+empty_moov+separate_moof"), "a moof for each track")
    c("frag_by_half_second", copied(options="-movflags empty_moov+default_base_moof -frag_duration 500000"),
      "fragments that do not begin with a sync sample")
    c("dash_file", copied(options="-movflags dash+frag_keyframe+empty_moov+global_sidx"), "DASH in one file: sidx at the front")
    c("cmaf_file", copied(options="-movflags cmaf+frag_keyframe+empty_moov"), "CMAF: styp and sidx for each fragment")
    c("ismv", copied(form="ismv"), "Smooth Streaming: uuid boxes instead of tfdt", longest=4.1)
    c("plain.mov", copied(form="mov"), "QuickTime by ffmpeg: sound description of version 1")
    c("faststart.mov", copied(form="mov", options="-movflags +faststart"), "QuickTime, moov before mdat")
    c("sound_alone.m4a", copied(None, "aac", form="ipod"), "m4a", picture=False)
    c("brand_3gp.mp4", copied(form="3gp"), "3GPP")
    c("brand_f4v.mp4", copied(form="f4v"), "f4v")
    c("prefilled_moov", copied(options="-moov_size 200000"), "room for moov that was not used up: a free box")
    c("rtp_hints", copied(options="-movflags rtphint"), "hint tracks for RTP", browser=True)
    c("co64", remuxed(large=True), "64-bit chunk offsets, mdat with a 64-bit size")
    c("one_sample_a_chunk", remuxed(seconds=0.001), "a chunk for each sample")
    c("not_interleaved", remuxed(seconds=1000), "all pictures, then all sound")
    c("free_wide_first", edited(at_front(Box(b"wide"), Box(b"free", bytes(99)), Box(b"skip", b"x" * 7))), "free, wide, skip before ftyp")
    c("no_ftyp", edited(lambda film: film.drop("ftyp")), "no ftyp, as QuickTime had it")
    c("odd_brand", edited(lambda film: film.find("ftyp").put(0, ">4s", b"zzzz")), "a major brand that nobody knows")
    c("unknown_boxes", edited(_unknown), "unknown boxes on every floor")
    c("uuid_and_meta", edited(_uuid), "uuid boxes, meta with an empty hdlr, garbage in udta")
    c("two_mdats", edited(_two_mdats), "a second mdat without anything in it")
    c("mdat_to_the_end", edited(lambda film: setattr(film.find("mdat"), "to_the_end", True), options="-movflags +faststart"),
      "mdat of size 0: to the end of the file")
    c("rest_behind", edited(lambda film: film.append(Box(b"free", b"more"), _rest(b"\0\0\0\x05junk behind the last box"))),
      "bytes behind the last box that are no box")
    c("gst_mp4mux", gst("mp4mux name=m"), "GStreamer's mp4mux")
    c("gst_mp4mux_faststart", gst("mp4mux name=m faststart=true"), "mp4mux, moov first")
    c("gst_mp4mux_b", gst("mp4mux name=m", "h264_b"), "mp4mux with B pictures")
    c("gst_qtmux.mov", gst("qtmux name=m"), "GStreamer's qtmux")
    c("gst_3gppmux", gst("3gppmux name=m"), "3gppmux")
    c("gst_ismlmux", gst("ismlmux name=m fragment-duration=1000"), "ismlmux", longest=4.1)
    c("gst_frag", gst("mp4mux name=m fragment-duration=1000"), "mp4mux in fragments", sample=True, browser=True)
    c("gst_frag_b", gst("mp4mux name=m fragment-duration=1000", "h264_b"), "mp4mux in fragments, B pictures")
    c("gst_frag_streamable", gst("mp4mux name=m fragment-duration=700 streamable=true"), "mp4mux in fragments, no index behind",
      longest=4.1)
    c("gst_frag_finalised", gst("mp4mux name=m fragment-duration=1000 fragment-mode=first-moov-then-finalise"),
      "mp4mux: fragments first, then a whole moov over the same mdat")
    c("gst_hevc", gst("mp4mux name=m", "hevc", parse="h265parse"), "mp4mux, HEVC", codec="hevc")
    c("gst_opus", gst("mp4mux name=m", sound="opus", other="opusparse"), "mp4mux, Opus", aac=False)
    c("mp4box_fragments", mp4box("fragments"), "npm's mp4box: fragments", sample=True)
    c("mp4box_written", mp4box("written"), "npm's mp4box: read and written again")
    c("mp4box_made", mp4box("made"), "npm's mp4box: a new file from samples", spans=ALL)


def _rest(data):
    from boxes import Rest
    return Rest(data)


def _unknown(film):
    odd = [Box(b"XYZ1", b"\xff" * 33), Box(b"\xa9odd", b"text")]
    film.children[1:1] = odd
    film.moov.children[1:1] = odd
    for trak in film.tracks():
        trak.append(*odd)
        for path in ("mdia", "mdia/minf", "mdia/minf/stbl"):
            trak.find(path).append(*odd)
            trak.find(path).children.insert(0, odd[0])


def _uuid(film):
    film.moov.append(Box(b"uuid", bytes(range(16)) + b"<xml/>"), full(b"meta", 0, 0, full(b"hdlr", 0, 0, bytes(20)).bytes()))
    film.children = [child for child in film.children if child.kind != b"udta"]
    film.moov.children = [child for child in film.moov.children if child.kind != b"udta"]
    film.moov.append(Box(b"udta", b"\0\0\0\x20nametoo short"))


def _two_mdats(film):
    film.append(Box(b"mdat", b""), Box(b"mdat", b"nothing is here"))
