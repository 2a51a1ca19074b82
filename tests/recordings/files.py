"""Shapes of files that are there already, such as those of real recorders: all of them must be delivered as ffmpeg reads it."""
import shutil

from reading import longest_group, picture_of, sounds_of, streams
from shape import PASSED, RECODED, Shape

PLAYED = ("aac", "opus", "flac")


def shapes_of(paths):
    return [_shape(path) for path in paths]


def _shape(path):
    listed = streams(path)
    picture = picture_of(listed)
    longest = longest_group(path, picture) if picture is not None else 0
    names = [listed[index].get("codec_name") for index in sounds_of(listed)]
    return Shape(name=f"file_{path.name}", make=lambda kit, to: shutil.copyfile(path, to), group="files", says="as it is",
                 picture=picture is not None, codec=listed[picture].get("codec_name") if picture is not None else "",
                 sounds=tuple(PASSED if name in PLAYED else RECODED for name in names), aac=names[:1] == ["aac"], longest=longest + 6.5)
