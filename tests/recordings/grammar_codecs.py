"""Codecs: what browsers take is passed through as it is, other sound is coded to AAC, other pictures are left out by name."""
import re
import struct
import tempfile
from pathlib import Path

import fetch
from amphi import get
from boxes import Box, entries_of, set_entries
from grammar import add, base, copied, edited, in_fragments
from muxer import Fragments
from reading import streams
from shape import RECODED
from sources import run

CODED_ANEW = {
    "mp3": "MP3", "mp3_22050": "MP3 at 22.05 kHz, mono", "alac": "ALAC",
    "pcm_s16le": "PCM, 16 bits little-endian (sowt)", "pcm_s16be": "PCM, 16 bits big-endian (twos)",
    "pcm_s24le": "PCM, 24 bits little-endian (in24 with enda)", "pcm_s24be": "PCM, 24 bits (in24)",
    "pcm_f32le": "PCM, floating point (fl32)", "pcm_u8": "PCM, 8 bits (raw), 22.05 kHz", "pcm_alaw": "A-law at 8 kHz",
    "pcm_mulaw": "mu-law at 8 kHz",
}

# Coded to AAC too, and passed through beside it.
PASSED_TOO = {"ac3": "AC-3", "ac3_51": "AC-3, 5.1", "ac3_44100": "AC-3 at 44.1 kHz", "eac3": "E-AC-3", "eac3_51": "E-AC-3, 5.1"}


def entry_of(film, handler, kind=None, change=None):
    """Gives a track's sample entry another name, or changes its body."""
    stsd = film.stbl(handler).find("stsd")
    entries = entries_of(stsd)
    for entry in entries:
        entry.kind = kind or entry.kind
        if change:
            entry.body = change(entry.body)
    set_entries(stsd, entries)


def without_sets(body):
    """An avcC without parameter sets (ISO/IEC 14496-15 §5.3.3.1): they are in the samples."""
    at = body.index(b"avcC")
    old = struct.unpack_from(">I", body, at - 4)[0]
    new = body[at + 4:at + 9] + b"\xe0\x00"
    return body[:at - 4] + struct.pack(">I", 8 + len(new)) + b"avcC" + new + body[at - 4 + old:]


def with_sbr(body):
    """An AudioSpecificConfig that says SBR (ISO/IEC 14496-3 §1.6.2.1): 5 bits type 5, rate and twice the rate."""
    at = body.index(b"\x05\x80\x80\x80") + 4
    length = body[at]
    config = int.from_bytes(body[at + 1:at + 3], "big")
    rate, channels = config >> 7 & 15, config >> 3 & 15
    new = (5 << 27 | rate << 23 | channels << 19 | (rate - 3) << 15 | 2 << 10).to_bytes(4, "big")
    body = bytearray(body[:at] + bytes([4]) + new + body[at + 1 + length:])
    # The descriptors around it, the esds box and nothing else grow.
    grown = 4 - length
    esds = body.index(b"esds")
    body[esds - 4:esds] = struct.pack(">I", struct.unpack_from(">I", body, esds - 4)[0] + grown)
    for tag in (b"\x03\x80\x80\x80", b"\x04\x80\x80\x80"):
        body[body.index(tag) + 4] += grown
    return bytes(body)


def with_wrong_dac3(body):
    """A dac3 that says 640 kbit/s (ETSI TS 102 366 annex F.4): bit_rate_code 18."""
    at = body.index(b"dac3") + 4
    packed = int.from_bytes(body[at:at + 3], "big") & ~(31 << 5) | 18 << 5
    return body[:at] + packed.to_bytes(3, "big") + body[at + 3:]


