#!/usr/bin/env python3
"""Makes README's tables and plot from the raw figures of `benches/all`.

    benches/report.py [FOLDER]            prints the tables (of the newest folder in benches/runs)
    benches/report.py --write [FOLDER]    writes them between README's marks, and the plot to docs/load.svg
    benches/report.py --check             exit 1 if README and the plot are not what the files say that README names

Values are medians over the rounds, with the least and the most. Ratios are taken within each round, since other load on the
machine may differ from round to round. A bench that is missing in the folder is named as missing. If too many commits have changed
what is measured since then, by the rule in `src/house/figures.rs`, that is said, too; the test there asks for it.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

from common import ROOT, spread

README, PLOT = ROOT / "README.md", ROOT / "docs/load.svg"
BEGIN, END = "<!-- figures: begin {} -->", "<!-- figures: end -->"
BLOCK = re.compile(re.escape(BEGIN).replace(r"\{\}", r"(\S+)") + r"\n(.*?)" + re.escape(END), re.S)
COLOURS = {"amphi": "#0b7a75", "nginx": "#6b7280", "nginx-pinned": "#a3a3a3", "nginx-rtmp": "#c8553d", "nginx-push": "#8b5cf6"}
NAMES = {"amphi": "Amphi", "nginx": "nginx, static files", "nginx-pinned": "nginx, static files, workers bound to cores",
         "nginx-rtmp": "nginx-rtmp", "nginx-push": "nginx-rtmp, a worker per core"}
BENCHES = {"load": "live viewers", "vod": "recordings", "rtmp": "RTMP", "ladder": "coding", "costly": "costly requests",
           "delay": "delay", "startup": "start-up"}


# ---- what is read


def load(folder):
    return {name: modern(json.loads((folder / f"{name}.json").read_text()))
            for name in BENCHES if (folder / f"{name}.json").exists()}


def modern(run):
    """The first files had the commit in `machine`, and of nginx and of a channel without viewers what they took apart."""
    if "commit" in run:
        return run
    commit = run["machine"]["commit"]
    run |= {"commit": commit.removesuffix("-dirty"), "dirty": commit.endswith("-dirty"), "rivals": {"nginx": run["machine"]["nginx"]},
            "crowd": [], "note": "nginx had neither `open_file_cache` nor `reuseport`."}
    idle = {"amphi": run["channel_cpu_s_per_s"]}
    for row in run["steady"]:
        per = 60_000 / row["players"] / row["window_s"]
        added = row["process_cpu_s"] - idle.get(row["server"], run["idle_nginx_cpu_s_per_s"]) * row["window_s"]
        row |= {"whole_ms_per_player_minute": row["process_cpu_s"] * per, "added_ms_per_player_minute": added * per,
                "whole_cpu_s": row["process_cpu_s"], "delivering_cpu_s": row["cpu_s"] if row["server"] == "amphi" else None}
    return run


def rule():
    """How many commits to which paths make figures old."""
    text = (ROOT / "src/house/figures.rs").read_text()
    paths = re.findall(r'"([^"]+)"', re.search(r"MEASURED: .*?= \[(.*?)\];", text, re.S)[1])
    return int(re.search(r"COMMITS_MAX: usize = (\d+)", text)[1]), paths


def is_old(commits):
    most, paths = rule()
    for commit in commits:
        command = ["git", "-C", str(ROOT), "rev-list", "--no-merges", "--count", f"{commit}..HEAD", "--", *paths]
        told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
        if told.isdigit() and int(told) > most:
            return True
    return False


def of(rows, **wanted):
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def ratios(rows, key, ours, theirs):
    """Ours to theirs, round by round."""
    mine = {row["round"]: row[key] for row in rows if row["server"] == ours}
    return [mine[row["round"]] / row[key] for row in rows if row["server"] == theirs and row["round"] in mine and row[key]]


def known(rows):
    return [name for name in NAMES if any(row["server"] == name for row in rows)]


def many(number):
    return f"{number:,}".replace(",", " ") if number > 9999 else str(number)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def rounds_of(rows):
    count = len({row["round"] for row in rows})
    return f"{count} rounds" if count != 1 else "one round"


# ---- the tables


def live(run):
    rows, out = run["steady"], []
    for players in sorted({row["players"] for row in rows}):
        here = of(rows, players=players)
        for server in known(here):
            mine = of(here, server=server)
            report = lambda kind, rank: median(row["report"][kind][rank] for row in mine)
            part = [row["delivering_cpu_s"] * 60_000 / players / row["window_s"] for row in mine if row.get("delivering_cpu_s")]
            ratio = "" if server == "amphi" else spread(ratios(here, "added_ms_per_player_minute", "amphi", server))
            out.append([many(players), NAMES[server], spread([row["whole_ms_per_player_minute"] for row in mine]),
                        spread([row["added_ms_per_player_minute"] for row in mine]), ratio, f"{median(row['rss_mb'] for row in mine):.0f}",
                        f"{report('playlist', 'p99_ms'):.1f}", f"{report('segment', 'p50_ms'):.1f} / {report('segment', 'p99_ms'):.1f}",
                        f"{sum(row['report']['stalls'] for row in mine)} / {sum(sum(row['report']['errors'].values()) for row in mine)}"])
    text = [f"**Players of one live channel**, {rounds_of(rows)}. Whole: the CPU of all of the server's processes; Amphi's codes the channel "
            "meanwhile, nginx's files are made by others. Added: the same, minus what it takes without viewers."
            + (" " + run["note"] if "note" in run else ""), "",
            *table(["players", "server", "whole, CPU ms per player and minute", "added", "Amphi's added / its", "MB", "playlist p99 ms",
                    "segment p50 / p99 ms", "stalls / errors"], out), "![CPU of players, whole and added](docs/load.svg)", ""]
    for players in sorted({row["players"] for row in run.get("storm") or []}):
        rows = of(run["storm"], players=players)
        told = [f"{NAMES[name]} {spread([row['report']['start']['p99_ms'] for row in of(rows, server=name)], 1)}" for name in known(rows)]
        text += [f"{many(players)} players that join within a second have their first segment, at p99, after (ms): {'; '.join(told)}.", ""]
    for row in run.get("crowd") or []:
        report = row["report"]
        errors = "; ".join(f"{count} x {error}" for error, count in sorted(report["errors"].items(), key=lambda it: -it[1])[:3])
        text += [f"{many(row['players'])} players by two load tests, {NAMES[row['server']]}: {row['open_files']} files open at most in "
                 f"{row['processes']} process{'es' if row['processes'] > 1 else ''}, with a limit of {row['open_files_limit']} for each; {report['stalls']} stalls"
                 + (f"; errors: {errors}." if errors else ", no error."), ""]
    return text


def recorded(run):
    rows, out = run["readers"], []
    for pages in dict.fromkeys(row["pages"] for row in rows):
        for client in dict.fromkeys(row["client"] for row in rows):
            here = of(rows, pages=pages, client=client)
            if not here:
                continue
            cost = lambda name: spread([row["whole_cpu_s_per_gb"] for row in of(here, server=name)], 3)
            out.append([f"{here[0]['players']} readers, {'who copy it' if client == 'read' else 'thrown away by the kernel'}",
                        "as written" if pages == "written" else "read from the disk", cost("amphi"), cost("nginx"),
                        spread(ratios(here, "whole_cpu_s_per_gb", "amphi", "nginx")),
                        spread(ratios(here, "machine_cpu_s_per_gb", "amphi", "nginx"))])
    for players in sorted({row["players"] for row in run["viewers"]}):
        here = of(run["viewers"], players=players)
        cost = lambda name: spread([row["whole_cpu_s_per_gb"] for row in of(here, server=name)], 3)
        for row in here:
            row["machine_cpu_s_per_gb"] = row["machine_cpu_s"] / row["gb"] if row["gb"] else None
        out.append([f"{many(players)} viewers at their own pace", "read from the disk", cost("amphi"), cost("nginx"),
                    spread(ratios(here, "whole_cpu_s_per_gb", "amphi", "nginx")),
                    spread(ratios(here, "machine_cpu_s_per_gb", "amphi", "nginx"))])
    first = {name: [row["first_segment_ms"] for row in times] for name, times in run["opening"].items()}
    ours, faults = of(run["viewers"], server="amphi"), of(rows, server="amphi")
    behind = sum(row["report"]["stalls"] for row in ours)
    errors = sum(sum(row["report"]["errors"].values()) for row in ours + faults)
    return [f"**Recordings**: CPU seconds of whole processes for a GB, {rounds_of(rows)}. nginx has the same lecture in ready segments. "
            "The machine: all CPU but the load test's. Pages as the kernel wrote them are larger than those that it read, and cost less.", "",
            *table(["who", "pages in memory", "Amphi", "nginx, static files", "Amphi / nginx", "the machine, Amphi / nginx"], out),
            f"The first segment of two hours comes {spread(first['cold'], 0)} ms after the first request with a cold page cache, "
            f"{spread(first['warm'], 0)} with a warm one, {spread(first['indexed'], 1)} if the recording is open already. Viewers of Amphi: "
            f"{behind} stalls, {errors} errors.", ""]


def rtmp(run):
    rows, out = run["steady"], []
    for players in sorted({row["players"] for row in rows}):
        here = of(rows, players=players)
        for server in known(here):
            mine = of(here, server=server)
            delays = [row["delay"] for row in mine if row["delay"]["count"]]
            delay = f"{median(it['p50_ms'] for it in delays):.0f} / {median(it['p99_ms'] for it in delays):.0f}" if delays else "–"
            out.append([many(players), NAMES[server], spread([row["whole_ms_per_player_minute"] for row in mine]),
                        spread([row["added_ms_per_player_minute"] for row in mine]),
                        "" if server == "amphi" else spread(ratios(here, "added_ms_per_player_minute", "amphi", server)), delay,
                        f"{median(row['report']['start']['p99_ms'] for row in mine):.0f}",
                        str(sum(row["report"]["stalled_players"] for row in mine)),
                        str(sum(sum(row["report"]["errors"].values()) for row in mine))])
    return [f"**Players of RTMP**, of the same channel, {rounds_of(rows)}. Delay: from the time that the hall burns into a picture to its being "
            "decoded by a player beside them; coding is in it. What is not served costs no CPU: where players lag, the figures before it say little.",
            "", *table(["players", "server", "whole, CPU ms per player and minute", "added", "Amphi's added / its", "delay p50 / p99 ms",
                        "start p99 ms", "players that lagged", "errors"], out)]


CLIPS = {"lecture": "lecture", "camera": "still camera", "follower": "turning camera"}


def coding(run):
    costs, quality = [], []
    for clip in run["clips"]:
        mine, theirs = clip["cpu_s_per_s"]["amphi"], clip["cpu_s_per_s"].get("libx264", [])
        costs.append([CLIPS[clip["clip"]], spread(mine, 3), spread(theirs, 3), spread([a / b for a, b in zip(mine, theirs)])])
        for rung, told in clip["quality"].items():
            get = lambda who, what, digits: f"{told[who][what]:.{digits}f}" if who in told else "–"
            quality.append([CLIPS[clip["clip"]], rung, get("amphi", "kbit_per_s", 0), get("hall", "psnr_db", 1), get("amphi", "psnr_db", 1),
                            get("libx264 for PSNR", "psnr_db", 1), get("amphi", "ssim", 4), get("libx264", "ssim", 4)])
    settings, together = run["settings"], run["together"]
    text = [f"**Coding** of 720p and 480p at 15 pictures a second: CPU seconds per second, {settings['rounds']} runs of {settings['media_seconds']} s, "
            "beside ffmpeg with libx264 (veryfast, zerolatency).", "", *table(["clip", "Amphi", "libx264", "Amphi / libx264"], costs),
            "Luma at equal bit rates, against the clip before the hall's encoder: PSNR beside libx264 tuned for PSNR, SSIM beside libx264 as "
            "it is used. Neither is what an eye sees.", "",
            *table(["clip", "rung", "kbit/s", "the hall's PSNR", "Amphi's", "libx264's", "Amphi's SSIM", "libx264's"], quality)]
    if together:
        text += [f"{together['halls']} halls at once take {together['cpu_s_per_s']:.2f} of {run['machine']['cores']} cores: {together['late_pictures']} "
                 f"late pictures, {together['thinned_rungs']} rungs thinned, {together['cells']} of {together['wanted']} cells.", ""]
    return text


def costly(run):
    kinds = list(dict.fromkeys(row["kind"] for row in run["rounds"]))
    p99 = {kind: median(row["playlist"]["p99_ms"] for row in of(run["rounds"], kind=kind)) for kind in kinds}
    worst = max((kind for kind in kinds if kind != "nobody"), key=p99.get)
    bad = sum(row["bad"] for row in run["rounds"])
    return [f"**Beside {run['settings']['askers']} clients that ask for costly parts of a recording** without a pause, a live playlist takes "
            f"{p99[worst]:.1f} ms at p99 in the worst of {len(kinds) - 1} kinds ({worst}), {p99['nobody']:.1f} ms beside nobody; {bad} failed.", ""]


def waiting(runs):
    """Start-up, switching, and how far behind."""
    out = []
    if run := runs.get("startup"):
        seconds = lambda times: spread([time / 1000 for time in times if time is not None])
        for row in run["clicks"]:
            out.append([f"click to the first picture, {row['what']}", row["player"], seconds(row["ms"])])
        for player in ("hls.js", "RTMP"):
            out.append(["a hall is connected, to its first picture", player, spread([row[player] for row in run["switching"] if row[player]])])
        for protocol, player in dict.fromkeys((row["protocol"], row["player"]) for row in run["glass"]):
            told = [row["delay"]["p50_ms"] / 1000 for row in of(run["glass"], protocol=protocol, player=player) if row["delay"]["count"]]
            out.append([f"glass to glass, {protocol}", player, spread(told)])
    if run := runs.get("delay"):
        for protocol, what in dict.fromkeys((row["protocol"], row["what"]) for row in run["rounds"]):
            told = [row["delay"]["p50_ms"] / 1000 for row in of(run["rounds"], protocol=protocol, what=what) if row["delay"]["count"]]
            out.append([f"{protocol}, {what}", "no buffer", spread(told)])
    return ["**What a viewer waits for**, over loopback, in seconds: medians, with the least and the most of the rounds. Glass to glass: from the "
            "time that the hall burns into a picture to the screen.", "", *table(["", "player", "s"], out)]


def block(folder, old):
    runs = load(folder)
    if not runs:
        raise SystemExit(f"{folder} has no figures; benches/all makes some")
    told = lambda run: f"`{run['commit']}`" + (" with changes that were not committed" if run["dirty"] else "")
    commits = list(dict.fromkeys(map(told, runs.values())))
    run = min(runs.values(), key=lambda run: run["at"])
    machine, rivals = run["machine"], {}
    others = {each["machine"]["cpu"] for each in runs.values()} - {machine["cpu"]}
    before = f", load {run['load_before'][0]:.1f} before" if "load_before" in run else ""
    for each in runs.values():
        rivals |= each["rivals"]
    versions = ", ".join(dict.fromkeys(version.removeprefix("nginx version: ") if not name == "nginx-rtmp" else f"its RTMP module {version}"
                                       for name, version in rivals.items() if version))
    text = [f"Measured on {run['at'][:10]} at commit {', '.join(commits)}: {machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}, "
            f"{machine['memory_mb'] // 1024} GB{before}; {versions}. {'Some of it elsewhere: ' + ', '.join(sorted(others)) + '. ' if others else ''}Servers, coding and load tests share these cores. Median (least–most) of the rounds; "
            "ratios are taken within a round."]
    if old:
        most, paths = rule()
        text += ["", f"**Out of date:** more than {most} later commits touch {', '.join(f'`{path}`' for path in paths)}. To measure again: "
                 "`benches/all`, then `benches/report.py --write`."]
    text += [""]
    for name, make in (("load", live), ("vod", recorded), ("rtmp", rtmp), ("ladder", coding), ("costly", costly)):
        if name in runs:
            text += make(runs[name])
    if "startup" in runs or "delay" in runs:
        text += waiting(runs)
    if missing := [what for name, what in BENCHES.items() if name not in runs]:
        text += [f"Not in this run: {', '.join(missing)}.", ""]
    text += [f"Raw rounds: [`{shown(folder)}`]({shown(folder)})."]
    return "\n".join(text) + "\n"


def shown(folder):
    return folder.resolve().relative_to(ROOT).as_posix()


# ---- the plot


def plot(run):
    """CPU by number of players; bars reach from the lowest to the highest round. Whole processes are dashed."""
    rows = run["steady"]
    counts = sorted({row["players"] for row in rows})
    kinds = {"added_ms_per_player_minute": "", "whole_ms_per_player_minute": ' stroke-dasharray="5 4"'}
    width, height, left, bottom = 720, 340, 60, 40
    top = max(row[kind] for row in rows for kind in kinds) * 1.1
    x = lambda players: left + (width - left - 20) * players / (max(counts) * 1.05)
    y = lambda value: height - bottom - (height - bottom - 30) * max(0, value) / top
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
           f'font-size="12"><rect width="{width}" height="{height}" fill="#fff"/>',
           f'<text x="{left}" y="18">CPU ms per player and minute, one live channel, {run["machine"]["cores"]} cores of '
           f'{run["machine"]["cpu"]}, commit {run["commit"]}; dashed: whole process</text>']
    step = next(step for step in (0.1, 0.25, 0.5, 1, 2, 5, 10, 25, 50, 100, 1000) if top / step <= 6)
    for number in range(int(top / step) + 1):
        at = y(number * step)
        out.append(f'<path d="M{left} {at:.1f}H{width - 20}" stroke="#e5e7eb"/>'
                   f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    for players in counts:
        out.append(f'<text x="{x(players):.1f}" y="{height - bottom + 16}" text-anchor="middle">{players}</text>')
    out.append(f'<text x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">players</text>')
    for place, server in enumerate(known(rows)):
        colour = COLOURS[server]
        for kind, dashes in kinds.items():
            points = [(players, [row[kind] for row in of(rows, server=server, players=players)]) for players in counts]
            points = [(players, values) for players, values in points if values]
            line = " ".join(f"{x(players):.1f},{y(median(values)):.1f}" for players, values in points)
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
            for players, values in points:
                out.append(f'<path d="M{x(players):.1f} {y(min(values)):.1f}V{y(max(values)):.1f}" stroke="{colour}"/>'
                           f'<circle cx="{x(players):.1f}" cy="{y(median(values)):.1f}" r="3" fill="{colour}"/>')
        out.append(f'<rect x="{width - 290}" y="{30 + 18 * place}" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{width - 272}" y="{40 + 18 * place}">{NAMES[server]}</text>')
    return "\n".join([*out, "</svg>\n"])


# ---- README


def newest():
    folders = [folder for folder in (ROOT / "benches/runs").iterdir() if list(folder.glob("*.json"))]
    if not folders:
        raise SystemExit("benches/runs has no figures; benches/all makes some")
    return max(folders, key=lambda folder: folder.name)


def check():
    found = BLOCK.search(README.read_text())
    if not found:
        return f"README.md has no `{BEGIN.format('FOLDER')}` … `{END}`"
    folder = ROOT / found[1]
    if not folder.is_dir():
        return f"README.md names {found[1]}, which is not there"
    if block(folder, "**Out of date:**" in found[2]) != found[2]:
        return f"README.md's figures are not those of {found[1]}: benches/report.py --write {found[1]}"
    if (runs := load(folder)).get("load") and PLOT.read_text() != plot(runs["load"]):
        return f"{PLOT.relative_to(ROOT)} is not made from {found[1]}: benches/report.py --write {found[1]}"
    return None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, nargs="?", help="default: the newest in benches/runs")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--check", action="store_true")
    options = arguments.parse_args()
    if options.check:
        if fault := check():
            sys.exit(fault)
        return
    folder = (options.folder or newest()).absolute()
    runs = load(folder)
    text = block(folder, is_old([run["commit"] for run in runs.values()]))
    if not options.write:
        print(text)
        return
    readme, marked = README.read_text(), f"{BEGIN.format(shown(folder))}\n{text}{END}"
    if not BLOCK.search(readme):
        sys.exit(f"README.md has no `{BEGIN.format('FOLDER')}` … `{END}` to write between")
    README.write_text(BLOCK.sub(lambda _: marked, readme))
    if "load" in runs:
        PLOT.write_text(plot(runs["load"]))
    print(f"README.md and {PLOT.relative_to(ROOT)} say what {shown(folder)} says")


if __name__ == "__main__":
    main()
