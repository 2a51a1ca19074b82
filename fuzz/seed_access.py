"""Tokens of every kind: what callers show in the vectors of crates/access, and the texts in it that signers sign."""
import base64
import json
import struct
from urllib.parse import parse_qsl


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def seed(put, folder):
    for kind in ("hmac", "jwt", "opencast", "wowza"):
        vectors = json.loads((folder / f"{kind}.json").read_text())
        for number, case in enumerate(vectors["cases"]):
            shown = [case.get(name) or "" for name in ("subject", "path", "query", "authorization", "cookie")]
            put("access", f"{kind}{number}", b"\0" + "\n".join(text.replace("\n", " ") for text in shown).encode())
            parameters = dict(parse_qsl(case["query"]))
            try:
                if kind == "opencast":
                    put("access", f"policy{number}", b"\2" + decoded(parameters["policy"]))
                if kind == "jwt":
                    put("access", f"claims{number}", b"\3" + decoded(case["authorization"].split(".")[1]))
            except (KeyError, IndexError, ValueError):
                pass
            if kind == "wowza":
                put("access", f"parameters{number}", b"\4" + case["query"].replace("wowzatokenhash", "hash").encode())
        for name, key in vectors["keys"].items():
            for what in ("jwks", "pem"):
                if what in key:
                    put("access", f"{what}_{name}", b"\5" + key[what].encode())
            if "secrets" in key:
                put("access", f"secrets_{kind}_{name}", b"\5# x\n" + "\n".join(key["secrets"]).encode())
    put("access", "secrets_long", b"\5" + b"a from 2026-01-01T00:00:00Z until 2026-01-02T00:00:00+01:00\nb from x\n" + b"c\n" * 9)
    for which in range(4):
        for at in (0, 40, 128, 200, 255):
            put("access", f"changed{which}_{at}", b"\1" + struct.pack("BBB", which, at, 0x41) + struct.pack("BBB", 0, at // 2, 0x25))
