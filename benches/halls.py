#!/usr/bin/env python3
"""Runs `cargo bench --bench halls` (what coding costs, and how its pictures look) and writes its figures down.

    benches/halls.py [--media-seconds 30] [--rounds 5] [--halls 9] [--bench FILE]

The figures become `ladder.json`. `--bench` is a benchmark that is already built (`target/release/deps/halls-...`); otherwise cargo
builds it first, which is not measured. `--binary` is not used: the benchmark is linked with the ladder itself. Needs ffmpeg with libx264.
"""
import json
import os
import subprocess
import tempfile
from pathlib import Path

from common import ROOT, Bench


def main():
    bench = Bench("ladder", __doc__, "ffmpeg", "x264")
    bench.option("--media-seconds", type=int, default=30)
    bench.option("--halls", type=int, default=9, help="how many play at once in the end (0: none)")
    bench.option("--bench", type=Path, help="the benchmark, if it is built")
    options = bench.begin()
    if options.bench:
        command = [options.bench.absolute(), "--bench"]
    else:
        subprocess.run(["cargo", "bench", "--bench", "halls", "--no-run"], cwd=ROOT, check=True)
        bench.head["load_before"] = os.getloadavg()
        command = ["cargo", "bench", "--quiet", "--bench", "halls", "--"]
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([*command, "--seconds", str(options.media_seconds), "--runs", str(options.rounds), "--halls",
                        str(options.halls), "--json", file.name], cwd=ROOT, check=True)
        figures = json.loads(Path(file.name).read_text())
    bench.write(**figures)


if __name__ == "__main__":
    main()
