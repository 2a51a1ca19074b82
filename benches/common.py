"""What all benches share: the machine, servers and their CPU, nginx at its best, rounds, and the files of raw figures.

A bench is a script that writes `benches/runs/<date>/<name>.json`: what it measured, every round of it, with the commit, the
machine, the settings and the versions of what it is compared with. `benches/report.py` makes tables and plots of these files;
`benches/all` runs all benches. This is Python rather than Rust: it starts processes and reads /proc, and needs nothing of the
crate.

Three figures of a server's CPU are told, and each says which it is:

  whole      the CPU time of all its processes and threads, whatever they do (`whole_cpu`)
  added      the same, minus what it takes without viewers
  machine    everything that the machine did meanwhile, minus the load test (`machine_cpu`): the kernel's work that is
             charged to no process is in it, and so are all other processes
"""
import argparse
import atexit
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
OURS = "amphi"
ANYWHERE = "127.0.0.1:0"
LADDER = """
[[ladder]]
name = "lecture"
audio = { bitrate = 96000, sample_rate = 48000, channels = 2 }
rung = [
  { name = "720p", width = 1280, height = 720, fps = 15, bitrate = 750000 },
  { name = "480p", width = 854, height = 480, fps = 15, bitrate = 400000 },
  { name = "160p", audio_only = true },
]
"""


class Binaries:
    """The server that is measured, and whose load test plays."""
    server = os.environ.get("AMPHI", str(ROOT / "target/release/amphi"))
    loadtest = os.environ.get("AMPHI_LOADTEST")

    @classmethod
    def player(cls):
        return cls.loadtest or cls.server


# ---- the file of a run


def said(*command):
    """What a command prints; empty if it cannot be run."""
    try:
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20).stdout
    except OSError:
        return ""
    return text.strip()


def read(path, default=""):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return default


def machine():
    cpu = re.search(r"model name\s*:\s*(.+)", read("/proc/cpuinfo"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {"cpu": cpu[1].strip() if cpu else "unknown", "cores": os.cpu_count(), "kernel": os.uname().release,
            "memory_mb": int(re.search(r"MemTotal:\s+(\d+)", read("/proc/meminfo"))[1]) // 1024,
            "limits": {"open_files": soft, "open_files_hard": hard, "cgroup_memory": read("/sys/fs/cgroup/memory.max"),
                       "cgroup_cpu": read("/sys/fs/cgroup/cpu.max"), "somaxconn": read("/proc/sys/net/core/somaxconn"),
                       "local_ports": read("/proc/sys/net/ipv4/ip_local_port_range")}}


def commit():
    """The commit of the tree, and whether something that is measured differs from it. Files of runs and texts do not."""
    git = lambda *arguments: said("git", "-C", str(ROOT), *arguments)
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benches/runs", ":!*.md", ":!*.svg")
    return {"commit": git("rev-parse", "--short=9", "HEAD"), "dirty": bool(changed)}


def described(path):
    """A binary does not say its commit; when it was built, and its hash, tell builds apart."""
    path = Path(path)
    if not path.is_file():
        raise SystemExit(f"{path} is not there: `cargo build --release`, or --binary FILE")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
    built = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
    return {"version": said(path, "--version"), "built": built, "sha256": digest.hexdigest()[:16]}


RIVALS = {
    "nginx": lambda: said("nginx", "-v").removeprefix("nginx version: "),
    "nginx-rtmp": lambda: said("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-rtmp"),
    "ffmpeg": lambda: said("ffmpeg", "-version").split(" Copyright")[0].replace(" version", ""),
    "x264": lambda: said("dpkg-query", "-W", "-f", "${Package} ${Version}", "libx264-*"),
    # Debian's script says other things, too.
    "chromium": lambda: next(iter(re.findall(r"Chromium [\d.]+", said("chromium", "--version"))), ""),
}


class Bench:
    """The options that all benches have, and the file that they write."""

    def __init__(self, name, description, *rivals, rounds=5):
        self.name, self.rivals = name, rivals
        self.parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.parser.add_argument("--binary", help="the server (default: target/release/amphi, or $AMPHI)")
        self.parser.add_argument("--loadtest", help="whose `loadtest` plays (default: the server's own)")
        self.parser.add_argument("--out", type=Path, help="the file to write (default: benches/runs/<date>/<name>.json)")
        if rounds:
            self.parser.add_argument("--rounds", type=int, default=rounds)
        self.option = self.parser.add_argument

    def begin(self):
        options = self.parser.parse_args()
        Binaries.server = os.path.abspath(options.binary or Binaries.server)
        Binaries.loadtest = os.path.abspath(options.loadtest) if options.loadtest else Binaries.loadtest
        self.head = {
            "bench": self.name, "at": datetime.now(timezone.utc).isoformat(timespec="seconds"), **commit(),
            "machine": machine(), "load_before": os.getloadavg(),
            "settings": {name: value for name, value in vars(options).items() if name not in ("binary", "loadtest", "out", "bench")},
            "binary": described(Binaries.server), "rivals": {name: RIVALS[name]() for name in self.rivals}}
        day = ROOT / "benches/runs" / self.head["at"][:10]
        self.out = options.out or day / f"{self.name}.json"
        print(f"{self.name}: commit {self.head['commit']}{' with changes' if self.head['dirty'] else ''}, "
              f"{os.cpu_count()} cores of {self.head['machine']['cpu']}, load {os.getloadavg()[0]:.1f} before", flush=True)
        return options

    def write(self, **figures):
        self.out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**self.head, **figures}, indent=1, default=str)
        # A list of bare numbers stands on one line.
        text = re.sub(r"\[[\s\d.,eE+-]+\]", lambda it: re.sub(r"\s+", " ", it[0]), text)
        self.out.write_text(text + "\n")
        print(f"written: {self.out}", flush=True)