def describe():
    def c(name, make, says, **expected):
        add("codecs", name, make, says, **expected)

    c("h264_avc3", edited(lambda film: entry_of(film, "vide", b"avc3"), options="-bsf:v h264_mp4toannexb"),
      "avc3: parameter sets in the samples and in avcC", reference=base())
    c("h264_avc3_bare", edited(lambda film: entry_of(film, "vide", b"avc3", without_sets), options="-bsf:v h264_mp4toannexb"),
      "avc3 without parameter sets in avcC", reference=base(), browser=True)
    c("h264_avc1_bare", edited(lambda film: entry_of(film, "vide", None, without_sets), options="-bsf:v h264_mp4toannexb"),
      "avc1 without parameter sets in avcC: they are in the samples all the same", reference=base())
    c("h264_open_group", copied("h264_open"), "open groups of pictures", longest=6.2)
    c("h264_one_group", copied("h264_one_group"), "one sync sample in all", longest=6.2)
    c("h264_short_groups", copied("h264_short"), "a sync sample every 0.2 s")
    c("h264_high10", copied("h264_high10"), "High 10, which few browsers play")
    c("h264_slices", copied("h264_slices"), "four slices a picture")
    c("h264_frag_b_open", in_fragments(picture="h264_open"), "open groups in fragments", reference=base("h264_open"), longest=6.2)
    hevc = {"codec": "hevc"}
    c("hevc_hev1", copied("hevc", options="-tag:v hev1"), "HEVC, hev1: goes out as hvc1", look=_is_hvc1, **hevc)
    c("hevc_hvc1", copied("hevc", options="-tag:v hvc1"), "HEVC, hvc1", **hevc)
    c("hevc_hvc1_b", copied("hevc_b", options="-tag:v hvc1"), "HEVC with B pictures", **hevc)
    c("hevc_mp3", copied("hevc", "mp3", options="-tag:v hvc1"), "HEVC and MP3", sounds=(RECODED,), **hevc)
    c("vp9_aac", copied("vp9"), "VP9 and AAC (OBS)", codec="vp9", sample=True, browser=True)
    c("vp9_opus", copied("vp9", "opus"), "VP9 and Opus (browsers)", codec="vp9", aac=False, browser=True)
    c("vp9_opus_frag", in_fragments(picture="vp9", sound="opus"), "VP9 and Opus in fragments", codec="vp9", aac=False,
      reference=base("vp9", "opus"))
    c("av1_aac", copied("av1"), "AV1 and AAC", codec="av1", sample=True, browser=True)
    c("av1_opus", copied("av1", "opus"), "AV1 and Opus", codec="av1", aac=False)
    c("av1_frag", copied("av1", options="-movflags frag_keyframe+empty_moov"), "AV1 in fragments", codec="av1")
    c("mpeg4_aac", copied("mpeg4"), "MPEG-4 part 2: no browser plays it; its sound is played", picture=False,
      left_out=(("picture", "mp4v"),), sample=True)
    c("mjpeg_aac.mov", copied("mjpeg"), "Motion JPEG: its sound is played", picture=False, left_out=(("picture", "jpeg"),))
    c("mjpeg_in_mp4", copied("mjpeg"), "Motion JPEG as mp4v", picture=False, left_out=(("picture", "mp4v"),))
    c("prores_pcm.mov", copied("prores", "pcm_s16le"), "ProRes and PCM (an editor's master)", picture=False, sounds=(RECODED,),
      left_out=(("picture", "apco"),))
    c("prores_alone.mov", copied("prores", None), "ProRes without sound: nothing can be played", status=415, reason=("apco",))
    for sound, says in CODED_ANEW.items():
        ending = "mov" if sound.startswith("pcm") else "mp4"
        c(f"h264_{sound}.{ending}", copied(sound=sound), f"H.264 and {says}", sounds=(RECODED,),
          sample=sound in ("mp3", "pcm_s16le", "alac"), browser=sound in ("mp3", "pcm_s16be"))
    for sound, says in PASSED_TOO.items():
        c(f"h264_{sound}", copied(sound=sound), f"H.264 and {says}", sounds=(RECODED,), look=over_dash, sample=sound == "ac3_51",
          browser=sound in ("ac3", "ac3_51", "eac3"))
    c("h264_ac3.mov", copied(sound="ac3_51", form="mov"), "H.264 and AC-3 in QuickTime", sounds=(RECODED,), look=over_dash)
    c("h264_ac3_frag", in_fragments(sound="ac3"), "H.264 and AC-3 in fragments", sounds=(RECODED,), reference=base(sound="ac3"),
      look=over_dash)
    c("h264_ac3_sac3.mov", edited(lambda film: entry_of(film, "soun", b"sac3"), sound="ac3"),
      "AC-3 under QuickTime's other name, sac3", sounds=(RECODED,), reference=base(sound="ac3"), look=over_dash)
    c("h264_ac3_bare", edited(lambda film: entry_of(film, "soun", None, lambda body: body[:28]), sound="ac3"),
      "AC-3 without dac3: AAC alone", sounds=(RECODED,), reference=base(sound="ac3"), look=_is_not_passed)
    c("h264_ac3_wrong", edited(lambda film: entry_of(film, "soun", None, with_wrong_dac3), sound="ac3"),
      "AC-3 whose dac3 says another bit rate: AAC alone", sounds=(RECODED,), reference=base(sound="ac3"), look=_is_not_passed)
    c("ac3_alone", copied(None, "ac3"), "AC-3 alone: as it is over DASH", picture=False, sounds=(RECODED,),
      look=over_dash)
    c("h264_mp3.mov", copied(sound="mp3", form="mov"), "H.264 and MP3 in QuickTime (.mp3)", sounds=(RECODED,))
    c("h264_alac.mov", copied(sound="alac", form="mov"), "H.264 and ALAC in QuickTime", sounds=(RECODED,))
    c("h264_mp3_frag", in_fragments(Fragments(), sound="mp3"), "H.264 and MP3 in fragments", sounds=(RECODED,), reference=base(sound="mp3"))
    c("mp3_alone", copied(None, "mp3"), "MP3 alone in mp4", picture=False, sounds=(RECODED,))
    c("pcm_alone.mov", copied(None, "pcm_s16le"), "PCM alone in QuickTime", picture=False, sounds=(RECODED,))
    c("alac_alone.m4a", copied(None, "alac", form="ipod"), "ALAC alone in m4a", picture=False, sounds=(RECODED,))
    c("h264_mp2", copied(sound="mp2"), "MPEG-1 layer 2: left out or coded anew, but not lost silently", sounds=(RECODED,))
    c("h264_adpcm.mov", copied(sound="adpcm_ima_qt"), "ADPCM of QuickTime", sounds=(RECODED,), sample=True)
    c("h264_vorbis", copied(sound="vorbis"), "Vorbis, which no browser takes in mp4: the pictures are played", sounds=(),
      left_out=(("sound",),))
    c("h264_aac_mono", copied(sound="aac_mono"), "AAC, mono")
    c("h264_aac_44100", copied(sound="aac_44100"), "AAC at 44.1 kHz")
    c("h264_aac_22050", copied(sound="aac_22050"), "AAC at 22.05 kHz, mono")
    c("h264_aac_96000", copied(sound="aac_96000"), "AAC at 96 kHz")
    c("h264_aac_51", copied(sound="aac_51"), "AAC, 5.1")
    c("h264_aac_sbr", edited(lambda film: entry_of(film, "soun", None, with_sbr), sound="aac_22050"),
      "AAC whose configuration says SBR (HE-AAC)", look=_is_he)
    c("h264_aac.mov", copied(form="mov"), "AAC in QuickTime: esds within wave")
    c("h264_opus", copied(sound="opus"), "Opus", aac=False, browser=True, sample=True)
    c("h264_opus_mono", copied(sound="opus_mono"), "Opus, mono, frames of 60 ms", aac=False)
    c("h264_flac", copied(sound="flac"), "FLAC", aac=False, browser=True)
    c("h264_flac_24", copied(sound="flac_24"), "FLAC, 24 bits at 96 kHz", aac=False)
    c("opus_alone", copied(None, "opus"), "Opus alone", picture=False, aac=False)
    c("flac_alone", copied(None, "flac"), "FLAC alone", picture=False, aac=False)


