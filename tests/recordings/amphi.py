"""The server with a folder of recordings, on ports that the system chooses, and what it says to operators."""
import json
import re
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

MOUNT = "vod"
SEGMENT_S = 2.0


def get(url, timeout=60):
    """Status, body and headers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


class Amphi:
    """`amphi run` until the `with` ends."""

    def __init__(self, binary, folder):
        self.binary, self.folder = Path(binary), Path(folder)
        self.lines, self.ports = [], {}

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix="amphi_odd_")
        config = Path(self.home.name) / "config.toml"
        config.write_text(
            '[server]\nlisten = "127.0.0.1:0"\nhttp_listen = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\n'
            f"state_dir = '{self.home.name}/state'\n"
            f"[[vod]]\nname = \"{MOUNT}\"\nroot = '{self.folder.resolve()}'\nsegment_ms = {int(SEGMENT_S * 1000)}\nindex = true\n")
        self.process = subprocess.Popen([self.binary, "--log-format", "json", "run", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        threading.Thread(target=self._read, daemon=True).start()
        until = time.monotonic() + 60
        while not {"media", "http", "admin"} <= self.ports.keys():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise SystemExit("amphi does not start:\n" + "\n".join(map(str, self.lines[-5:])))
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.home.cleanup()

    def _read(self):
        for text in self.process.stderr:
            try:
                line = json.loads(text)
            except ValueError:
                line = {"fields": {"message": text.strip()}, "level": "ERROR"}
            self.lines.append(line)
            fields = line.get("fields", {})
            if fields.get("message") == "listening":
                self.ports[fields["service"]] = fields["address"]

    def url(self, name, file="", scheme="http"):
        """`rtmp` and `rtsp` are on the media port."""
        port = self.ports["http" if scheme == "http" else "media"]
        return f"{scheme}://{port}/{MOUNT}/mp4:{name}{'/' if file else ''}{file}"

    def said(self, name):
        """What the log says of a recording above the level of debug, each sentence once."""
        said, named = [], re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
        for line in list(self.lines):
            fields = line.get("fields", {})
            text = json.dumps([fields, line.get("span"), line.get("spans")], ensure_ascii=False)
            if named.search(text) and line.get("level") in ("WARN", "ERROR", "INFO"):
                words = [str(value) for key, value in fields.items() if key not in ("path", "name", "recording")]
                said.append(": ".join(words))
        return list(dict.fromkeys(said))

    def listed(self, name):
        """What REST says of a recording; None where it does not know it."""
        status, body, _ = get(f"http://{self.ports['admin']}/api/v1/recordings")
        if status != 200:
            return None
        found = json.loads(body)
        rows = found if isinstance(found, list) else next((it for it in found.values() if isinstance(it, list)), [])
        named = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
        return next((row for row in rows if named.search(json.dumps(row, ensure_ascii=False))), None)
