#!/usr/bin/env python3
"""Makes the test vectors of all kinds of keys: vectors/make.py, with PyJWT and cryptography installed.

Nothing here shares code with the server: signatures are hashlib's, hmac's and PyJWT's. Public keys are new at each run."""
import base64
import hashlib
import hmac
import json
from pathlib import Path
from urllib.parse import quote

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

HERE = Path(__file__).resolve().parent
NOW = 1_800_000_000
ADDRESS = "192.0.2.7"


class Vectors:
    def __init__(self):
        self.keys, self.cases = {}, []

    def key(self, name, **settings):
        self.keys[name] = settings

    def case(self, name, expect, key, subject, path, query="", **more):
        case = {"name": name, "key": key, "subject": subject, "path": path, "query": query, "expect": expect}
        self.cases.append({"scheme": "https", "authority": "amphi.example.edu", "address": ADDRESS, "now": NOW, **case, **more})

    def write(self, name):
        names = [case["name"] for case in self.cases]
        assert len(names) == len(set(names)), name
        cases = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in self.cases)
        keys = json.dumps(self.keys, ensure_ascii=False, indent=1)
        (HERE / f"{name}.json").write_text('{"keys": ' + keys + ',\n"cases": [\n' + cases + "\n]}\n")


def changed(text, at=0):
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1:]


# ---- Wowza SecureToken v2 ----
def secure_token(resource, secret, parameters, prefix="wowzatoken", algorithm="sha256", address=None, order="opencast"):
    given = [f"{prefix}{name}={value}" for name, value in parameters.items()]
    front = ([address] if address else []) + [secret]
    parts = front + sorted(given) if order == "opencast" else sorted(front + given)
    digest = hashlib.new(algorithm, f"{resource}?{'&'.join(parts)}".encode()).digest()
    return "&".join(given + [f"{prefix}hash={base64.urlsafe_b64encode(digest).decode()}"])


