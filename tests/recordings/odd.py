"""Makes odd recordings, plays them from a server over every protocol and says what is wrong: tests/odd --help."""
import argparse
import hashlib
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grammar
from amphi import Amphi
from judge import judge_all
from sources import Kit, NotMade

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "target"


def version():
    """What the recordings depend on: our own scripts. Those of another version are made anew."""
    files = sorted([*HERE.glob("*.py"), HERE.parent / "browser" / "mp4box.mjs"])
    kept = [path for path in files if path.name not in ("odd.py", "judge.py", "fetch.py", "reading.py", "amphi.py", "players.py", "files.py", "recorders.py", "test_boxes.py")]
    return hashlib.sha1(b"".join(path.read_bytes() for path in kept)).hexdigest()[:12]


def make(shapes, folder):
    """Makes those that are not there yet, two at a time; returns their files and the names of those that could not be made."""
    kit = Kit(folder / "kit")
    out = folder / version()
    out.mkdir(parents=True, exist_ok=True)
    files, failed = {}, {}

    def one(shape):
        path = out / shape.name
        if not path.exists() or shape.group == "files":
            half = out.parent / f"half_{shape.name}"
            try:
                shape.make(kit, half)
                half.rename(path)
            except NotMade as error:
                failed[shape.name] = str(error)
                return
        files[shape.name] = path

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, shapes))
    return kit, files, failed, out


def chosen(arguments):
    shapes = grammar.load()
    if arguments.sample:
        shapes = [shape for shape in shapes if shape.sample]
    if arguments.only:
        shapes = [shape for shape in shapes if re.search(arguments.only, f"{shape.group}/{shape.name}")]
    return shapes


def told(verdict):
    return "; ".join(verdict.said)


def short(verdict):
    wrong = [f"{scheme}: {sentence}" for scheme, sentences in verdict.wrong.items() for sentence in sentences]
    return " | ".join(wrong)


def markdown(verdicts):
    """The table of tests/README.md."""
    lines = []
    for group, title in grammar.GROUPS.items():
        rows = [verdict for verdict in verdicts if verdict.shape.group == group]
        if not rows:
            continue
        lines += ["", f"### {title}", "", "| recording | shape | HLS and DASH | RTMP, RTSP | operators |", "|---|---|---|---|---|"]
        for verdict in rows:
            shape, got = verdict.shape, verdict.got
            hls, dash = got.get("hls", ""), got.get("dash", "")
            lists = hls if hls == dash else f"HLS: {hls}; DASH: {dash}"
            rtmp, rtsp = got.get("rtmp", ""), got.get("rtsp", "")
            frames = rtmp if rtmp == rtsp else f"RTMP: {rtmp}; RTSP: {rtsp}"
            mark = "" if verdict.good else f" **{short(verdict)}**"
            cells = (f"`{shape.name}`", shape.says, lists + mark, frames, told(verdict) or "nothing")
            lines.append("| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def main():
    # What was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog="tests/odd", description=__doc__)
    parser.add_argument("binary", nargs="?", default=TARGET / "release" / "amphi", help="the server (default: target/release/amphi)")
    parser.add_argument("--only", metavar="PATTERN", help="those whose group/name matches")
    parser.add_argument("--sample", action="store_true", help="the small sample that tests/run has")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--make", action="store_true", help="make them, and no more")
    parser.add_argument("--markdown", metavar="FILE", help="write the table for tests/README.md")
    parser.add_argument("--folder", type=Path, default=TARGET / "odd", help="where they are made and kept")
    parser.add_argument("--files", nargs="+", type=Path, metavar="MP4", help="judge these files instead, as they are")
    parser.add_argument("--players", type=int, metavar="N", help="play so many with hls.js, dash.js and shaka instead (0: all that are meant)")
    parser.add_argument("--record", type=int, metavar="SECONDS", help="record with Chromium's MediaRecorder for so long, and judge that")
    arguments = parser.parse_args()
    shapes = chosen(arguments)
    if arguments.list:
        for shape in shapes:
            print(f"{shape.group:10} {shape.name:34} {shape.says}")
        print(len(shapes))
        return 0
    begun = time.monotonic()
    if arguments.record:
        from recorders import record
        arguments.files = record(arguments.folder / "recorded", arguments.record)
    if arguments.files:
        from files import shapes_of
        shapes = shapes_of(arguments.files)
    kit, files, failed, folder = make(shapes, arguments.folder)
    print(f"{len(files)} recordings are there after {time.monotonic() - begun:.0f} s")
    for name, why in failed.items():
        print(f"NOT MADE {name}: {why}")
    if arguments.make:
        return bool(failed)
    shapes = [shape for shape in shapes if shape.name in files]
    with Amphi(arguments.binary, folder) as amphi:
        if arguments.players is not None:
            from players import watch
            return watch(shapes, amphi, arguments.players) or bool(failed)

        def say(verdict):
            print(f"{'ok  ' if verdict.good else 'FAIL'} {verdict.shape.name:34} {short(verdict) or verdict.got.get('hls', '')}", flush=True)

        verdicts = judge_all(shapes, files, kit, amphi, say)
    bad = [verdict for verdict in verdicts if not verdict.good]
    print(f"{len(verdicts) - len(bad)} of {len(verdicts)} are right, in {time.monotonic() - begun:.0f} s")
    if arguments.markdown:
        Path(arguments.markdown).write_text(markdown(verdicts) + "\n")
    return bool(bad or failed)


if __name__ == "__main__":
    sys.exit(main())
