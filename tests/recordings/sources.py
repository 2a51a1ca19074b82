"""The plain pictures and sounds that all shapes are made of: coded once, by ffmpeg and GStreamer, always the same."""
import array
import hashlib
import random
import subprocess
import sys
import threading
import wave
from pathlib import Path

SECONDS = 6
RATE = 25
# Pictures between two sync samples.
GROUP = 25

X264 = "-c:v libx264 -preset veryfast -crf 30 -threads 1 -g 25 -keyint_min 25 -sc_threshold 0 -bf"
PICTURES = {
    "h264": f"{X264} 0 -profile:v main",
    "h264_b": f"{X264} 2 -b_strategy 0 -profile:v main",
    "h264_open": f"{X264} 2 -b_strategy 0 -x264-params open-gop=1",
    "h264_one_group": "-c:v libx264 -preset veryfast -crf 30 -threads 1 -g 9999 -keyint_min 9999 -sc_threshold 0 -bf 0",
    "h264_short": "-c:v libx264 -preset veryfast -crf 30 -threads 1 -g 5 -keyint_min 5 -sc_threshold 0 -bf 0",
    "h264_high10": f"{X264} 0 -pix_fmt yuv420p10le",
    "h264_slices": f"{X264} 0 -profile:v main -slices 4",
    "hevc": "-c:v libx265 -preset ultrafast -crf 32 -x265-params log-level=none:pools=1:frame-threads=1:keyint=25:bframes=0",
    "hevc_b": "-c:v libx265 -preset ultrafast -crf 32 -x265-params "
              "log-level=none:pools=1:frame-threads=1:keyint=25:bframes=2:b-adapt=0:open-gop=0",
    "vp9": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -b:v 200k -threads 1",
    "av1": "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 25 -b:v 200k -threads 1",
    "mpeg4": "-c:v mpeg4 -g 25 -q:v 6 -threads 1",
    "mjpeg": "-c:v mjpeg -q:v 9 -pix_fmt yuvj420p -threads 1",
    "prores": "-c:v prores_ks -profile:v 0 -threads 1",
}
SOUNDS = {
    "aac": "-c:a aac -b:a 96k",
    "aac_mono": "-c:a aac -b:a 64k -ac 1",
    "aac_44100": "-c:a aac -b:a 96k -ar 44100",
    "aac_22050": "-c:a aac -b:a 48k -ar 22050 -ac 1",
    "aac_96000": "-c:a aac -b:a 128k -ar 96000",
    "aac_51": "-c:a aac -b:a 192k -af pan=5.1|FL=c0|FR=c1|FC=c0|LFE=c0|BL=c0|BR=c1",
    "opus": "-c:a libopus -b:a 64k",
    "opus_mono": "-c:a libopus -b:a 48k -ac 1 -frame_duration 60",
    "flac": "-c:a flac -sample_fmt s16 -strict experimental",
    "flac_24": "-c:a flac -sample_fmt s32 -bits_per_raw_sample 24 -ar 96000 -strict experimental",
    "ac3": "-c:a ac3 -b:a 128k",
    "ac3_51": "-c:a ac3 -b:a 384k -af pan=5.1|FL=c0|FR=c1|FC=c0|LFE=c0|BL=c0|BR=c1",
    "ac3_44100": "-c:a ac3 -b:a 160k -ar 44100",
    "eac3": "-c:a eac3 -b:a 128k",
    "eac3_51": "-c:a eac3 -b:a 256k -af pan=5.1|FL=c0|FR=c1|FC=c0|LFE=c0|BL=c0|BR=c1",
    "mp3": "-c:a libmp3lame -b:a 96k",
    "mp3_22050": "-c:a libmp3lame -b:a 48k -ar 22050 -ac 1",
    "mp2": "-c:a mp2 -b:a 128k",
    "alac": "-c:a alac",
    "vorbis": "-c:a libvorbis -b:a 96k",
    "pcm_s16le": "-c:a pcm_s16le",
    "pcm_s16be": "-c:a pcm_s16be",
    "pcm_s24le": "-c:a pcm_s24le",
    "pcm_s24be": "-c:a pcm_s24be",
    "pcm_f32le": "-c:a pcm_f32le",
    "pcm_u8": "-c:a pcm_u8 -ar 22050 -ac 1",
    "pcm_alaw": "-c:a pcm_alaw -ar 8000 -ac 1",
    "pcm_mulaw": "-c:a pcm_mulaw -ar 8000 -ac 1",
    "adpcm_ima_qt": "-c:a adpcm_ima_qt",
}
# What mp4 has no number for is kept in a mov.
MOV_ONLY = ("pcm_", "adpcm", "prores")