def _codecs(amphi, name):
    return get(amphi.url(name, "playlist.m3u8"))[1].decode("utf-8", "replace")


def _is_hvc1(amphi, name):
    said = _codecs(amphi, name)
    return [] if "hvc1." in said and "hev1." not in said else ["CODECS does not say hvc1"]


def _is_he(amphi, name):
    return [] if "mp4a.40.5" in _codecs(amphi, name) else ["CODECS does not say mp4a.40.5"]


def _passed(amphi, name):
    """Over each of HLS and DASH, the files of the sounds that are AC-3 or E-AC-3, and what lists say of them."""
    for scheme, fetched, file in (("hls", fetch.hls, "playlist.m3u8"), ("dash", fetch.dash, "manifest.mpd")):
        with tempfile.TemporaryDirectory(prefix="amphi_judge_") as folder:
            found = fetched(amphi.url(name, file), folder)
            sounds = [(entry, sound) for sound in found.sounds for kind, entry in sound.codecs if kind == "soun"]
            yield scheme, [(entry, sound) for entry, sound in sounds if entry in ("ac-3", "ec-3")]


def _is_not_passed(amphi, name):
    return [f"{scheme}: AC-3 is listed" for scheme, sounds in _passed(amphi, name) if sounds]


def is_passed(amphi, name, over=("hls", "dash")):
    """The sounds that are not AAC have the packets of the file, and lists name their codec."""
    wrong, theirs = [], packets_of(amphi.folder / name)
    for scheme, sounds in _passed(amphi, name):
        if scheme not in over:
            wrong += [f"{scheme}: {entry} is listed" for entry, _ in sounds]
            continue
        if len(sounds) != len(theirs):
            wrong.append(f"{scheme}: {len(sounds)} sounds are passed through instead of {len(theirs)}")
        for (entry, sound), packets in zip(sounds, theirs):
            if packets_of(Path(sound.path)) != [packets]:
                wrong.append(f"{scheme}: {entry} has other packets than the file")
            if scheme == "dash" and sound.said != entry:
                wrong.append(f"DASH: codecs is {sound.said} and not {entry}")
            if scheme == "hls" and not re.search(f'CODECS="(avc1[^",]*,)?([a-z]+-3,)?{entry}[,"]', _codecs(amphi, name)):
                wrong.append(f"CODECS does not say {entry}")
    return wrong


def over_dash(amphi, name):
    """One sound stays AAC beside its pictures over HLS."""
    return is_passed(amphi, name, ("dash",))


def packets_of(path):
    """For each AC-3 and E-AC-3 of a file the digests of its packets, as ffmpeg reads them."""
    indexes = [stream["index"] for stream in streams(path) if stream.get("codec_name") in ("ac3", "eac3")]
    texts = [run(["ffmpeg", "-v", "error", "-i", path, "-map", f"0:{index}", "-c", "copy", "-f", "framemd5", "-"]) for index in indexes]
    return [[line.split(b",")[-1].strip() for line in text.splitlines() if line[:1] != b"#"] for text in texts]
