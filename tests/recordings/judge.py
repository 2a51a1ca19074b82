"""Judges recordings: what each protocol delivers, against what the shape says, by frames and times."""
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import fetch
from reading import RATE, compare_pictures, compare_sound, expected_pictures, picture_of, read, sounds_of, streams
from shape import PASSED, RECODED

# How far picture and sound may be apart from where they were, in seconds: times are rounded to ticks, and to milliseconds in RTMP.
APART = {"hls": 0.012, "dash": 0.012, "rtmp": 0.025, "rtsp": 0.025}
OFF = {"hls": 0.0015, "dash": 0.0015, "rtmp": 0.0025, "rtsp": 0.0025}
# Where presentation begins may move by so much, alike for all tracks.
SHIFT = 0.1
# RTMP and RTSP come at the pace of the clock: so much of a long recording is looked at.
AT_MOST = 9.0
# What a browser plays in fMP4.
PLAYED = {"mp4a", "Opus", "fLaC"}


@dataclass
class Verdict:
    """What was seen of one shape."""
    shape: object
    # Protocol: sentences about what is wrong; empty where all is right.
    wrong: dict = field(default_factory=dict)
    # Protocol: what is delivered, in words.
    got: dict = field(default_factory=dict)
    said: list = field(default_factory=list)

    @property
    def good(self):
        return not any(self.wrong.values())


class Truth:
    """What is expected of a shape: ffmpeg's reading of the reference, played as its spans say."""

    def __init__(self, shape, path, kit):
        reference = shape.reference(kit) if shape.reference else path
        listed = streams(reference, shape.reading)
        sounds = sounds_of(listed)
        wanted = range(len(shape.sounds)) if shape.from_sounds is None else shape.from_sounds
        picture = picture_of(listed) if shape.picture else None
        found = read(reference, picture, [sounds[index] for index in wanted if index < len(sounds)], shape.reading)
        self.pictures = expected_pictures(found.pictures, shape.spans)
        self.sounds = found.sounds
        self.sound_spans = shape.sound_spans or shape.spans
        self.fault = ""
        if shape.status == 200 and (shape.picture and not self.pictures or len(self.sounds) < len(shape.sounds)):
            self.fault = f"the reference cannot be read as the shape says: {found.said[:120]}"


def judge(shape, path, kit, amphi, slow):
    """One shape over all protocols; `slow` is a pool for those that come at the pace of the clock."""
    verdict = Verdict(shape)
    name = path.name
    truth = Truth(shape, path, kit)
    if truth.fault:
        verdict.wrong["reference"] = [truth.fault]
    waiting = {}
    for scheme in ("rtmp", "rtsp"):
        carried = getattr(shape, scheme) or (shape.frames_of if shape.status == 200 else "refused")
        waiting[scheme] = slow.submit(_frames, scheme, carried, shape, truth, amphi.url(name, scheme=scheme), verdict)
    with tempfile.TemporaryDirectory(prefix="amphi_judge_") as folder:
        for scheme, get, file in (("hls", fetch.hls, "playlist.m3u8"), ("dash", fetch.dash, "manifest.mpd")):
            try:
                found = get(amphi.url(name, file), folder)
                verdict.wrong[scheme] = _lists(scheme, found, shape, truth, verdict)
            except Exception as error:
                verdict.wrong[scheme] = [f"the judge fails: {type(error).__name__}: {error}"]
    return verdict, waiting


def end(verdict, waiting, amphi, name):
    for scheme, job in waiting.items():
        try:
            verdict.wrong[scheme] = job.result()
        except Exception as error:
            verdict.wrong[scheme] = [f"the judge fails: {type(error).__name__}: {error}"]
    shape = verdict.shape
    verdict.said = amphi.said(name)
    listed = amphi.listed(name)
    told = verdict.said + ([str(listed)] if listed else [])
    missing = [words for words in shape.left_out
               if not any(all(word.lower() in text.lower() for word in words) for text in told)]
    verdict.wrong["told"] = [f"nobody is told of {' '.join(words)}" for words in missing]
    if shape.look and shape.status == 200:
        verdict.wrong["more"] = shape.look(amphi, name)
    return verdict