class NotMade(Exception):
    """A program that is needed says no."""


def run(arguments, **more):
    """Runs a program; a list, or words with blanks between them."""
    words = arguments.split() if isinstance(arguments, str) else [str(word) for word in arguments]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode != 0:
        raise NotMade(f"{' '.join(words)[:300]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def ffmpeg(*words):
    flat = [part for word in words for part in (word.split(" ") if isinstance(word, str) else [str(word)]) if part]
    return run(["ffmpeg", "-v", "error", "-nostdin", "-y", *flat])


class Kit:
    """Makes what shapes begin with, each once, in a folder that is kept."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.locks, self.lock = {}, threading.Lock()

    def once(self, name, make):
        with self.lock:
            mine = self.locks.setdefault(name, threading.Lock())
        with mine:
            path = self.folder / name
            if not path.exists():
                half = self.folder / f"half_{name}"
                make(half)
                half.rename(path)
            return path

    def voice(self, seconds=SECONDS, seed=17):
        """Noise below 3 kHz in syllables, nowhere like itself: what was moved or left out can be found by correlation."""
        def make(path):
            random_, rate, step = random.Random(seed), 48000, 8
            samples = array.array("h")
            last, loud = 0.0, 0.0
            for index in range(seconds * rate // step):
                if index % (rate // step // 10) == 0:
                    loud = random_.uniform(1500, 12000)
                value = random_.uniform(-1, 1) * loud
                for part in range(step):
                    at = int(last + (value - last) * part / step)
                    samples.extend((at, at * 7 // 10))
                last = value
            if sys.byteorder == "big":
                samples.byteswap()
            with wave.open(str(path), "wb") as file:
                file.setnchannels(2)
                file.setsampwidth(2)
                file.setframerate(rate)
                file.writeframes(samples.tobytes())
        return self.once(f"voice_{seconds}_{seed}.wav", make)

    def picture(self, codec="h264", seconds=SECONDS, seed=0, size="320x180", rate=RATE):
        """Pictures alone; every one differs from all others."""
        ending = "mov" if codec.startswith(MOV_ONLY) else "mp4"

        def make(path):
            source = f"testsrc2=s={size}:r={rate}:d={seconds},hue=h={seed * 60}"
            ffmpeg(f"-f lavfi -i {source} -an {PICTURES[codec]} -pix_fmt yuv420p" if "pix_fmt" not in PICTURES[codec]
                   else f"-f lavfi -i {source} -an {PICTURES[codec]}", "-map_metadata -1 -fflags +bitexact -f", ending, path)
        return self.once(f"picture_{codec}_{seconds}_{seed}_{size}_{rate}.{ending}".replace("/", "_"), make)

    def sound(self, codec="aac", seconds=SECONDS, seed=17):
        ending = "mov" if codec.startswith(MOV_ONLY) else "mp4"

        def make(path):
            ffmpeg("-i", self.voice(seconds, seed), SOUNDS[codec], "-fflags +bitexact -flags:a +bitexact -f", ending, path)
        return self.once(f"sound_{codec}_{seconds}_{seed}.{ending}", make)

    def both(self, picture="h264", sound="aac", options="", form=None, inputs=(), **more):
        """Picture and sound in one file, as ffmpeg writes it with these options."""
        said = f"{picture}|{sound}|{options}|{form}|{[str(path) for path in inputs]}|{sorted(more.items())}"
        key = hashlib.sha1(said.encode()).hexdigest()[:12]
        form = form or ("mov" if f"{sound}".startswith(MOV_ONLY) or f"{picture}".startswith(MOV_ONLY) else "mp4")

        def make(path):
            files = [self.picture(picture, **more)] if picture else []
            files += [self.sound(sound)] if sound else []
            files += inputs
            words = [word for file in files for word in ("-i", file)]
            maps = [word for index in range(len(files)) for word in ("-map", str(index))]
            ffmpeg(*words, *maps, "-c copy -strict experimental -fflags +bitexact", options, "-f", form, path)
        return self.once(f"both_{key}.{form}", make)
