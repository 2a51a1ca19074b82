"""Plays recordings in hls.js, dash.js and shaka: each begins, goes on from three places, and ends."""
import json
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "browser" / "odd.mjs"
PLAYERS = (("hls.js", "playlist.m3u8"), ("dash.js", "manifest.mpd"), ("shaka", "manifest.mpd"))


def watch(shapes, amphi, at_most=0, workers=2):
    """Says what players do with the shapes that are meant for browsers; returns whether anything is wrong."""
    wanted = [shape for shape in shapes if shape.browser and shape.status == 200]
    if 0 < at_most < len(wanted):
        wanted = [wanted[number * len(wanted) // at_most] for number in range(at_most)]
    jobs = [{"name": shape.name, "player": player, "url": amphi.url(shape.name, file), "sound": not shape.picture}
            for shape in wanted for player, file in PLAYERS]
    by_name = {shape.name: shape for shape in wanted}
    with subprocess.Popen(["node", SCRIPT, str(workers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(json.dumps(jobs))
        process.stdin.close()
        bad = 0
        for line in process.stdout:
            seen = json.loads(line)
            shape, wrong = by_name[seen["name"]], seen["wrong"]
            if shape.picture and not seen.get("pictures"):
                wrong.append("no pictures")
            if shape.sounds and not seen.get("sound"):
                wrong.append("no sound")
            bad += bool(wrong)
            print(f"{'FAIL' if wrong else 'ok  '} {seen['player']:8} {seen['name']:34} {' | '.join(wrong)}", flush=True)
    print(f"{len(jobs) - bad} of {len(jobs)} play")
    return bool(bad) or process.returncode != 0
