"""Tracks: several, disabled, in other languages; covers, timecodes, data; text and chapters; one kind alone, or longer than the other."""
import copy
import struct

from boxes import Box, Film, full, set_enabled, set_language, set_track_id
from grammar import add, base, copied, edited, remuxed
from grammar_codecs import is_passed
from shape import ALL
from sources import ffmpeg

SRT = "1\n00:00:01,000 --> 00:00:03,000\nBonjour à tous\n\n2\n00:00:04,000 --> 00:00:05,500\nau revoir\n"
CHAPTERS = (";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=3000\ntitle=Plan\n"
            "[CHAPTER]\nTIMEBASE=1/1000\nSTART=3000\nEND=6000\ntitle=Suite\n")


def written(name, text):
    return lambda kit: kit.once(name, lambda path: path.write_text(text))


def joined(*sources, options="", change=None):
    """Streams of several files of the kit in one file."""
    def make(kit, path):
        files = [source(kit) for source in sources]
        words = [word for file in files for word in ("-i", file)] + [word for i in range(len(files)) for word in ("-map", str(i))]
        ffmpeg(*words, "-c copy -c:s mov_text -strict experimental -fflags +bitexact", options, "-f",
               "mov" if path.suffix == ".mov" else "mp4", path)
        if change:
            film = Film.read(path)
            change(film)
            film.write(path)
    return make


def picture(codec="h264", **more):
    return lambda kit: kit.picture(codec, **more)


def sound(codec="aac", **more):
    return lambda kit: kit.sound(codec, **more)


FRENCH_ENGLISH = "-metadata:s:a:0 language=fra -metadata:s:a:1 language=eng"