def wowza():
    v = Vectors()
    secret = "mySharedSecret"
    v.key("plain", kind="wowza", secrets=[secret])
    v.key("address", kind="wowza", secrets=[secret], with_address=True)
    v.key("sha384", kind="wowza", secrets=[secret], hash="sha384")
    v.key("sha512", kind="wowza", secrets=[secret], hash="sha512")
    v.key("prefix", kind="wowza", secrets=[secret], prefix="myTokenPrefix", with_address=True)
    rotated = ["old until 2027-01-01T00:00:00Z", "gone until 2026-01-01T00:00:00Z", "new from 2027-01-15T00:00:00Z"]
    v.key("rotated", kind="wowza", secrets=rotated)
    smil, path = "vod/a.smil", "/vod/a.smil/playlist.m3u8"
    times = {"starttime": NOW - 60, "endtime": NOW + 60}
    good = secure_token(smil, secret, times)

    # Opencast, modules/urlsigning-service-impl, WowzaUrlSigningProviderTest.testSign.
    v.case("Opencast's own", "expired", "prefix", "vod/sample.mp4", "/vod/sample.mp4/playlist.m3u8",
           "myTokenPrefixendtime=1500000&myTokenPrefixstarttime=1395230&myTokenPrefixCustomParameter=abcdef"
           "&myTokenPrefixhash=E4mSDMQXutPnj6ApllhzFoONFDQVzhAdV39Q9I9TGsU=", address="192.168.1.2")
    v.case("Opencast's own in its time", "pass", "prefix", "vod/sample.mp4", "/vod/sample.mp4/playlist.m3u8",
           "myTokenPrefixendtime=1500000&myTokenPrefixstarttime=1395230&myTokenPrefixCustomParameter=abcdef"
           "&myTokenPrefixhash=E4mSDMQXutPnj6ApllhzFoONFDQVzhAdV39Q9I9TGsU=", address="192.168.1.2", now=1_400_000,
           until=1_500_000)
    v.case("right", "pass", "plain", smil, path, good, until=NOW + 60)
    v.case("right, among others", "pass", "plain", smil, path, f"a=b&{good}&wowzaplaystart=1", until=NOW + 60)
    v.case("without times", "pass", "plain", smil, path, secure_token(smil, secret, {}))
    for algorithm in ["sha384", "sha512"]:
        v.case(algorithm, "pass", algorithm, smil, path, secure_token(smil, secret, times, algorithm=algorithm), until=NOW + 60)
    v.case("SHA-256 where SHA-512 is set", "signature", "sha512", smil, path, good)
    for order in ["opencast", "wowza"]:
        v.case(f"address, {order}'s order", "pass", "address", smil, path,
               secure_token(smil, secret, times, address=ADDRESS, order=order), until=NOW + 60)
        # A secret after the parameters, and one before them.
    v.key("zebra", kind="wowza", secrets=["zebra"], with_address=True)
    v.case("Wowza's order, secret last", "pass", "zebra", smil, path,
           secure_token(smil, "zebra", times, address=ADDRESS, order="wowza"), until=NOW + 60)
    v.case("IPv6 as Java prints it", "pass", "address", smil, path,
           secure_token(smil, secret, times, address="2001:db8:0:0:0:0:0:7"), until=NOW + 60, address="2001:db8::7")
    v.case("IPv4 in IPv6", "pass", "address", smil, path,
           secure_token(smil, secret, times, address=ADDRESS), until=NOW + 60, address=f"::ffff:{ADDRESS}")
    v.case("other address", "signature", "address", smil, path, secure_token(smil, secret, times, address="192.0.2.8"))
    v.case("no address where one is wanted", "signature", "address", smil, path, good)
    name, value = good.rsplit("=", 2)[0].rsplit("&", 1)[0], good.rsplit("hash=", 1)[1]
    v.case("hash without padding", "pass", "plain", smil, path, good.rstrip("="), until=NOW + 60)
    v.case("hash with encoded padding", "pass", "plain", smil, path, good.replace(value, quote(value)), until=NOW + 60)
    v.case("hash in the plain alphabet", "pass", "plain", smil, path,
           f"{name}&wowzatokenhash={value.replace('-', '+').replace('_', '/')}", until=NOW + 60)
    for what, subject, where, resource, scheme in [
        ("channel", "Live", "/Live/playlist.m3u8", "Live", "http"),
        ("channel and stream", "Live", "/Live/cam/playlist.m3u8", "Live/cam", "http"),
        ("instance in both", "Live", "/Live/_definst_/cam/playlist.m3u8", "Live/_definst_/cam", "http"),
        ("instance in the URL alone", "Live", "/Live/_definst_/cam/playlist.m3u8", "Live/cam", "http"),
        ("SMIL with its prefix", smil, "/vod/_definst_/smil:a.smil/playlist.m3u8", "vod/_definst_/smil:a.smil", "https"),
        ("RTMP", "vod/a.mp4", "/vod/mp4:a.mp4", "vod/mp4:a.mp4", "rtmp"),
        ("RTSP", "Live", "/Live/cam.stream", "Live/cam.stream", "rtsp"),
        ("RTSP with a slash at the end", "Live", "/Live/cam/", "Live/cam", "rtsp"),
        ("a file itself", "vod/a.mp4", "/vod/a.mp4", "vod/a.mp4", "https"),
        ("a page", smil, "/watch/vod/a.smil", "vod/a.smil", "https"),
        ("path as written", "vod/é ü.mp4", "/vod/%C3%A9%20%C3%BC.mp4/playlist.m3u8", "vod/%C3%A9%20%C3%BC.mp4", "https"),
        ("path decoded", "vod/é ü.mp4", "/vod/%C3%A9%20%C3%BC.mp4/playlist.m3u8", "vod/é ü.mp4", "https"),
    ]:
        v.case(what, "pass", "plain", subject, where, secure_token(resource, secret, times), until=NOW + 60, scheme=scheme)
    v.case("parameter as written", "pass", "plain", smil, path, secure_token(smil, secret, {"name": "a%20b", **times}), until=NOW + 60)
    decoded = secure_token(smil, secret, {"name": "a b", **times}).replace("a b", "a%20b")
    v.case("parameter decoded", "pass", "plain", smil, path, decoded, until=NOW + 60)

    v.case("nothing", "missing", "plain", smil, path)
    v.case("another's prefix", "missing", "prefix", smil, path, good)
    v.case("no hash", "malformed", "plain", smil, path, f"wowzatokenendtime={NOW + 60}")
    v.case("hash changed", "signature", "plain", smil, path, good.replace(value, changed(value)))
    v.case("hash cut off", "malformed", "plain", smil, path, good.replace(value, value[:-2]))
    v.case("no base64", "malformed", "plain", smil, path, good.replace(value, "!" + value))
    v.case("hash of no length", "signature", "plain", smil, path, good.replace(value, ""))
    v.case("end put off", "signature", "plain", smil, path, good.replace(str(NOW + 60), str(NOW + 61)))
    v.case("end left out", "signature", "plain", smil, path, good.replace(f"wowzatokenendtime={NOW + 60}&", ""))
    v.case("parameter added", "signature", "plain", smil, path, good + "&wowzatokena=1")
    v.case("other secret", "signature", "plain", smil, path, secure_token(smil, "other", times))
    v.case("other path", "signature", "plain", "vod/b.smil", "/vod/b.smil/playlist.m3u8", good)
    v.case("a folder's hash for a file in it", "signature", "plain", "vod/a.mp4", "/vod/a.mp4", secure_token("vod", secret, times))
    v.case("a folder's hash over RTMP", "signature", "plain", "vod/a.mp4", "/vod/mp4:a.mp4", secure_token("vod", secret, times), scheme="rtmp")
    v.case("a page's hash without its last part", "signature", "plain", "vod/b.smil", "/watch/vod/b.smil", secure_token("watch/vod", secret, times))
    v.case("expired", "expired", "plain", smil, path, good, now=NOW + 60)
    v.case("last second", "pass", "plain", smil, path, good, now=NOW + 59, until=NOW + 60)
    v.case("not yet", "not_yet", "plain", smil, path, good, now=NOW - 61)
    v.case("doubled hash", "malformed", "plain", smil, path, good + "&wowzatokenhash=" + value)
    v.case("doubled end", "malformed", "plain", smil, path, good + f"&wowzatokenendtime={NOW + 600}")
    v.case("end that is no number", "malformed", "plain", smil, path, secure_token(smil, secret, {"endtime": "soon"}))
    v.case("end in milliseconds", "malformed", "plain", smil, path, secure_token(smil, secret, {"endtime": (NOW + 60) * 1000}))
    # One text, read in two ways: the end would be hidden.
    hidden = secure_token(smil, secret, {"a": "1", "endtime": NOW - 60})
    v.case("end hidden in a value", "signature", "plain", smil, path, hidden.replace("&wowzatokenendtime", "%26wowzatokenendtime"))
    v.case("end hidden in a name", "malformed", "plain", smil, path,
           secure_token(smil, secret, {"endtime": NOW - 60}).replace("endtime=", "endtime%3D"))
    v.case("name encoded", "malformed", "plain", smil, path, good.replace("wowzatokenend", "wowzatoken%65nd"))
    v.case("a twice decoded path", "signature", "plain", "vod/a%20b.mp4", "/vod/a%2520b.mp4/playlist.m3u8",
           secure_token("vod/a%20b.mp4", secret, times))
    v.case("new secret", "pass", "rotated", smil, path, secure_token(smil, "new", times), until=NOW + 60, now=NOW)
    v.case("old secret, in its time", "pass", "rotated", smil, path, secure_token(smil, "old", {}), now=NOW - 86400 * 15)
    v.case("secret that has run out", "revoked", "rotated", smil, path, secure_token(smil, "gone", times))
    v.case("secret that is not good yet", "not_yet", "rotated", smil, path, secure_token(smil, "new", {}), now=NOW - 86400 * 15)
    v.write("wowza")