def _lists(scheme, found, shape, truth, verdict):
    wrong = []
    if found.status != shape.status:
        verdict.got[scheme] = str(found.status)
        return [f"{found.status} instead of {shape.status}: {found.reason[:160]}"]
    if shape.status != 200:
        verdict.got[scheme] = f"{found.status}: {found.reason}"
        return [f"the reason does not say {word!r}: {found.reason}" for word in shape.reason if word.lower() not in found.reason.lower()]
    wrong += list(dict.fromkeys(found.faults))[:6]
    if found.longest > shape.longest:
        wrong.append(f"a segment of {found.longest:.2f} s")
    if shape.picture != (found.picture is not None):
        wrong.append("no picture" if shape.picture else "a picture that is not expected")
    shift, got = 0.0, []
    if found.picture is not None and shape.picture:
        ours = read(found.picture.path, "v:0", [], later=found.picture.later)
        shift = _pictures(scheme, shape, truth, ours.pictures, wrong)
        got.append(f"{len(ours.pictures)} pictures")
    played = [sound for sound in found.sounds if _letters(sound) in PLAYED or not PLAYED]
    others = [sound for sound in found.sounds if sound not in played]
    if len(played) != len(shape.sounds):
        codecs = ", ".join(_letters(sound) for sound in found.sounds) or "none"
        wrong.append(f"{len(played)} sounds that browsers play instead of {len(shape.sounds)} ({codecs})")
    for index, (kind, sound) in enumerate(zip(shape.sounds, played)):
        if kind == RECODED and _letters(sound) != "mp4a":
            wrong.append(f"sound {index} is {_letters(sound)}, not AAC")
        if index < len(truth.sounds):
            _sound(scheme, shape, truth, index, sound, shift, wrong)
    # Passed through for players that take it, beside what is coded of it.
    recoded = [index for index, kind in enumerate(shape.sounds) if kind == RECODED]
    for number, sound in enumerate(others):
        index = recoded[number] if len(recoded) == len(others) else 0
        if index < len(truth.sounds):
            _sound(scheme, shape, truth, index, sound, shift, wrong)
    languages = [_language(sound.language) for sound in played]
    if shape.languages and scheme == "hls" and languages != list(shape.languages):
        wrong.append(f"languages {languages} instead of {list(shape.languages)}")
    for language, words in shape.texts:
        if not any(language == _language(told) and words in text for told, text in found.texts):
            wrong.append(f"no subtitles in {language} that say {words!r}")
    got += [f"sound {_letters(sound)}" + (f" {sound.language}" if len(found.sounds) > 1 else "") for sound in found.sounds]
    got += [f"subtitles {language}" for language, _ in found.texts]
    verdict.got[scheme] = ", ".join(got)
    return wrong


def _language(told):
    """RFC 5646 §2.2.1 wants the shortest code, but players know both."""
    return {"fra": "fr", "eng": "en"}.get(told, told)


def _letters(rendition):
    return next((entry for kind, entry in rendition.codecs if kind == "soun"), "?")


def _pictures(scheme, shape, truth, ours, wrong, until=1e9):
    """Compares pictures; returns by how much their times are shifted."""
    expected = [it for it in truth.pictures if it[0] < until]
    if until < 1e9:
        ours = [it for it in ours if it[0] < until]
    # ffmpeg's RTSP guesses the times of the first pictures.
    seen = compare_pictures(expected, ours, 3 if scheme == "rtsp" else 0)
    # At the end of a part, pictures in flight are not counted.
    allowed = shape.loose + (4 if until < 1e9 and truth.pictures[-1][0] >= until else 0)
    if seen.missing > allowed:
        wrong.append(f"{seen.missing} of {len(expected)} pictures are missing")
    if seen.extra > allowed:
        wrong.append(f"{seen.extra} pictures that are not expected")
    if seen.before > shape.lead_in * 25 + 0.5 + shape.loose:
        wrong.append(f"{seen.before} pictures before the first")
    if seen.off > OFF[scheme]:
        wrong.append(f"pictures up to {seen.off:.3f} s off")
    if abs(seen.shift) > SHIFT + shape.lead_in + (0.35 if scheme in ("rtmp", "rtsp") else 0):
        wrong.append(f"all pictures are {seen.shift:+.3f} s off")
    return seen.shift


