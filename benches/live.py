#!/usr/bin/env python3
"""What one live channel costs, compared with ffmpeg coding the same ladder from the same feed in the same run.

    cargo build --release && benches/live.py [--seconds 60]

Prints CPU seconds per second of media and resident memory of `amphi run` with one live channel, of ffmpeg with
libx264 veryfast (and with libopenh264 if it is built in), and of `amphi run` with one idle channel; the time from
the start of `amphi demo` to the first playable playlist; and the latency from a picture's burnt-in number to the
time at which its segment can be fetched. Needs ffmpeg and GStreamer's RTSP server (`tests/run` installs both).
"""
import argparse
import re
import subprocess
import tempfile
import time

from common import LADDER, ROOT, STRIP, configured, delay_of, demo, get, number_of, rss_mb, whole_cpu


def run(directory, name, source):
    hall = f'[[source]]\nname = "hall"\nurl = "{source}"\n' if source else ""
    return configured(directory, f'{hall}{LADDER}[[channel]]\nname = "Live"\nstreams = ["live"]\nladder = "lecture"\n'
                      f'waiting = "{ROOT}/fixtures/waiting.mp4"\n' + ('source = "hall"\n' if source else ""), name)


def ffmpeg(url, codec, directory):
    options = ["-preset", "veryfast", "-profile:v", "high"] if codec == "libx264" else ["-profile:v", "high"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-rtsp_transport", "tcp", "-i", url,
               "-filter_complex", "[0:v]fps=15,split[a][b];[b]scale=854:480[c]"]
    for label, rate in (("a", "750k"), ("c", "400k")):
        command += ["-map", f"[{label}]", "-map", "0:a", "-c:v", codec, *options, "-b:v", rate, "-maxrate", rate,
                    "-bufsize", "1500k", "-g", "30", "-c:a", "aac", "-b:a", "96k",
                    "-f", "mp4", "-movflags", "frag_keyframe+empty_moov", f"{directory}/{codec}_{label}.mp4"]
    return subprocess.Popen(command)


def measure(processes, seconds):
    """CPU seconds per second, and resident megabytes, of processes that run at the same time."""
    before = {name: whole_cpu(pid) for name, pid in processes.items()}
    begun = time.time()
    time.sleep(seconds)
    took = time.time() - begun
    return {name: ((whole_cpu(pid) - before[name]) / took, rss_mb(pid)) for name, pid in processes.items()}


def gstreamer(directory):
    clip = f"{directory}/smp.mp4"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "29", "-i", ROOT / "fixtures/hall_a.mp4",
                    "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-level", "4.1", "-b:v", "750k",
                    "-maxrate", "750k", "-bufsize", "1500k", "-g", "30", "-bf", "0", "-c:a", "aac", "-b:a", "96k",
                    clip], check=True)
    server = subprocess.Popen(["/usr/bin/python3", ROOT / "tests/it/gst_server.py", clip], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    return server, f"rtsp://127.0.0.1:{server.stdout.readline().split()[1]}/extron1"


def first_playlist(server):
    while True:
        try:
            playlist = get(f"http://{server.http}/Live_L2/live_720p/playlist.m3u8")
            name = [line for line in playlist.decode().splitlines() if line and line[0] != "#"][0]
            get(f"http://{server.http}/Live_L2/{name}")
            return time.time() - server.begun
        except OSError:
            time.sleep(0.02)


def latencies(server, count):
    """For each of `count` new segments: seconds from the burnt-in number of its last picture to the fetch."""
    base = f"http://{server.http}/Live_PAES"
    seen, found = None, []
    while len(found) < count:
        playlist = get(f"{base}/chunklist_720p.m3u8").decode()
        newest = [line for line in playlist.splitlines() if line and line[0] != "#"][-1]
        if newest == seen:
            time.sleep(0.005)
            continue
        media, at = get(f"{base}/{newest}"), time.time()
        init = get(f"{base}/" + re.search(r'MAP:URI="([^"]+)"', playlist)[1])
        if seen:
            luma = subprocess.run(["ffmpeg", "-v", "error", "-i", "-", "-vf", STRIP,
                                   "-f", "rawvideo", "-pix_fmt", "gray", "-"], input=init + media,
                                  stdout=subprocess.PIPE, check=True).stdout[-10:]
            found.append(delay_of(number_of(luma) or 0, at))
        seen = newest
    return sorted(found)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=int, default=60)
    seconds = arguments.parse_args().seconds
    encoders = subprocess.run(["ffmpeg", "-v", "error", "-encoders"], stdout=subprocess.PIPE, text=True).stdout
    codecs = [codec for codec in ("libx264", "libopenh264") if codec in encoders]
    with tempfile.TemporaryDirectory() as directory:
        hall, url = gstreamer(directory)
        live, idle = run(directory, "live", url), run(directory, "idle", None)
        time.sleep(12)
        print(f"one live channel, {seconds} s each beside the server:")
        for codec in codecs:
            peer = ffmpeg(url, codec, directory)
            time.sleep(5)
            got = measure({"amphi": live.pid, "idle": idle.pid, codec: peer.pid}, seconds)
            peer.terminate()
            peer.wait()
            ours, theirs = got["amphi"], got[codec]
            print(f"  amphi {ours[0]:.3f} CPU s/s, {ours[1]:.0f} MB · ffmpeg {codec} {theirs[0]:.3f} CPU s/s, "
                  f"{theirs[1]:.0f} MB · ratio {ours[0] / theirs[0]:.2f} · idle channel {got['idle'][0]:.4f} CPU s/s, "
                  f"{got['idle'][1]:.0f} MB")
        for process in (live, idle):
            process.end()
        hall.terminate()
    server = demo()
    print(f"demo: first segment fetched {first_playlist(server):.2f} s after the start")
    time.sleep(12)
    found = latencies(server, 8)
    print(f"latency from a segment's last picture to its fetch: {found[0]:.2f} to {found[-1]:.2f} s, "
          f"median {found[len(found) // 2]:.2f} s")
    server.end()


if __name__ == "__main__":
    main()