# ---- Opencast's stream security ----
def policy(resource, until, since=None, address=None):
    condition = {}
    if since is not None:
        condition["DateGreaterThan"] = since
    condition["DateLessThan"] = until
    if address:
        condition["IpAddress"] = address
    text = json.dumps({"Statement": {"Condition": condition, "Resource": resource}}, separators=(",", ":"), ensure_ascii=False)
    return text.replace("/", "\\/")


def signed(text, secret="6EDB5EDDCF994B7432C371D7C274F", key_id="amphi", over="json", padding=False):
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    shown = encoded if padding else encoded.rstrip("=")
    body = {"json": text, "shown": shown, "padded": encoded}[over]
    return f"policy={quote(shown)}&keyId={key_id}&signature={hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()}"


def opencast():
    v = Vectors()
    v.key("amphi", kind="opencast", key_id="amphi", secrets=["6EDB5EDDCF994B7432C371D7C274F"])
    v.key("strict", kind="opencast", key_id="amphi", secrets=["6EDB5EDDCF994B7432C371D7C274F"], strict=True)
    v.key("manual", kind="opencast", key_id="demoKeyOne", secrets=["6EDB5EDDCF994B7432C371D7C274F"])
    ms, origin = NOW * 1000, "https://amphi.example.edu"
    smil, path = "vod/a.smil", "/vod/a.smil/playlist.m3u8"
    text = policy(origin + path, ms + 60_001, ms - 60_000)
    good = signed(text)

    # Opencast's developer guide, "Stream Security": its policy and signature as they are printed there. The signature is over
    # the policy with padding, which the URL does not have.
    v.case("the manual's own", "pass", "manual", "engage/resource.mp4", "/engage/resource.mp4",
           "policy=eyJTdGF0ZW1lbnQiOnsiUmVzb3VyY2UiOiJodHRwOlwvXC9vcGVuY2FzdC5vcmdcL2VuZ2FnZVwvcmVzb3VyY2UubXA0IiwiQ29uZGl0aW9uIjp7"
           "IkRhdGVMZXNzVGhhbiI6MTQyNTE3MDc3NzAwMCwiRGF0ZUdyZWF0ZXJUaGFuIjoxNDI1MDg0Mzc5MDAwLCJJcEFkZHJlc3MiOiIxMC4wLjAuMSJ9fX0"
           "&signature=c8712284aabc843f76a132a3a7c8997670414b2f89cb96b367d5f35d0f62a2e4&keyId=demoKeyOne",
           address="10.0.0.1", now=1_425_100_000, until=1_425_170_777)
    for over in ["json", "shown", "padded"]:
        for padding in [False, True]:
            v.case(f"over {over}, {'with' if padding else 'without'} padding", "pass", "amphi", smil, path,
                   signed(text, over=over, padding=padding), until=NOW + 60.001)
    v.case("times the other way round", "pass", "amphi", smil, path,
           signed('{"Statement":{"Resource":"' + origin + path + '","Condition":{"DateLessThan":' + str(ms + 1) + "}}}"), until=NOW + 0.001)
    v.case("other order, among others", "pass", "amphi", smil, path, "a=1&" + "&".join(reversed(good.split("&"))), until=NOW + 60.001)
    v.case("address", "pass", "amphi", smil, path, signed(policy(origin + path, ms + 1000, address=ADDRESS)), until=NOW + 1)
    v.case("address in another spelling", "pass", "amphi", smil, path,
           signed(policy(origin + path, ms + 1000, address="2001:db8:0:0:0:0:0:7")), address="2001:db8::7", until=NOW + 1)
    for what, subject, where, resource in [
        ("the manifest of the same", smil, "/vod/a.smil/manifest.mpd", origin + path),
        ("the page of the same", smil, "/watch/vod/a.smil", origin + path),
        ("poster of the same", smil, "/vod/a.smil/poster.jpg", origin + path),
        ("instance", smil, "/vod/_definst_/a.smil/playlist.m3u8", origin + path),
        ("a file itself", "vod/x/a.mp4", "/vod/x/a.mp4", origin + "/vod/x/a.mp4"),
        ("a file's policy, its playlist", "vod/x/a.mp4", "/vod/x/a.mp4/playlist.m3u8", origin + "/vod/x/a.mp4"),
        ("other host", smil, path, "http://other:8080" + path),
        ("query in the resource", smil, path, origin + path + "?a=b"),
        ("channel", "Live", "/Live/playlist.m3u8", origin + "/Live/playlist.m3u8"),
        ("channel, other entry", "Live", "/Live/manifest.mpd", origin + "/Live/playlist.m3u8"),
        ("encoded path", "vod/é.mp4", "/vod/%C3%A9.mp4", origin + "/vod/%c3%a9.mp4"),
        ("path that is not encoded", "vod/é.mp4", "/vod/%C3%A9.mp4", origin + "/vod/é.mp4"),
    ]:
        v.case(what, "pass", "amphi", subject, where, signed(policy(resource, ms + 1000)), until=NOW + 1)
    v.case("RTMP", "pass", "amphi", "app/x.mp4", "/app/mp4:x", signed(policy("rtmp://host/app/mp4:x", ms + 1000)),
           scheme="rtmp", until=NOW + 1)
    v.case("strict", "pass", "strict", smil, path, good, until=NOW + 60.001)
    v.case("strict, port written", "pass", "strict", smil, path, signed(policy("HTTPS://Amphi.example.edu:443" + path, ms + 1000)), until=NOW + 1)
    v.case("strict, other host", "other_subject", "strict", smil, path, signed(policy("https://other" + path, ms + 1000)))
    v.case("strict, other port", "other_subject", "strict", smil, path, signed(policy(origin + ":8443" + path, ms + 1000)))
    v.case("strict, other scheme", "other_subject", "strict", smil, path, signed(policy(origin.replace("https", "http") + path, ms + 1000)))

    v.case("nothing", "missing", "amphi", smil, path)
    parts = good.split("&")
    for index, part in enumerate(parts):
        name = part.split("=")[0]
        v.case(f"without {name}", "malformed", "amphi", smil, path, "&".join(parts[:index] + parts[index + 1:]))
        v.case(f"{name} doubled", "malformed", "amphi", smil, path, good + "&" + part)
    v.case("unknown key", "unknown_key", "amphi", smil, path, signed(text, key_id="other"))
    v.case("signature changed", "signature", "amphi", smil, path, good[:-64] + changed(good[-64:]))
    v.case("signature in capitals", "malformed", "amphi", smil, path, good[:-64] + good[-64:].upper())
    v.case("other secret", "signature", "amphi", smil, path, signed(text, secret="other"))
    v.case("policy changed", "signature", "amphi", smil, path,
           "&".join([signed(policy(origin + path, ms + 999_999)).split("&")[0]] + parts[1:]))
    v.case("policy is no base64", "malformed", "amphi", smil, path, "policy=%7B%7D&keyId=amphi&signature=" + good[-64:])
    v.case("policy is no JSON", "malformed", "amphi", smil, path, signed("hello"))
    v.case("policy without an end", "malformed", "amphi", smil, path,
           signed('{"Statement":{"Condition":{"DateGreaterThan":1},"Resource":"' + origin + path + '"}}'))
    v.case("policy with a condition more", "malformed", "amphi", smil, path, signed(text.replace('"DateLess', '"Referrer":"x","DateLess')))
    v.case("policy with two ends", "malformed", "amphi", smil, path, signed(text.replace('"DateLess', '"DateLessThan":1,"DateLess')))
    v.case("other address", "other_address", "amphi", smil, path, signed(policy(origin + path, ms + 1000, address="192.0.2.8")))
    v.case("other address, expired", "other_address", "amphi", smil, path, signed(policy(origin + path, 1, address="192.0.2.8")))
    for what, subject, where, resource in [
        ("other path", "vod/b.smil", "/vod/b.smil/playlist.m3u8", origin + path),
        ("an end of the path", "vod/a.smil", path, origin + "/x" + path),
        ("a part of the end of the path", "vod/a.smil", path, origin + "/a.smil/playlist.m3u8"),
        ("another file of the folder", "vod/b.mp4", "/vod/b.mp4", origin + "/vod/a.mp4"),
        ("a file's policy for the list of all", "vod", "/vod/", origin + "/vod/a.mp4"),
        ("a playlist's policy for the list of all", "vod", "/vod/", origin + path),
        ("a poster's policy for the playlist", smil, path, origin + "/vod/a.smil/poster.jpg"),
        ("the list's policy for a file", "vod/a.mp4", "/vod/a.mp4", origin + "/vod/playlist.m3u8"),
        ("no path", smil, path, origin),
        ("an empty resource", smil, path, ""),
    ]:
        v.case(what, "other_subject", "amphi", subject, where, signed(policy(resource, ms + 1000)))
    v.case("other subject, expired", "other_subject", "amphi", "vod/b.smil", "/vod/b.smil/playlist.m3u8", signed(policy(origin + path, 1)))
    v.case("expired", "expired", "amphi", smil, path, good, now=NOW + 61)
    v.case("not yet", "not_yet", "amphi", smil, path, good, now=NOW - 61)
    v.case("end out of all bounds", "malformed", "amphi", smil, path, signed(policy(origin + path, 9_000_000_000_000_000_000)))
    v.write("opencast")