def _sound(scheme, shape, truth, index, sound, shift, wrong):
    listed = streams(sound.path)
    at = sounds_of(listed)
    if not at:
        wrong.append(f"sound {index} cannot be read")
        return
    # A file of picture and sound has one sound; files of sound alone too.
    ours = read(sound.path, None, at[:1], later=sound.later)
    _compare(scheme, shape, truth, index, ours.sounds[0], shift, wrong)


def _compare(scheme, shape, truth, index, pcm, shift, wrong, until=1e9):
    if not shape.picture:
        # Sound alone says itself where it begins.
        first = compare_sound(truth.sounds[index], pcm, truth.sound_spans, 0.0, 3, until)
        shift = sorted(first.lags)[len(first.lags) // 2] if first.lags else 0.0
        if abs(shift) > SHIFT + shape.lead_in + (0.35 if scheme in ("rtmp", "rtsp") else 0):
            wrong.append(f"all of sound {index} is {shift:+.3f} s off")
    seen = compare_sound(truth.sounds[index], pcm, truth.sound_spans, shift, until=until)
    if not seen.compared:
        wrong.append(f"sound {index}: nothing to compare")
    elif seen.alike < 0.9 - 0.15 * bool(shape.loose):
        wrong.append(f"sound {index} is other sound (alike {seen.alike:.2f})")
    # Frames of sound are whole where something is cut out.
    elif seen.off > APART[scheme] * (3 if shape.loose > 20 else 2 if len(truth.sound_spans) > 1 else 1):
        wrong.append(f"sound {index} is up to {seen.off:.3f} s apart from the picture")
    if until >= 1e9 and seen.short > 0.15:
        wrong.append(f"sound {index}: {seen.short:.2f} s are missing at the end")


def _frames(scheme, carried, shape, truth, url, verdict):
    """RTMP and RTSP: one picture and one sound, at the pace of the clock."""
    wrong = []
    options = ["-rtsp_transport", "tcp"] if scheme == "rtsp" else []
    picture = "v:0" if carried in ("both", "picture") else None
    sounds = ["a:0"] if carried in ("both", "sound") else []
    ends = [it[-1][0] for it in (truth.pictures,) if it] + [len(sound) / RATE for sound in truth.sounds[:1]]
    long_ = max(ends, default=0) > AT_MOST + 2
    if carried == "refused":
        found = read(url, "v:0", [], options, at_most=2, timeout=30)
        verdict.got[scheme] = "refused"
        return ["pictures that are not expected"] if found.pictures else []
    found = read(url, picture, sounds, options, at_most=AT_MOST if long_ else None, timeout=45)
    verdict.got[scheme] = carried
    if found.said.startswith("not at its end"):
        wrong.append(found.said)
    if picture and not found.pictures or sounds and not any(found.sounds):
        verdict.got[scheme] = "nothing"
        return [f"{carried} cannot be had: {found.said.splitlines()[-1][:110] if found.said else 'nothing comes'}"]
    until = AT_MOST - 1.5 if long_ else 1e9
    shift = 0.0
    if picture:
        shift = _pictures(scheme, shape, truth, found.pictures, wrong, until)
    if sounds and truth.sounds:
        _compare(scheme, shape, truth, 0, found.sounds[0], shift, wrong, until)
    return wrong


def judge_all(shapes, files, kit, amphi, say=lambda verdict: None):
    """All shapes: two at a time over HTTP, many over RTMP and RTSP, which wait most of the time."""
    verdicts = []
    with ThreadPoolExecutor(24) as slow, ThreadPoolExecutor(3) as fast:
        jobs = [(shape, fast.submit(judge, shape, files[shape.name], kit, amphi, slow)) for shape in shapes]
        for shape, job in jobs:
            verdict, waiting = job.result()
            verdict = end(verdict, waiting, amphi, files[shape.name].name)
            verdicts.append(verdict)
            say(verdict)
    return verdicts
