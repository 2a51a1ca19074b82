#!/usr/bin/env python3
"""Makes the table and the plot of the README from the figures of `benches/load.py`.

    benches/report.py benches/runs/2026-11-25/load.json [--svg docs/load.svg]

Prints the tables as Markdown: medians over the rounds, with minimum and maximum. Ratios are taken within each round, since
other load on the machine may differ from round to round.
"""
import argparse
import json
from pathlib import Path
from statistics import median

COLOURS = {"amphi": "#0b7a75", "nginx-rtmp": "#c8553d", "nginx": "#6b7280"}
NAMES = {"amphi": "Amphi, transcoding", "nginx-rtmp": "nginx-rtmp", "nginx": "nginx, static files"}


def spread(values, digits=2):
    values = sorted(values)
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({values[0]:.{digits}f}–{values[-1]:.{digits}f})"


def rows_of(run, server, players):
    return [row for row in run["steady"] if row["server"] == server and row["players"] == players]


def steady(run):
    servers = [name for name in COLOURS if any(row["server"] == name for row in run["steady"])]
    print("| players | server | CPU ms per player and minute | CPU s per GB | memory MB | playlist p50 / p99 ms | "
          "segment p50 / p99 ms | stalls | errors |")
    print("|---|---|---|---|---|---|---|---|---|")
    for players in sorted({row["players"] for row in run["steady"]}):
        for server in servers:
            rows = rows_of(run, server, players)
            if not rows:
                continue
            of = lambda what, key: median(row["report"][what][key] for row in rows)
            print(f"| {players} | {NAMES[server]} | {spread([row['cpu_ms_per_player_minute'] for row in rows])} "
                  f"| {spread([row['cpu_s_per_gb'] for row in rows if row['cpu_s_per_gb']])} "
                  f"| {median(row['rss_mb'] for row in rows):.0f} "
                  f"| {of('playlist', 'p50_ms'):.2f} / {of('playlist', 'p99_ms'):.2f} "
                  f"| {of('segment', 'p50_ms'):.2f} / {of('segment', 'p99_ms'):.2f} "
                  f"| {sum(row['report']['stalls'] for row in rows)} "
                  f"| {sum(sum(row['report']['errors'].values()) for row in rows)} |")
    print()
    for players in sorted({row["players"] for row in run["steady"]}):
        ours = {row["round"]: row["cpu_ms_per_player_minute"] for row in rows_of(run, "amphi", players)}
        for server in servers[1:]:
            ratios = [ours[row["round"]] / row["cpu_ms_per_player_minute"] for row in rows_of(run, server, players)
                      if row["round"] in ours and row["cpu_ms_per_player_minute"]]
            if ratios:
                print(f"CPU at {players} players, Amphi / {NAMES[server]}: {spread(ratios)}")


def storm(run):
    if not run["storm"]:
        return
    print("\n| joining within one second | first segment p50 ms | p99 ms | stalls | errors |\n|---|---|---|---|---|")
    for server in COLOURS:
        rows = [row for row in run["storm"] if row["server"] == server]
        if rows:
            print(f"| {rows[0]['players']}, {NAMES[server]} | {spread([row['report']['start']['p50_ms'] for row in rows], 1)} "
                  f"| {spread([row['report']['start']['p99_ms'] for row in rows], 1)} "
                  f"| {sum(row['report']['stalls'] for row in rows)} "
                  f"| {sum(sum(row['report']['errors'].values()) for row in rows)} |")


def plot(run):
    """CPU by number of players. Error bars reach from the lowest to the highest round."""
    counts = sorted({row["players"] for row in run["steady"]})
    values = [row["cpu_ms_per_player_minute"] for row in run["steady"]]
    width, height, left, bottom = 640, 320, 60, 40
    top = max(values) * 1.1
    x = lambda players: left + (width - left - 20) * players / (max(counts) * 1.05)
    y = lambda value: height - bottom - (height - bottom - 30) * max(0, value) / top
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
           f'font-size="12"><rect width="{width}" height="{height}" fill="#fff"/>',
           f'<text x="{left}" y="18">CPU ms per player and minute, one live channel, {run["machine"]["cores"]} cores</text>']
    step = next(step for step in (0.1, 0.25, 0.5, 1, 2, 5, 10, 25, 50, 100, 1000) if top / step <= 6)
    for number in range(int(top / step) + 1):
        at = y(number * step)
        out.append(f'<path d="M{left} {at:.1f}H{width - 20}" stroke="#e5e7eb"/>'
                   f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    for players in counts:
        out.append(f'<text x="{x(players):.1f}" y="{height - bottom + 16}" text-anchor="middle">{players}</text>')
    out.append(f'<text x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">players</text>')
    for place, server in enumerate(name for name in COLOURS if any(row["server"] == name for row in run["steady"])):
        points = [(players, [row["cpu_ms_per_player_minute"] for row in rows_of(run, server, players)])
                  for players in counts if rows_of(run, server, players)]
        line = " ".join(f"{x(players):.1f},{y(median(rows)):.1f}" for players, rows in points)
        colour = COLOURS[server]
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for players, rows in points:
            out.append(f'<path d="M{x(players):.1f} {y(min(rows)):.1f}V{y(max(rows)):.1f}" stroke="{colour}"/>'
                       f'<circle cx="{x(players):.1f}" cy="{y(median(rows)):.1f}" r="3" fill="{colour}"/>')
        out.append(f'<rect x="{width - 190}" y="{30 + 18 * place}" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{width - 172}" y="{40 + 18 * place}">{NAMES[server]}</text>')
    return "\n".join([*out, "</svg>\n"])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("run", type=Path)
    arguments.add_argument("--svg", type=Path)
    options = arguments.parse_args()
    run = json.loads(options.run.read_text())
    machine = run["machine"]
    print(f"{run['at']}, {machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}, {machine['nginx']}\n")
    steady(run)
    storm(run)
    if options.svg:
        options.svg.write_text(plot(run))


if __name__ == "__main__":
    main()