# ---- our own ----
def token(subject, until, address="", secret="correct horse battery staple", key=""):
    text = f"amphi1\n{subject}\n{until}\n{address}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{key + '.' if key else ''}{until}.{'ip.' if address else ''}{signature}"


def own():
    v = Vectors()
    secret = "correct horse battery staple"
    v.key("moodle", kind="hmac", secrets=[secret, "another secret of the same key"])
    v.key("wide", kind="hmac", secrets=[secret], parameter="pass")
    v.keys["moodle"]["secrets"] = [secret.replace(" ", "-"), "another-secret-of-the-same-key"]
    v.keys["wide"]["secrets"] = [secret.replace(" ", "-")]
    secret = secret.replace(" ", "-")

    def ours(subject, until=NOW + 60, address="", key="", secret=secret):
        return token(subject, until, address, secret, key)

    live = "Live_PAES"
    good = ours(live)
    for where, scheme in [("/Live_PAES/playlist.m3u8", "https"), ("/Live_PAES/_definst_/mp4:cam_720p/manifest.mpd", "http"),
                          ("/Live_PAES/cam", "rtmp"), ("/Live_PAES/", "rtsp"), ("/Live_PAES", "https")]:
        v.case(f"{scheme} {where}", "pass", "moodle", live, where, "token=" + good, scheme=scheme, until=NOW + 60)
    path = "/Live_PAES/playlist.m3u8"
    v.case("recording", "pass", "moodle", "vod/é ü/a.mp4", "/vod/x", "token=" + ours("vod/é ü/a.mp4"), until=NOW + 60)
    v.case("subject with a line's end", "pass", "moodle", "vod/a\n1\n.mp4", "/vod/x", "token=" + ours("vod/a\n1\n.mp4"), until=NOW + 60)
    v.case("second secret", "pass", "moodle", live, path, "token=" + ours(live, secret="another-secret-of-the-same-key"), until=NOW + 60)
    v.case("with the key's name", "pass", "moodle", live, path, "token=" + ours(live, key="moodle"), until=NOW + 60)
    v.case("with an address", "pass", "moodle", live, path, "token=" + ours(live, address=ADDRESS), until=NOW + 60)
    v.case("with both", "pass", "moodle", live, path, "token=" + ours(live, address=ADDRESS, key="moodle"), until=NOW + 60)
    v.case("with an IPv6 address", "pass", "moodle", live, path, "token=" + ours(live, address="2001:db8::7"), until=NOW + 60, address="2001:db8::7")
    v.case("with IPv4 in IPv6", "pass", "moodle", live, path, "token=" + ours(live, address=ADDRESS), until=NOW + 60, address="::ffff:" + ADDRESS)
    v.case("bearer", "pass", "moodle", live, path, authorization="bearer " + good, until=NOW + 60)
    v.case("bearer, though the query's is wrong", "pass", "moodle", live, path, "token=" + changed(good, -10), authorization="Bearer " + good, until=NOW + 60)
    v.case("another parameter", "pass", "wide", live, path, "a=1&pass=" + good, until=NOW + 60)

    v.case("nothing", "missing", "moodle", live, path)
    v.case("in the wrong parameter", "missing", "wide", live, path, "token=" + good)
    v.case("a JWT", "missing", "moodle", live, path, "token=eyJhbGciOiJub25lIn0.e30.")
    v.case("another's bearer", "missing", "moodle", live, path, authorization="Bearer something")
    v.case("basic", "missing", "moodle", live, path, authorization="Basic " + good)
    v.case("doubled", "malformed", "moodle", live, path, f"token={good}&token={good}")
    for what, text in [("empty", ""), ("no signature", str(NOW + 60)), ("signature in capitals", good[:-64] + good[-64:].upper()),
                       ("signature cut off", good[:-1]), ("zeros in front", "0" + good), ("a sign", "+" + good), ("a part more", "a.b." + good),
                       ("too many digits", "9" * 30 + good), ("no until", good[-65:])]:
        v.case(what, "malformed", "moodle", live, path, "token=" + text)
    v.case("unknown key", "unknown_key", "moodle", live, path, "token=" + ours(live, key="other"))
    v.case("signature changed", "signature", "moodle", live, path, "token=" + good[:-1] + ("0" if good[-1] != "0" else "1"))
    v.case("time changed", "signature", "moodle", live, path, "token=" + good.replace(str(NOW + 60), str(NOW + 61)))
    v.case("other secret", "signature", "moodle", live, path, "token=" + ours(live, secret="x" * 20))
    v.case("other subject", "signature", "moodle", "Live_PAES2", path, "token=" + good)
    v.case("what is beneath", "signature", "moodle", "vod/a.mp4", "/vod/a.mp4", "token=" + ours("vod"))
    v.case("other address", "signature", "moodle", live, path, "token=" + ours(live, address="192.0.2.8"))
    v.case("address left out", "signature", "moodle", live, path, "token=" + ours(live, address=ADDRESS).replace("ip.", ""))
    v.case("address put in", "signature", "moodle", live, path, "token=" + good.replace(".", ".ip."))
    v.case("expired", "expired", "moodle", live, path, "token=" + good, now=NOW + 60)
    v.case("expired, and of another", "signature", "moodle", "Other", path, "token=" + good, now=NOW + 60)
    v.write("hmac")


