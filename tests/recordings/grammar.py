"""The grammar of odd recordings: container, edits, fragments, codecs, tracks, times, damage. Each group has a file of its own."""
from boxes import Film
from muxer import Fragments, fragmented, plain
from shape import Shape
from sources import ffmpeg
from tables import copy_of, read_tracks

SHAPES = []
# Groups in the order of the table.
GROUPS = {"container": "Containers and writers", "edits": "Edit lists", "fragments": "Fragments", "codecs": "Codecs",
          "tracks": "Tracks", "times": "Times", "damage": "Damage", "foreign": "What is no recording, or not whole"}


def add(group, name, make, says, **expected):
    """Puts a shape into the grammar; `says` is what is odd about it."""
    if "." not in name:
        name += ".mp4"
    assert all(shape.name != name for shape in SHAPES), name
    SHAPES.append(Shape(name=name, make=make, group=group, says=says, **expected))


def copied(picture="h264", sound="aac", options="", **more):
    """As ffmpeg writes it."""
    return lambda kit, path: path.write_bytes(kit.both(picture, sound, options, **more).read_bytes())


def edited(change, picture="h264", sound="aac", options="", **more):
    """As ffmpeg writes it, and then changed by `change(film)`."""
    def make(kit, path):
        film = Film.read(kit.both(picture, sound, options, **more))
        change(film)
        film.write(path)
    return make


def damaged(change, picture="h264", sound="aac", options="-movflags +faststart", **more):
    """As ffmpeg writes it, and then its bytes are changed: `change(bytes) -> bytes`."""
    return lambda kit, path: path.write_bytes(change(kit.both(picture, sound, options, **more).read_bytes()))


def in_fragments(how=None, change=None, picture="h264", sound="aac", keep_edits=True, **more):
    """The same samples in fragments by our own muxer; `change(tracks)` may change samples before."""
    def make(kit, path):
        film, tracks = read_tracks(kit.both(picture, sound, **more))
        if change:
            tracks = [copy_of(track) for track in tracks]
            tracks = change(tracks) or tracks
        fragmented(film, tracks, how or Fragments(), keep_edits).write(path)
    return make


def remuxed(change=None, picture="h264", sound="aac", after=None, more=None, **how):
    """The same samples in a plain file by our own muxer; `after(film)` may change its boxes."""
    def make(kit, path):
        film, tracks = read_tracks(kit.both(picture, sound, **(more or {})))
        tracks = [copy_of(track) for track in tracks]
        if change:
            tracks = change(tracks) or tracks
        whole = plain(film, tracks, **how)
        if after:
            whole = Film.of(whole.bytes())
            after(whole)
        whole.write(path)
    return make


def by_ffmpeg(*words):
    """A command of its own; a function in it is called with the kit and gives a file."""
    def make(kit, path):
        ffmpeg(*(word(kit) if callable(word) else word for word in words), "-fflags +bitexact", path)
    return make


def base(picture="h264", sound="aac", options="", **more):
    """The plain file that a shape was made from, as the reference."""
    return lambda kit: kit.both(picture, sound, options, **more)


def load():
    """All shapes."""
    if not SHAPES:
        import grammar_codecs
        import grammar_containers
        import grammar_damage
        import grammar_edits
        import grammar_fragments
        import grammar_times
        import grammar_tracks
        for part in (grammar_containers, grammar_edits, grammar_fragments, grammar_codecs, grammar_tracks, grammar_times,
                     grammar_damage):
            part.describe()
    return SHAPES