# ---- rounds


def spread(values, digits=2):
    """Median, with the least and the most."""
    values = sorted(values)
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({values[0]:.{digits}f}–{values[-1]:.{digits}f})"


def turns(names, number):
    """Who goes first has the warmer machine: all take turns at it."""
    names = list(names)
    return names[number % len(names):] + names[:number % len(names)]


# ---- processes

started = []


def start(command, **more):
    process = subprocess.Popen([str(part) for part in command], **more)
    started.append(process)
    return process


def end(process, patience=15):
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@atexit.register
def end_all():
    for process in reversed(started):
        end(process, 5)


# An interrupted bench ends what it has started, too.
signal.signal(signal.SIGTERM, lambda *_: exit(143))


def tree(pid):
    """A process and those that it has started."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, read(children).split())
    return found


def stat(path):
    text = read(path)
    name, fields = text[text.index("(") + 1:text.rindex(")")], text.rsplit(")", 1)[1].split()
    return name, [int(field) / TICKS for field in fields[11:15]]


def whole_cpu(pid):
    """CPU seconds of a process and of those that it has started, also of those that have ended."""
    return sum(sum(stat(f"/proc/{one}/stat")[1]) for one in tree(pid))


def thread_cpu(pid):
    """CPU seconds of a process by thread name. The time of threads that have ended is lost; a server's live as long as it."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, times = stat(task / "stat")
        except (OSError, ValueError):
            continue
        found[name] = found.get(name, 0) + times[0] + times[1]
    return found


def is_delivering(thread):
    return thread == OURS or thread.startswith("deliver")


def delivering_cpu(pid):
    return sum(seconds for name, seconds in thread_cpu(pid).items() if is_delivering(name))


def machine_cpu():
    """CPU seconds of the whole machine, with interrupts (proc_stat(5): all but idle, iowait and guests)."""
    fields = [int(field) for field in read("/proc/stat").splitlines()[0].split()[1:]]
    return sum(fields[place] for place in (0, 1, 2, 5, 6, 7)) / TICKS


def rss_mb(pid):
    sizes = (re.search(r"VmRSS:\s+(\d+)", read(f"/proc/{one}/status")) for one in tree(pid))
    return sum(int(size[1]) for size in sizes if size) / 1024


def raise_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


