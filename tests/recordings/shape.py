"""What a shape is: how an odd recording is made, and what players and operators must get of it."""
from dataclasses import dataclass
from typing import Callable, Optional

ALL = ((0.0, float("inf"), 0.0),)
# Sound as it is in the file, or decoded and coded to AAC.
PASSED, RECODED = "passed", "recoded"


@dataclass
class Shape:
    """One odd recording. Its name says container, edits, fragments, codecs, tracks, times or damage, as far as they are odd."""
    name: str
    # f(kit, path): writes the file.
    make: Callable
    # Which part of the grammar it is from.
    group: str = ""
    # In words, for the table.
    says: str = ""
    # 200; 415 with the reason where nothing can be played; 503 where it may be there later.
    status: int = 200
    # Words of the reason.
    reason: tuple = ()
    # Whether there are pictures; what of them, as (from, to, at) in seconds of the reference.
    picture: bool = True
    spans: tuple = ALL
    # One entry for each sound that is offered, in order.
    sounds: tuple = (PASSED,)
    # Where sound plays, if otherwise than the picture.
    sound_spans: Optional[tuple] = None
    # Which sounds of the reference they are, in order.
    from_sounds: Optional[tuple] = None
    languages: Optional[tuple] = None
    # What subtitles must say, as (language, words).
    texts: tuple = ()
    # f(kit): another file that says what is expected; None: the file itself as ffmpeg reads it.
    reference: Optional[Callable] = None
    # Options for ffmpeg when it reads the reference.
    reading: tuple = ()
    # Each: words that the log or REST must have together in one sentence about this file.
    left_out: tuple = ()
    # Pictures that may be shown before the first, because a decoder needs them, in seconds.
    lead_in: float = 0.0
    # The longest segment that is right, in seconds.
    longest: float = 3.1
    # Pictures that decoders may make otherwise, because the file is damaged.
    loose: int = 0
    # Subtitles, chapters and so on that a script can look at more closely: f(amphi, name) -> faults.
    look: Optional[Callable] = None
    # What RTMP and RTSP carry: "both", "picture", "sound", "refused"; None: as the codecs say.
    rtmp: Optional[str] = None
    rtsp: Optional[str] = None
    # Played in a browser too.
    browser: bool = False
    # Part of the small sample.
    sample: bool = False
    # The picture's codec.
    codec: str = "h264"
    # Whether its first sound is AAC, passed through.
    aac: bool = True

    @property
    def frames_of(self):
        """What protocols that carry H.264 and AAC have of it."""
        picture = self.picture and self.codec == "h264"
        sound = bool(self.sounds) and (self.aac or self.sounds[0] == RECODED)
        return {(True, True): "both", (True, False): "picture", (False, True): "sound", (False, False): "refused"}[picture, sound]