def describe():
    def t(name, make, says, **expected):
        add("tracks", name, make, says, **expected)

    two = joined(picture(), sound(), sound(seed=18), options=FRENCH_ENGLISH)
    t("two_sounds", two, "two sounds, French and English", sounds=("passed", "passed"), languages=("fr", "en"), sample=True, browser=True)
    t("two_sounds_first_disabled",
      joined(picture(), sound(), sound(seed=18), options=FRENCH_ENGLISH + " -disposition:a:0 0 -disposition:a:1 default"),
      "the first sound is disabled: enabled ones come first", sounds=("passed", "passed"), languages=("en", "fr"), from_sounds=(1, 0))
    t("three_sounds_codecs", joined(picture(), sound(), sound("opus", seed=18), sound("mp3", seed=19)), "AAC, Opus and MP3",
      sounds=("passed", "passed", "recoded"))
    t("two_sounds_ac3", joined(picture(), sound("ac3_51"), sound(seed=18), options=FRENCH_ENGLISH), "French AC-3 and English AAC",
      sounds=("recoded", "passed"), languages=("fr", "en"), browser=True, look=is_passed)
    t("two_sounds_ac3_eac3", joined(picture(), sound("ac3"), sound("eac3_51", seed=18), options=FRENCH_ENGLISH),
      "French AC-3 and English E-AC-3", sounds=("recoded", "recoded"), languages=("fr", "en"), browser=True, look=is_passed)
    t("two_sounds_alone", joined(sound(), sound(seed=18), options=FRENCH_ENGLISH), "two sounds without a picture", picture=False,
      sounds=("passed", "passed"), languages=("fr", "en"), browser=True)
    t("sound_disabled", edited(lambda film: set_enabled(film.track("soun"), 0)), "the only sound is disabled: it is played all the same")
    t("all_disabled", edited(lambda film: [set_enabled(trak, 0) for trak in film.tracks()]), "all tracks are disabled")
    t("language_odd", edited(lambda film: [set_language(film.track("soun"), "```"),
                                           film.track("soun").find("mdia/mdhd").put(20, ">H", 0x7FFF)]), "a language that is none")
    t("language_elng", edited(lambda film: film.track("soun").find("mdia").append(full(b"elng", 0, 0, b"fr-CA\0"))),
      "an extended language: fr-CA", languages=None)
    t("two_pictures", joined(picture(), picture(seed=1), sound()), "two pictures: the first is played")
    t("two_pictures_first_odd.mov", joined(picture("mjpeg"), picture(seed=1), sound()), "Motion JPEG, then H.264: H.264 is played",
      reference=lambda kit: kit.both("h264", "aac", seed=1))
    t("two_pictures_first_disabled", joined(picture(), picture(seed=1), sound(), change=_swap_enabled),
      "the first picture is disabled: the second is played", reference=lambda kit: kit.both("h264", "aac", seed=1))
    t("cover", _cover, "a cover picture in udta (covr): it is no rendition")
    t("cover_alone.m4a", _cover_alone, "sound with a cover picture", picture=False)
    t("tmcd.mov", copied(form="mov", options="-timecode 10:00:00:00"), "a timecode track")
    t("tmcd_mp4", copied(options="-timecode 10:00:00:00"), "a timecode track in mp4")
    captions = joined(picture(), sound(), written("captions.srt", SRT), options="-metadata:s:s:0 language=fra")
    t("captions_tx3g", captions, "subtitles in 3GPP timed text become subtitles", texts=(("fr", "Bonjour à tous"),), sample=True)
    t("captions_two", joined(picture(), sound(), written("captions.srt", SRT), written("captions2.srt", SRT.replace("Bonjour", "Hello")),
                             options="-metadata:s:s:0 language=fra -metadata:s:s:1 language=eng"),
      "subtitles in two languages", texts=(("fr", "Bonjour à tous"), ("en", "Hello à tous")))
    t("captions_wvtt", joined(picture(), sound(), change=_wvtt), "WebVTT within mp4 (ISO/IEC 14496-30)", texts=(("fr", "Bonjour"),))
    t("chapters", _chapters, "chapters of Nero and QuickTime", look=_two_chapters)
    t("chapters_nero", joined(picture(), sound(), change=_nero), "chapters of Nero alone (chpl)", look=_two_chapters)
    t("data_track", joined(picture(), sound(), change=_data_track), "a track of data (GPS of cameras)")
    t("hint_handler", edited(lambda film: film.track("soun").find("mdia/hdlr").put(8, ">4s", b"zzzz")),
      "a sound whose handler nobody knows: its sample entry says what it is", reference=base())
    t("sound_alone", copied(None, "aac"), "sound alone", picture=False, browser=True)
    t("picture_alone", copied("h264", None), "pictures alone", sounds=(), browser=True)
    t("picture_alone_b", copied("h264_b", None), "pictures alone, B pictures", sounds=())
    t("sound_first", joined(sound(), picture()), "the sound's track stands first")
    t("track_ids", edited(lambda film: [set_track_id(film.tracks()[0], 0x7FFFFFFF), set_track_id(film.tracks()[1], 700)]), "large track IDs")
    t("track_ids_equal", edited(lambda film: set_track_id(film.tracks()[1], 1)), "both tracks have one ID")
    t("sound_longer", joined(picture(), sound(seconds=40)), "sound goes on for 34 s behind the last picture", sample=True, browser=True)
    t("sound_longer_frag", joined(picture(), sound(seconds=20), options="-movflags frag_keyframe+empty_moov -frag_duration 1000000"),
      "sound goes on for 14 s, in fragments")
    t("sound_shorter", joined(picture(), sound(seconds=2)), "sound ends at 2 s", browser=True)
    t("sound_much_shorter", joined(picture(seconds=80), sound(seconds=2)), "sound ends at 2 s of 80", browser=True)
    t("sound_tiny", remuxed(lambda tracks: [tracks[0], _first(tracks[1], 25)]), "sound of half a second", sounds=("passed",),
      sound_spans=((0, 0.5, 0),), reference=base(), browser=True)
    t("picture_tiny", joined(picture(seconds=1), sound()), "pictures for a second, sound for six", browser=True)
    t("one_picture", remuxed(lambda tracks: [_first(tracks[0], 1), tracks[1]]), "a single picture: a slide with sound")
    t("rotated", edited(_rotated), "a picture that is turned by 90 degrees (telephones)")
    t("anamorphic", joined(picture(), sound(), options="-bsf:v h264_metadata=sample_aspect_ratio=4/3 -aspect 64:27"), "pixels that are not square")
    t("size_zero", edited(lambda film: film.track("vide").find("tkhd").put(76, ">II", 0, 0)), "a width of 0 in tkhd")
    t("many_tracks", joined(picture(), *[sound(seed=17 + n) for n in range(8)]), "eight sounds", sounds=("passed",) * 8)