OPEN_FILES = raise_limit()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, method="GET", body=None):
    request = urllib.request.Request(url, method=method, data=body and json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"} if body else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def listed(url):
    """The URIs of a playlist, as they stand there."""
    return [line for line in get(url).decode().splitlines() if line and line[0] != "#"]


# ---- servers


class Amphi:
    """A server on ports that the system chooses."""

    def __init__(self, arguments, binary=None):
        self.log = tempfile.TemporaryFile("w+")
        self.begun = time.time()
        self.process = start([binary or Binaries.server, "--log-format", "json", *arguments], stderr=self.log,
                             stdout=subprocess.DEVNULL)
        self.pid = self.process.pid
        self.http = self.address("http")

    def lines(self):
        self.log.seek(0)
        return [json.loads(line).get("fields", {}) for line in self.log if line.startswith("{") and line.endswith("\n")]

    def address(self, service):
        until = time.time() + 60
        while time.time() < until:
            for fields in self.lines():
                if fields.get("message") == "listening" and fields.get("service") == service:
                    return fields["address"]
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.log.seek(0)
        raise SystemExit("the server does not listen:\n" + self.log.read()[-2000:])

    def end(self):
        end(self.process)


def configured(home, text, name="amphi", more="", binary=None):
    """`amphi run` with a configuration, on any ports."""
    config = Path(home) / f"{name}.toml"
    config.write_text(f'[server]\nlisten = "{ANYWHERE}"\nhttp_listen = "{ANYWHERE}"\nadmin_listen = "{ANYWHERE}"\n'
                      f'state_dir = "{home}/{name}.state"\n{more}{text}')
    return Amphi(["run", config], binary)


def demo(*more, binary=None):
    return Amphi(["demo", "--listen", ANYWHERE, "--http-listen", ANYWHERE, "--admin-listen", ANYWHERE, *more], binary)


class Halls:
    """Simulated SMP 351s: those of a demo whose own channels stay idle."""

    def __init__(self, binary=None):
        self.demo = demo("--no-schedule", binary=binary)
        self.urls = [line["url"] for line in self.demo.lines() if line.get("message") == "simulated SMP 351"]
        get(f"http://{self.demo.address('admin')}/api/v1/channels/Live_PAES/source", "DELETE")

    def end(self):
        self.demo.end()


def live_server(home, halls, channels=1, binary=None, more=""):
    """`amphi run` with so many live channels of three rungs, `Live_0` and so on, and a recording; `more` of the configuration."""
    recordings = home / "nas"
    recordings.mkdir(exist_ok=True)
    shutil.copy(ROOT / "fixtures/hall_a.mp4", recordings)
    text = f'{LADDER}[[vod]]\nname = "vod"\nroot = "{recordings}"\n'
    for number in range(channels):
        text += (f'[[source]]\nname = "hall{number}"\nurl = "{halls.urls[number % len(halls.urls)]}"\ntransport = "tcp"\n'
                 f'[[channel]]\nname = "Live_{number}"\nstreams = ["live"]\nladder = "lecture"\n'
                 f'waiting = "{ROOT}/fixtures/waiting.mp4"\nsource = "hall{number}"\n')
    amphi = configured(home, text + more, f"live{channels}", "connections = 100000\nconnections_per_address = 15000\n", binary)
    metrics = f"http://{amphi.address('admin')}/metrics"
    for number in range(channels):
        until = time.time() + 60
        while f'amphi_channel_live{{channel="Live_{number}"}} 1' not in get(metrics).decode():
            if time.time() > until:
                raise SystemExit(f"Live_{number} does not go live")
            time.sleep(0.2)
    time.sleep(8)
    return amphi


class Nginx:
    """nginx with the settings at which it costs least: sendfile, tcp_nopush, a socket for each worker (reuseport), no access
    log, and an open_file_cache for what does not change. Playlists of live channels are replaced every two seconds, and the
    cache would serve old ones, so they are left out of it. Workers are not bound to cores unless `pinned`: the load test runs
    on the same ones."""

    def __init__(self, home, root=None, rtmp=None, workers=os.cpu_count(), auto_push=False, pinned=False, live=True,
                 name="nginx"):
        self.port, self.ingest = free_port(), free_port()
        module = next(iter(Path("/usr/lib/nginx/modules").glob("ngx_rtmp_module.so")), None) if rtmp else None
        temporary = "".join(f"{kind}_temp_path {home}/{name}.{kind}; " for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        lines = [f"load_module {module};" if module else "", "user root;" if os.getuid() == 0 else "",
                 f"daemon off; worker_processes {workers}; pid {home}/{name}.pid; error_log {home}/{name}.log;",
                 "worker_cpu_affinity auto;" if pinned else "", f"worker_rlimit_nofile {OPEN_FILES};",
                 f"rtmp_auto_push on; rtmp_socket_dir {home};" if auto_push else "",
                 f"events {{ worker_connections {min(OPEN_FILES - 500, 100_000)}; }}"]
        if root:
            lines.append(f"""
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_timeout 75; keepalive_requests 100000000; {temporary}
  open_file_cache max=20000 inactive=120s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
  types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 m4s mp4; }}
  server {{ listen 127.0.0.1:{self.port} reuseport backlog=4096; root {root};
    {r"location ~ [.]m3u8$ { open_file_cache off; }" if live else ""} }}
}}""")
        if rtmp:
            lines.append(f"rtmp {{ server {{ listen 127.0.0.1:{self.ingest}; chunk_size 65536; {rtmp} }} }}")
        config = Path(home) / f"{name}.conf"
        config.write_text("\n".join(line for line in lines if line) + "\n")
        self.process = start(["nginx", "-c", config, "-e", f"{home}/{name}.log"])
        self.pid = self.process.pid
        time.sleep(1)
        if self.process.poll() is not None:
            raise SystemExit("nginx does not start: " + read(f"{home}/{name}.log")[-800:])

    def push(self, url, application):
        """Publishes a stream to it as it is, at its own pace."""
        loop = [] if "://" in str(url) else ["-re", "-stream_loop", "-1"]
        self.pusher = start(["ffmpeg", "-nostdin", "-v", "error", *loop, "-i", url, "-c", "copy", "-f", "flv",
                             f"rtmp://127.0.0.1:{self.ingest}/{application}"])

    def end(self):
        if hasattr(self, "pusher"):
            end(self.pusher)
        end(self.process)


# ---- the load test


class Players:
    """`amphi loadtest`, as one process or several beside each other."""

    def __init__(self, url, players, seconds, ramp, *more, generators=1):
        self.begun, self.processes = time.time(), []
        share = -(-players // generators)
        for number in range(generators):
            count = min(share, players - number * share)
            first = ["--first-player", number * share] if generators > 1 else []
            self.processes.append(start(
                [Binaries.player(), "loadtest", url, "--players", count, "--duration", seconds, "--ramp", ramp, "--json", "-",
                 *first, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def cpu(self):
        return sum(whole_cpu(process.pid) for process in self.processes)

    def report(self):
        """What they saw. Of several load tests the counts are added, and of latencies the worse ones are told."""
        reports = []
        texts = [None] * len(self.processes)

        def take(number):
            texts[number] = self.processes[number].communicate()
        readers = [threading.Thread(target=take, args=(number,)) for number in range(len(texts))]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        for out, error in texts:
            if not out:
                raise SystemExit(f"the load test says: {error.strip()[-800:]}")
            reports.append(json.loads(out))
        whole = reports[0]
        for other in reports[1:]:
            for name, value in other.items():
                if name == "errors":
                    for error, count in value.items():
                        whole["errors"][error] = whole["errors"].get(error, 0) + count
                elif name == "timeline":
                    for one, two in zip(whole["timeline"], value):
                        one["mbit_per_s"] += two["mbit_per_s"]
                        one["players"] += two["players"]
                elif isinstance(value, dict):
                    whole[name] = {key: whole[name][key] + value[key] if key == "count" else max(whole[name][key], value[key])
                                   for key in value}
                elif isinstance(value, (int, float)) and name != "seconds":
                    whole[name] += value
        return whole


WARM_S = 3


def steady(server, url, pid, players, seconds, idle, *more, ramp=None, generators=1):
    """One server with so many players, while all play. `idle`: its whole CPU s/s without any."""
    ramp = ramp or max(2, players // 1000)
    test = Players(url, players, ramp + WARM_S + seconds + 1, ramp, *more, generators=generators)
    time.sleep(ramp + WARM_S)
    look = lambda: (time.time(), whole_cpu(pid), delivering_cpu(pid) if server == OURS else None, machine_cpu(), test.cpu())
    first = look()
    time.sleep(seconds)
    since, whole, delivering, busy, player = (None if one is None else two - one for one, two in zip(first, look()))
    memory, load = rss_mb(pid), os.getloadavg()[0]
    report = test.report()
    window = [second for second in report.pop("timeline") if 0 <= second["at_s"] + test.begun - first[0] <= since]
    gb = sum(second["mbit_per_s"] for second in window) / max(1, len(window)) * since / 8000
    minutes, added = players * since / 60, whole - idle * since
    return {"server": server, "players": players, "window_s": since, "gb": gb, "whole_cpu_s": whole, "added_cpu_s": added,
            "delivering_cpu_s": delivering, "machine_cpu_s": busy - player, "players_cpu_s": player,
            "whole_ms_per_player_minute": whole * 1000 / minutes, "added_ms_per_player_minute": added * 1000 / minutes,
            "whole_cpu_s_per_gb": whole / gb if gb else None, "rss_mb": memory, "load_average": load, "report": report}


def faults(report):
    """Stalls and errors, if there are any."""
    errors = sum(report["errors"].values())
    return f"{report['stalls']} stalls, {errors} errors" + (f" {report['errors']}" if errors else "")


def tell(row):
    report = row["report"]
    print(f"  {row['server']:13} {row['players']:6} players: whole {row['whole_ms_per_player_minute']:6.2f}, added "
          f"{row['added_ms_per_player_minute']:6.2f} ms/player-min, {row['gb']:.2f} GB, {row['rss_mb']:4.0f} MB, playlist p99 "
          f"{report['playlist']['p99_ms']:.2f} ms, segment p50/p99 {report['segment']['p50_ms']:.2f}/"
          f"{report['segment']['p99_ms']:.2f} ms, {faults(report)}", flush=True)
    return row


def idle_cpu(pids, seconds):
    """Whole CPU s/s of processes that run at the same time, and of delivering threads in the first of them."""
    pids = list(pids)
    look = lambda: [time.time(), delivering_cpu(pids[0]), *map(whole_cpu, pids)]
    first = look()
    time.sleep(seconds)
    took, *used = (two - one for one, two in zip(first, look()))
    return [value / took for value in used]


# ---- the clock that is burnt into the pictures of simulated halls


LOOP_S, PICTURES_PER_S, BLOCKS = 20, 15, 10
# Ten blocks of 32x32 at the upper left of a picture of 1280x720 are the bits of its number in the loop, white for one.
STRIP = "crop=iw/4:ih*2/45:0:0,scale=10:1:flags=area"


def number_of(luma):
    """The picture's number by the ten blocks, or `None` if they tell none: not black and white, or all black, as those of a
    dark picture without a clock (the waiting picture) and of one picture in 300."""
    if len(luma) != BLOCKS or any(48 < block < 200 for block in luma):
        return None
    number = sum((block > 128) << (BLOCKS - 1 - bit) for bit, block in enumerate(luma))
    return number if 0 < number < LOOP_S * PICTURES_PER_S else None


def delay_of(number, at):
    """Seconds from the time that a picture tells to `at`. The loop is locked to unix time, so more than 20 s are not seen."""
    return (at - number / PICTURES_PER_S) % LOOP_S


class ClockReader(threading.Thread):
    """A player (ffmpeg, in one thread and without a buffer) that reads the clock of each picture as soon as it is decoded.
    `seen` has pairs: when, and which number or `None`."""

    # What it needs to connect, to find the streams, and to show what was there already.
    BEGINS_S = 5

    def __init__(self, url):
        super().__init__(daemon=True)
        transport = ["-rtsp_transport", "tcp"] if url.startswith("rtsp") else []
        self.process = start(
            ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-fflags", "nobuffer", "-flags", "low_delay", "-probesize",
             "1000000", "-analyzeduration", "5000000", *transport, "-i", url, "-an", "-vf", STRIP, "-fps_mode", "passthrough",
             "-flush_packets", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"], stdout=subprocess.PIPE, bufsize=0)
        self.seen = []
        self.start()

    def run(self):
        luma = b""
        while more := self.process.stdout.read(BLOCKS - len(luma)):
            luma += more
            if len(luma) == BLOCKS:
                self.seen.append((time.time(), number_of(luma)))
                luma = b""

    def delays(self):
        """Milliseconds that pictures were late, without those of the first two seconds: what was there comes at once."""
        seen = list(self.seen)
        return [delay_of(number, at) * 1000 for at, number in seen if number is not None and at >= seen[0][0] + 2]

    def end(self):
        end(self.process)


def quantiles(values):
    """Of values in ms, as the load test tells its latencies."""
    values = sorted(values)
    if not values:
        return {"count": 0}
    at = lambda share: values[min(len(values) - 1, int(len(values) * share))]
    return {"count": len(values), "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": values[-1]}
