"""The box editor and the muxer on a fixture: python3 -m unittest discover tests/recordings"""
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from boxes import Box, Film, set_edits
from fetch import begins, codecs_of
from muxer import Fragments, fragmented, plain
from tables import read_tracks, samples_of

CLIP = HERE.parent.parent / "fixtures" / "hall_a_low.mp4"


def samples(data):
    return [[(it.data, it.duration, it.shift, it.sync) for it in samples_of(trak, data)] for trak in Film.of(data).tracks()]


class Boxes(unittest.TestCase):
    def setUp(self):
        self.data = CLIP.read_bytes()
        self.known = samples(self.data)

    def test_what_is_not_changed_is_written_as_it_was(self):
        self.assertEqual(Film.of(self.data).bytes(), self.data)

    def test_offsets_follow_what_moves(self):
        film = Film.of(self.data)
        film.children.insert(1, Box(b"free", bytes(1000)))
        film.moov.children.insert(0, Box(b"free", bytes(77)))
        set_edits(film.tracks()[0], [(1000, 0, 1), (500, -1, 1)])
        self.assertEqual(samples(film.bytes()), self.known)

    def test_a_file_that_is_muxed_anew_has_the_same_samples(self):
        film, tracks = read_tracks(CLIP)
        for large in (False, True):
            self.assertEqual(samples(plain(film, tracks, large=large).bytes()), self.known)

    def test_fragments_begin_where_they_say(self):
        film, tracks = read_tracks(CLIP)
        for how in (Fragments(), Fragments(tfdt=32, base="offset"), Fragments(flags="first", durations="default")):
            whole = fragmented(film, tracks, how)
            track = codecs_of(b"".join(box.bytes() for box in whole.children[:2]))[0]
            moofs = [box for box in whole.children if box.kind == b"moof"]
            times = [begins(moof.bytes(), track) for moof in moofs]
            self.assertEqual(times, sorted(times))
            self.assertAlmostEqual(times[1] - times[0], 2.0, places=2)
            media = b"".join(box.body for box in whole.children if box.kind == b"mdat")
            self.assertEqual(len(media), sum(len(it.data) for track in tracks for it in track.samples))


if __name__ == "__main__":
    unittest.main()