# ---- JWT ----
def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def tokens():
    v = Vectors()
    secret = "0123456789abcdef0123456789abcdef"
    rsa_key = rsa.generate_private_key(65537, 2048)
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    edwards = ed25519.Ed25519PrivateKey.generate()
    private = {"RS256": rsa_key, "ES256": p256, "ES384": p384, "EdDSA": edwards}
    makers = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "ES384": ECAlgorithm, "EdDSA": OKPAlgorithm}
    jwks = []
    for alg, key in private.items():
        jwks.append({**json.loads(makers[alg].to_jwk(key.public_key())), "kid": alg.lower(), "use": "sig", "alg": alg})
    jwks.append({"kty": "oct", "kid": "secret", "k": b64(secret.encode()), "alg": "HS256"})
    jwks.append({"kty": "RSA", "use": "enc", "n": jwks[0]["n"], "e": jwks[0]["e"], "kid": "encryption"})
    pem = {alg: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() for alg, key in private.items()}
    v.key("set", kind="jwt", jwks=json.dumps({"keys": jwks}))
    v.key("bare", kind="jwt", jwks=json.dumps({"keys": [{k: x for k, x in key.items() if k not in ("kid", "use", "alg")} for key in jwks[:4]]}))
    for alg, text in pem.items():
        v.key(alg, kind="jwt", pem=text)
    v.key("secret", kind="jwt", secrets=[secret, "f" * 32 + " until 2026-01-01T00:00:00Z"])
    v.key("portal", kind="jwt", secrets=[secret], issuers=["https://portal.example.edu"], audiences=["amphi", "tv"])
    v.key("any", kind="jwt", secrets=[secret], any_claims=True)
    v.key("fetched", kind="jwt")

    def made(claims, alg="HS256", key=None, **header):
        key = key or (secret if alg == "HS256" else private[alg])
        return jwt.encode({"exp": NOW + 30, **claims}, key, algorithm=alg, headers=header)

    event = "4f1c2f4e-7d53-4f9c-9b4e-0d1fa9a3f0b7"
    recording, path = f"vod/engage-player/{event}/a.smil", f"/vod/engage-player/{event}/a.smil/playlist.m3u8"
    oc = {"oc": {f"e:{event}": ["read"]}}

    def case(name, expect, key, text, subject=recording, **more):
        if expect == "pass":
            more.setdefault("until", NOW + 60)
        v.case(name, expect, key, subject, path, **{"authorization": "Bearer " + text, **more} if "query" not in more and "cookie" not in more else more)

    for alg in private:
        case(f"{alg} of a set", "pass", "set", made(oc, alg, kid=alg.lower()))
        case(f"{alg} of a set, without kid", "pass", "set", made(oc, alg))
        case(f"{alg} of a set whose keys have no names", "pass", "bare", made(oc, alg, kid="whatever"))
        case(f"{alg} of PEM", "pass", alg, made(oc, alg))
        case(f"{alg}, unknown kid", "unknown_key", "set", made(oc, alg, kid="other"))
        text = made(oc, alg)
        case(f"{alg}, signature changed", "signature", alg, text[:-20] + ("A" if text[-20] != "A" else "B") + text[-19:])
        case(f"{alg}, no signature", "signature", alg, text.rsplit(".", 1)[0] + ".")
        other = {"RS256": rsa.generate_private_key(65537, 2048), "ES256": ec.generate_private_key(ec.SECP256R1()),
                 "ES384": ec.generate_private_key(ec.SECP384R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate()}[alg]
        case(f"{alg}, other key", "signature", alg, made(oc, alg, other))
    case("secret", "pass", "secret", made(oc))
    case("in the query as jwt", "pass", "secret", "", query="a=1&jwt=" + made(oc))
    case("in the query as token", "pass", "secret", "", query="token=" + made(oc))
    case("in a cookie", "pass", "secret", "", cookie="a=b; jwt=" + made(oc) + "; c=d")
    case("cookie, though the bearer's is wrong", "pass", "secret", "", cookie="jwt=" + made(oc), authorization="Bearer " + made({}))
    case("pattern", "pass", "secret", made({"amphi": ["Live_*", "vod/2026"]}), subject="Live_PAES")
    case("one pattern", "pass", "secret", made({"amphi": "vod/engage-player"}))
    case("MediaMTX, path", "pass", "secret", made({"mediamtx_permissions": [{"action": "publish", "path": ""}, {"action": "read", "path": "Live"}]}), subject="Live")
    case("MediaMTX, all", "pass", "secret", made({"mediamtx_permissions": [{"action": "read", "path": ""}]}))
    case("MediaMTX, no path", "pass", "secret", made({"mediamtx_permissions": [{"action": "read"}]}))
    case("MediaMTX, expression", "pass", "secret", made({"mediamtx_permissions": [{"action": "read", "path": "~^Live_[A-Z]+$"}]}), subject="Live_PAES")
    case("MediaMTX, playback", "pass", "secret", made({"mediamtx_permissions": [{"action": "playback", "path": ""}]}))
    case("issuer and audience", "pass", "portal", made({**oc, "iss": "https://portal.example.edu", "aud": ["x", "tv"]}))
    case("any claims", "pass", "any", made({"sub": "somebody"}), subject="Live")
    case("nbf within leeway", "pass", "secret", made({**oc, "nbf": NOW + 30}))
    case("exp within leeway", "pass", "secret", made(oc), now=NOW + 59)
    case("exp with a fraction", "pass", "secret", made({**oc, "exp": NOW + 30.7}))

    case("nothing", "missing", "secret", "", query="")
    case("another's bearer", "missing", "secret", "abc")
    case("a token of our own", "missing", "secret", "", query="token=" + token("Live", NOW + 60))
    case("doubled", "malformed", "secret", "", query=f"jwt={made(oc)}&jwt={made(oc)}")
    case("no JWT", "malformed", "secret", "", query="jwt=abc")
    case("alg none", "unknown_key", "secret", jwt.encode({"exp": NOW + 30, **oc}, None, algorithm="none"))
    case("alg none, for public keys", "unknown_key", "set", jwt.encode({"exp": NOW + 30, **oc}, None, algorithm="none"))
    case("HS512 where HS256 is meant", "unknown_key", "secret", jwt.encode({"exp": NOW + 30, **oc}, secret * 2, algorithm="HS512"))

    def forged(header, key_bytes, claims):
        text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
        return text + "." + b64(hmac.new(key_bytes, text.encode(), hashlib.sha256).digest())

    body = {"exp": NOW + 30, **oc}
    case("a public key as a secret", "unknown_key", "RS256", forged({"alg": "HS256"}, pem["RS256"].encode(), body))
    case("a published secret", "unknown_key", "set", forged({"alg": "HS256", "kid": "secret"}, secret.encode(), body))
    case("HS256 said to be RS256", "signature", "RS256", forged({"alg": "RS256"}, pem["RS256"].encode(), body))
    case("ES256 said to be HS256", "unknown_key", "ES256", forged({"alg": "HS256"}, secret.encode(), body))
    case("a key in the header", "unknown_key", "set", made(oc, "ES256", ec.generate_private_key(ec.SECP256R1()), kid="mine", jwk=jwks[1]))
    case("critical extension", "malformed", "secret", forged({"alg": "HS256", "crit": ["b64"], "b64": False}, secret.encode(), body))
    case("header is no JSON", "malformed", "secret", "eyJh.eyJh.AAAA")
    case("no exp", "malformed", "secret", forged({"alg": "HS256"}, secret.encode(), oc))
    case("exp is text", "malformed", "secret", forged({"alg": "HS256"}, secret.encode(), {**oc, "exp": "soon"}))
    case("exp out of all bounds", "malformed", "secret", forged({"alg": "HS256"}, secret.encode(), {**oc, "exp": 1e300}))
    case("payload changed", "signature", "secret", ".".join([made(oc).split(".")[0], made({"amphi": "*"}).split(".")[1], made(oc).split(".")[2]]))
    case("padded", "malformed", "secret", made(oc) + "=")
    case("other secret", "signature", "secret", made(oc, key="x" * 32))
    case("secret that has run out", "revoked", "secret", made(oc, key="f" * 32))
    case("other event", "other_subject", "secret", made({"oc": {"e:1234": ["read"]}}))
    case("event, but not to read", "other_subject", "secret", made({"oc": {f"e:{event}": ["write"]}}))
    case("event as a part of a folder's name", "other_subject", "secret", made({"oc": {"e:4f1c2f4e": ["read"]}}))
    case("event as a file's name", "other_subject", "secret", made({"oc": {"e:a.smil": ["read"]}}))
    case("event as a mount's name", "other_subject", "secret", made({"oc": {"e:vod": ["read"]}}))
    case("event for a channel", "other_subject", "secret", made({"oc": {"e:Live": ["read"]}}), subject="Live")
    case("event without a name", "other_subject", "secret", made({"oc": {"e:": ["read"]}}))
    case("other pattern", "other_subject", "secret", made({"amphi": ["vod2", "vod/e*x", 7]}))
    case("MediaMTX, publish", "other_subject", "secret", made({"mediamtx_permissions": [{"action": "publish", "path": ""}]}))
    case("MediaMTX, playback of a channel", "other_subject", "secret", made({"mediamtx_permissions": [{"action": "playback", "path": ""}]}), subject="Live")
    case("MediaMTX, other path", "other_subject", "secret", made({"mediamtx_permissions": [{"action": "read", "path": "Liv"}]}), subject="Live")
    case("MediaMTX, no expression", "malformed", "secret", made({"mediamtx_permissions": [{"action": "read", "path": "~("}]}), subject="Live")
    case("MediaMTX, a huge expression", "malformed", "secret", made({"mediamtx_permissions": [{"action": "read", "path": "~(a{99}){99}{99}"}]}), subject="Live")
    case("no claims of ours", "other_subject", "secret", made({"sub": "somebody"}))
    case("any claims, but others", "other_subject", "any", made({"amphi": ["vod2"]}))
    case("other issuer", "other_subject", "portal", made({**oc, "iss": "https://other", "aud": "tv"}))
    case("no issuer", "other_subject", "portal", made({**oc, "aud": "tv"}))
    case("other audience", "other_subject", "portal", made({**oc, "iss": "https://portal.example.edu", "aud": "other"}))
    case("no audience", "other_subject", "portal", made({**oc, "iss": "https://portal.example.edu"}))
    case("expired", "expired", "secret", made(oc), now=NOW + 60)
    case("not yet", "not_yet", "secret", made({**oc, "nbf": NOW + 31, "exp": NOW + 100}))
    case("keys not fetched yet", "unavailable", "fetched", made(oc, "ES256"))
    v.write("jwt")


wowza()
opencast()
own()
tokens()