def _swap_enabled(film):
    set_enabled(film.tracks()[0], 0)
    set_enabled(film.tracks()[1], 1)


def _first(track, count):
    track.samples = track.samples[:count]
    return track


def _jpeg(kit):
    return kit.once("cover.jpg", lambda path: ffmpeg("-f lavfi -i testsrc2=s=160x90:d=1 -frames:v 1 -f mjpeg", path))


def _cover(kit, path):
    ffmpeg("-i", kit.both(), "-i", _jpeg(kit), "-map 0 -map 1 -c copy -disposition:v:1 attached_pic -fflags +bitexact -f mp4", path)


def _cover_alone(kit, path):
    ffmpeg("-i", kit.both(None, "aac"), "-i", _jpeg(kit), "-map 0 -map 1 -c copy -disposition:v:0 attached_pic -fflags +bitexact -f ipod", path)


def _chapters(kit, path):
    ffmpeg("-i", kit.both(), "-i", written("chapters.txt", CHAPTERS)(kit), "-map 0 -map_metadata 1 -map_chapters 1 -c copy "
           "-fflags +bitexact -f mp4", path)


def _rotated(film):
    tkhd = film.track("vide").find("tkhd")
    tkhd.put(40, ">9i", 0, 65536, 0, -65536, 0, 0, 180 << 16, 0, 1 << 30)


def _text_like(film, entry, handler, language="fra"):
    """A copy of the sound's track with one sample, the first of the sound, under another name."""
    trak = copy.deepcopy(film.track("soun"))
    set_track_id(trak, 9)
    set_language(trak, language)
    trak.find("mdia/hdlr").put(8, ">4s", handler)
    trak.children = [child for child in trak.children if child.kind != b"edts"]
    stbl = trak.find("mdia/minf/stbl")
    stbl.find("stsd").body = struct.pack(">II", 0, 1) + entry.bytes()
    return trak, stbl


def _with_samples(film, trak, stbl, samples, scale=1000):
    """`samples`: (duration, bytes). They stand in an mdat of their own at the end."""
    from tables import stsz, stts, table
    trak.find("mdia/mdhd").put(12, ">II", scale, sum(sample[0] for sample in samples))
    data = b"".join(sample[1] for sample in samples)
    at = sum(map(len, film.children))
    kept = [stbl.find("stsd")]
    film.moov.append(trak)
    stbl.children = kept + [stts([sample[0] for sample in samples]), table(b"stsc", ">III", [(1, len(samples), 1)]),
                            stsz([len(sample[1]) for sample in samples]), table(b"stco", ">I", [[0]])]
    mdat = Box(b"mdat", data)
    # It stands before moov, so that nothing moves it.
    film.children.insert(film.children.index(film.moov), mdat)
    at = sum(map(len, film.children[:film.children.index(mdat)])) + 8
    stbl.find("stco").put(8, ">I", at)


def _wvtt(film):
    entry = Box(b"wvtt", bytes(6) + b"\0\1" + Box(b"vttC", b"WEBVTT").bytes())
    trak, stbl = _text_like(film, entry, b"text")
    cue = Box(b"vttc", Box(b"payl", "Bonjour à tous".encode()).bytes()).bytes()
    _with_samples(film, trak, stbl, [(1000, Box(b"vtte").bytes()), (2000, cue), (3000, Box(b"vtte").bytes())])


def _data_track(film):
    entry = Box(b"gpmd", bytes(6) + b"\0\1" + bytes(4))
    trak, stbl = _text_like(film, entry, b"meta", "und")
    _with_samples(film, trak, stbl, [(1000, b"DEVC" + bytes(20))] * 6)


def _nero(film):
    titles = [(0, b"Plan"), (30_000_000, b"Suite")]
    body = struct.pack(">IB", 0, len(titles)) + b"".join(struct.pack(">QB", at, len(text)) + text for at, text in titles)
    film.moov.append(Box(b"udta", children=[full(b"chpl", 1, 0, body)]))


def _two_chapters(amphi, name):
    from amphi import get
    status, body, _ = get(amphi.url(name, "chapters.json"))
    text = body.decode("utf-8", "replace")
    return [] if status == 200 and "Plan" in text and "Suite" in text and "3000" in text else [f"chapters.json: {status} {text[:80]}"]
