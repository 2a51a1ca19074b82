"""Recordings of a real recorder: Chromium's MediaRecorder, with pauses and a picture that changes now and then."""
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "browser" / "recorder.mjs"
TYPES = {
    "recorder_vp9_opus.mp4": 'video/mp4;codecs="vp9,opus"',
    "recorder_h264_opus.mp4": 'video/mp4;codecs="avc1.42E01E,opus"',
    "recorder_h264_aac.mp4": 'video/mp4;codecs="avc1.42E01E,mp4a.40.2"',
    "recorder_av1_opus.mp4": 'video/mp4;codecs="av01.0.01M.08,opus"',
}


def waited(process, at_most):
    """The exit code of the process, which is killed if it does not end."""
    try:
        return process.wait(at_most)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def record(folder, seconds):
    """Records each type that this browser knows, all at once; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    running = {folder / name: subprocess.Popen(["node", SCRIPT, folder / name, str(seconds), type_]) for name, type_ in TYPES.items()}
    codes = {path: waited(process, seconds * 3 + 120) for path, process in running.items()}
    if any(code not in (0, 2) for code in codes.values()):
        raise SystemExit(f"Chromium does not record: {codes}")
    made = [path for path, code in codes.items() if code == 0]
    if not made:
        raise SystemExit("this browser records none of these types")
    return made
