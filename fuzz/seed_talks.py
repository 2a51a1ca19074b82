"""Conversations: RTSP as players and encoders speak it, RTMP commands, chunks and tags of every kind."""
import base64
import hashlib
import struct


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


# ---- RTSP: players ----
def request(method, url="rtsp://h:554/a/b?t=1#x", *lines, cseq=1, body=b""):
    fields = [f"{method} {url} RTSP/1.0"] + ([f"CSeq: {cseq}"] if cseq is not None else []) + list(lines)
    fields += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body


def setup(track, transport, url="rtsp://h/a/b"):
    return request("SETUP", f"{url}/trackID={track}", f"Transport: {transport}")


def players(put):
    tcp, udp = "RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port=5000-5001;mode=play"
    session = "Session: 0000000000000001;timeout=30"
    both = setup(0, tcp) + setup(1, "RTP/AVP/TCP;interleaved=2")
    plays = b"".join(request("PLAY", "rtsp://h/a/b/", session, f"Range: {it}") + request("PAUSE", "rtsp://h/a/b", session) for it in (
        "npt=0-", "npt=now-", "npt=1.5-3.25;time=19970123T143720Z", "npt=-10", "npt=00:01:02.5-01:00:00", "clock=19961108T142300Z-", "npt=x"))
    ends = request("GET_PARAMETER", "rtsp://h/a/b", session) + request("SET_PARAMETER", "*", body=b"a: b") + request("TEARDOWN", "rtsp://h/a/b", session)
    talk = request("OPTIONS", "*") + request("DESCRIBE", "rtsp://h/a/b/", "Accept: application/sdp, */*") + both + plays + b"$\1\0\4abcd" + ends
    others = b"".join(setup(2, it) for it in (
        udp, "RTP/AVP/UDP;unicast;client_port=5002", "RTP/AVP;multicast, RTP/SAVP;client_port=6000-6001, RTP/AVP/TCP", "RTP/AVP;client_port=53-54",
        "RTP/AVP/TCP;interleaved=255", "rtp/avp/tcp;Interleaved=2-2;mode=\"RECORD\"", "x"))
    odd = b"".join([
        request("PLAY"), request("PAUSE"), request("DESCRIBE", "rtsp://h/a", "Accept: text/html"), request("DESCRIBE", "rtsp://h/a", "Require: x"),
        request("DESCRIBE", "rtsp://h/a", "Require: \"x\""), request("DESCRIBE", cseq=None), request("DESCRIBE", cseq="x"), request("ANNOUNCE"),
        request("SETUP", "rtsp://h/a/trackID=9", "Transport: " + udp), setup(0, tcp), setup(0, tcp, "rtsp://h/other"), request("PLAY", "rtsp:a", "Session: 2"),
        request("PLAY", "rtsp://h/a/b", session), setup(0, tcp), request("PLAY", "rtsp://h/a/b", session), request("PAUSE", "rtsp://h/a/b", session),
        b"\r\n\r\n", b"DESCRIBE rtsp://h/a RTSP/2.0\r\nCSeq: 1\r\n\r\n"])
    for answer in (14, 0, 2, 4, 6, 8, 10):
        put("rtsp", f"talk{answer}", bytes([answer]) + talk)
    put("rtsp", "transports", b"\x0e" + others + request("PLAY", "rtsp://h/a/b", session) + request("PLAY", "rtsp://h/a/b"))
    put("rtsp", "odd", b"\x0e" + odd)
    for name, end in {"answer": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", "http": b"GET / HTTP/1.1\r\n\r\n", "cut_packet": b"$\0\0\x09abc", "cut": b"PLAY rtsp://",
                      "long": b"PLAY rtsp://h RTSP/1.0\r\nX: " + b"a" * 17000}.items():
        put("rtsp", name, b"\x0e" + request("OPTIONS", "*") + end)
    proof = md5(f"{md5('u:x:p')}:1:{md5('DESCRIBE:rtsp://h/a')}")
    shown = f'Authorization: Digest username="u", realm="x", nonce="1", uri="rtsp://h/a", response="{proof}"'
    put("rtsp", "digest", b"\x0f" + b"".join(request("DESCRIBE", "rtsp://h/a", *lines) for lines in (
        [], [shown], [shown.replace('"u"', '"v"')], [shown.replace("Digest", "Basic")], ["Authorization: Basic dTpw"], ["Authorization: Digest uri=\"a\\\"b, c"])))


# ---- RTSP: encoders ----
def records(first, *parts):
    """What the caller does or gets: (what, bytes); the upper half of `what` is the seconds that pass before it."""
    return bytes([first]) + b"".join(bytes([what]) + struct.pack(">H", len(part)) + part for what, part in parts)


def answer(*lines, status="200 OK", body=b"", version="RTSP/1.0"):
    lines = [f"{version} {status}"] + list(lines) + ([f"Content-Length: {len(body)}"] if body else [])
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def encoders(put, sdp):
    get, tick, end, control = 0, 1, 2, 3
    described = answer("Content-Base: rtsp://hall/x/", "Content-Type: application/sdp", "Public: OPTIONS, GET_PARAMETER, TEARDOWN", body=sdp)
    tcp = [answer("Session: 12 ; timeout=60", f"Transport: RTP/AVP/TCP;unicast;interleaved={n}-{n + 1};ssrc=1") for n in (0, 2)]
    udp = [answer("Session: 12;timeout=\"20\"", f"Transport: RTP/AVP;unicast;client_port=1-2;server_port={n}-{n + 1};source=10.0.0.7") for n in (7000, 7002)]
    cast = [answer("Session: 12", f"Transport: RTP/AVP;multicast;destination=239.1.2.3;port={n}-{n + 1};ttl=16;source=[::1]") for n in (7000, 7002)]
    playing = answer("CSeq: 4", "RTP-Info: url=rtsp://hall/x/v;seq=1;rtptime=2,url=a;rtptime=9", "Range: npt=0-")
    packets = b"$\0\0\x04\x80\x60ab" + b"$\1\0\x04\x80\xc8cd" + b"$\2\0\x04\x80\x61ab" + b"$\x09\0\x01x"
    asked = b"".join(f"{method} rtsp://x RTSP/1.0\r\nCSeq: 9\r\nSession: 12\r\n\r\n".encode() for method in ("OPTIONS", "GET_PARAMETER", "ANNOUNCE", "FLY_AWAY"))
    kept = [(0xF1, b""), (get, answer("CSeq: 5")), (0xF1, b""), (get, answer("CSeq: 6", status="405 Not Allowed")), (get, answer("CSeq: 7", status="501 No")),
            (get, answer("CSeq: 8", status="454 Gone")), (0xF1, b""), (0xF1, b""), (0xF1, b""), (get, answer("CSeq: 2"))]
    for first, routes in ((0, tcp), (1, udp), (2, cast)):
        talk = [(get, described), *((get, it) for it in routes), (get, playing), (get, packets if first == 0 else b""), (control, b"\x81\xc9\0\1\0\0\0\1"), (get, asked)]
        put("rtsp_client", f"plays{first}", records(first, *talk, *kept, (end, b""), (get, answer("CSeq: 20"))))
        put("rtsp_client", f"ends{first}", records(first, *talk, (get, b"TEARDOWN rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n"), (tick, b"")))
    start = [(get, described), (get, tcp[0]), (get, tcp[1])]
    put("rtsp_client", "redirect", records(0, *start, (get, playing), (get, b"REDIRECT rtsp://x RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://u:p@y/z\r\n\r\n")))
    for location in ("rtsp://u:p@other:8554/y", "/y", "http://x/", " ", "//h/y", "rtsp://hall/x", "x" * 3000):
        put("rtsp_client", "moved" + hashlib.md5(location.encode()).hexdigest()[:6], records(0, (get, answer(f"Location: {location}", status="302 Found"))))
    put("rtsp_client", "moved_nowhere", records(0, (get, answer(status="301 Moved"))))
    put("rtsp_client", "no_range", records(0, *start, (get, answer(status="457 Invalid Range")), (get, playing)))
    put("rtsp_client", "garbage_between", records(0, *start, (get, playing), (get, packets + b"\0\1\2garbage\r\n" + packets + b"$\7\0\x02ab$\0\0\1\0" + packets + asked)))
    put("rtsp_client", "much_garbage", records(0, *start, (get, playing), *((get, b"\xff" * 60000),) * 3))
    put("rtsp_client", "cut", records(0, *start, (get, playing), (get, b"$"), (get, b"\0\0"), (get, b"\x04\x80"), (get, b"\x60ab" + packets), (get, b"RTSP/1.0 2"), (get, b"00 OK\r\n\r\n")))
    for name, status in {"missing": "404 Not Found", "forbidden": "403 Forbidden", "transport": "461 Unsupported Transport", "odd": "999 ?", "no_reason": "500"}.items():
        put("rtsp_client", name, records(0, (get, answer(status=status))))
        put("rtsp_client", f"later_{name}", records(1, (get, described), (get, answer(status=status))))
    for name, data in {
        "http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "nonsense": b"\x16\3\1\0", "no_body": answer(), "bad_length": b"RTSP/1.0 200 OK\r\nContent-Length: x\r\n\r\n",
        "long_length": b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", "longer_length": b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "folded": b"RTSP/1.0 200 OK\r\nServer: a\r\n b\r\n\tc\r\nno colon\r\n\r\n", "many_lines": b"RTSP/1.0 200 OK\r\n" + b"A: b\r\n" * 400 + b"\r\n",
        "long_line": b"RTSP/1.0 200 OK\r\nA: " + b"b" * 40000, "long_start": b"A" * 40000, "base": answer("Content-Location: y", body=sdp), "no_media": answer(body=b"v=0\r\n"),
        "slash_base": answer("Content-Base: /x y/", "Content-Location: rtsp://u@h/", body=sdp.replace(b"a=control:v", b"a=control:rtsp://u:p@h/v").replace(b"a=control:a", b"a=control:?a")),
        "no_control": answer(body=sdp.replace(b"a=control:", b"a=nothing:")), "old": answer(version="RTSP/2.0", body=sdp), "lower": answer(version="rtsp/1.0"),
    }.items():
        put("rtsp_client", f"says_{name}", records(0, (get, data)))
    for number, transport in enumerate(("RTP/AVP;unicast;server_port=7000-7001", "RTP/AVP/TCP;interleaved=5", "RTP/AVP;multicast", "RTP/AVP;multicast;port=0", "x", "",
                                        "RTP/AVP/TCP;interleaved=1-1", "RTP/AVP;unicast;server_port=0-1;source=0.0.0.0;destination=1.2.3.4")):
        for first in (0, 1, 2):
            put("rtsp_client", f"route{number}_{first}", records(first, (get, described), (get, answer(f"Transport: {transport}", "Session: ")), (get, answer())))
    challenged(put, described, tcp, playing)


def challenged(put, described, tcp, playing):
    """Challenges of every kind, renewed and stale nonces, keys that are wrong."""
    def asks(*challenges):
        return (0, answer(*(f"WWW-Authenticate: {it}" for it in challenges), status="401 Unauthorized"))

    digest = 'Digest realm="x y", nonce="1"'
    kinds = {"md5": [digest], "none": [], "unknown": ["Negotiate", "NTLM abc"], "basic": ['Basic realm="x"'], "both": ['Basic realm="x"', digest + ", algorithm=MD5"],
             "sess": [digest + ', algorithm=MD5-sess, qop="auth,auth-int", opaque="o\\"p"'], "int": [digest + ', qop="auth-int"'], "sha": [digest + ", algorithm=SHA-256, qop=auth"],
             "sha_sess": [digest + ", algorithm=SHA-256-sess, qop=auth"], "sha512": [digest + ', algorithm="SHA-512-256"'], "strange": [digest + ", algorithm=SHA-1"],
             "odd_qop": [digest + ', qop="x"'], "one_line": [f'Basic realm="x", {digest}, stale=true, Bearer'], "no_nonce": ['Digest realm="x"'], "many": ["A"] * 30,
             "many_words": [", ".join(f"w{n}" for n in range(40))]}
    for name, challenges in kinds.items():
        for first in (0, 4):
            put("rtsp_client", f"asks_{name}{first}", bytes([first]) + records(0, asks(*challenges), (0, described), (0, tcp[0]), asks(*challenges), (0, tcp[1]), (0, playing))[1:])
        put("rtsp_client", f"refuses_{name}", records(0, asks(*challenges), asks(*challenges), asks(*challenges)))
    renewed = (0, answer('Authentication-Info: nextnonce="7"', "Content-Base: x", status="200 OK", body=b""))
    stale = asks(digest.replace('"1"', '"2"') + ", stale=true")
    put("rtsp_client", "stale", records(0, asks(digest), stale, (0, described), stale, (0, tcp[0]), (0, tcp[1]), renewed, (0xF1, b""), stale, (0xF1, b""), (0, answer(status="401 No"))))
    put("rtsp_client", "next", records(0, asks(digest + ', qop="auth"'), (0, answer('Authentication-Info: nextnonce="7"', body=b"v=0\r\nm=video 0 RTP/AVP 96\r\n")), (0, tcp[0]), (0, playing)))
    put("rtsp_client", "at_end", records(0, (0, described), (0, tcp[0]), (0, tcp[1]), (0, playing), (2, b""), asks(digest), (0, answer())))


# ---- RTMP ----
def rtmp(put, values, message, tags):
    def command(name, *arguments, kind=20):
        return message(kind, (b"\0" if kind == 17 else b"") + values(name, 5, *arguments))

    def connect(**more):
        return message(20, values("connect", 1, {"app": "live", **more}))

    create, play, publish = command("createStream", None), command("play", None, "mp4:a/b.mp4?t=1", 9000), command("publish", None, "hall?key=chalk", "live")
    media = b"".join(message(8 if kind else 9, tag, 5 if kind else 4) for kind, tag in tags)
    asks = b"".join(command(name, None, "x") for name in ("getStreamLength", "releaseStream", "FCPublish", "_checkbw", "FCSubscribe", "unheard"))
    control = message(5, struct.pack(">I", 300), 2) + message(3, struct.pack(">I", 9), 2) + message(6, struct.pack(">IB", 9, 2), 2) + b"".join(
        message(4, struct.pack(">H", kind) + bytes(8), 2) for kind in (0, 1, 2, 3, 4, 6, 7, 31, 32, 33)) + message(4, b"\0", 2)
    plays = play + command("pause", None, True, 500) + command("pause", None, 7) + command("seek", None, 9000.0) + command("seek", None, "x")
    closes = {"delete": command("deleteStream", None, 1), "false": command("publish", None, False), "unpublish": command("FCUnpublish", None, "x"), "close": command("closeStream", None)}
    for how in range(16):
        begin = bytes([how]) + connect(tcUrl="rtmp://u:p@host/live?x=1") + create
        put("rtmp", f"plays{how}", begin + asks + control + plays + closes["close"] + plays)
        put("rtmp", f"publishes{how}", begin + asks + publish + publish + control + media + message(22, bytes(4)) + play)
    for name, close in closes.items():
        put("rtmp", f"ends_{name}", b"\1" + connect() + create + publish + media + close + publish + close + play + close)
    apps = ["", "live/_definst_", "live?a=b", "a/b/c", "live/x?k=1", "/", "..", "a b", "a%20b", "x" * 2000, "live/mp4:f"]
    for number, app in enumerate(apps):
        for stream in ("hall", "mp4:hall", "hall/chalk", "", "a/b/c", "%zz", "x?user=hall&pass=p", "?key=x", "rtp:x", "..", "é", "a%2fb", "/hall/chalk?a", "y" * 2000):
            name = f"{number}_{hashlib.md5(stream.encode()).hexdigest()[:6]}"
            begin = b"\0" + message(20, values("connect", 1, {"app": app, "tcUrl": f"rtmp://host/{app}?z=1"})) + create
            put("rtmp", f"name_{name}", begin + command("publish", None, stream) + command("deleteStream", None) + command("play", None, stream, -2))
    odd = {"publish_first": publish, "no_object": message(20, values("connect", 1, None)), "twice": connect() + connect(), "no_name": connect() + command("publish", None),
           "no_stream": connect() + command("play", None, 7), "plays_twice": connect() + play + play, "short": message(20, values("connect")), "two": connect() + message(20, values("createStream", 2)),
           "no_app": message(20, values("connect", 1, {"tcUrl": "x"})), "bad_url": connect(tcUrl="host@x") + publish, "amf3": connect() + command("publish", None, "x", kind=17)}
    for name, data in odd.items():
        put("rtmp", f"odd_{name}", b"\1" + data)
    put("rtmp", "flood", b"\1" + connect() + create * 900)
    put("rtmp", "handshake", b"\1")
    numbers = {"width": 1280, "height": 720, "framerate": 25, "audiosamplerate": 48000, "audiodatarate": 128, "duration": 9.5, "encoder": "x" * 200}
    for name, described in {"all": numbers, "mono": {**numbers, "stereo": False}, "channels": {**numbers, "audiochannels": 6}, "absurd": {key: -1 for key in numbers}}.items():
        for keep in ([], ["@setDataFrame"]):
            put("rtmp", f"metadata_{name}{len(keep)}", b"\1" + connect() + publish + message(18, values(*keep, "onMetaData", described)) + message(15, b"\0" + values("onMetaData", described)))
    chunks(put, values, message, tags)


def chunks(put, values, message, tags):
    """Chunk headers of every kind (RTMP 1.0 §5.3.1), after the opening that the target `publish` sends."""
    legacy = [tag for kind, tag in tags if not kind]

    def head(fmt, csid, time=0, length=0, kind=9, stream=1):
        basic = bytes([fmt << 6 | csid]) if csid < 64 else bytes([fmt << 6, csid - 64]) if csid < 320 else bytes([fmt << 6 | 1, (csid - 64) & 255, csid - 64 >> 8])
        fields = struct.pack(">I", min(time, 0xFFFFFF))[1:] + struct.pack(">I", length)[1:] + bytes([kind]) + struct.pack("<I", stream)
        return basic + fields[:[11, 7, 3, 0][fmt]] + (struct.pack(">I", time) if time >= 0xFFFFFF and fmt < 3 else b"")

    def cut(csid, payload, size, repeat=b"", **fields):
        parts = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
        return head(0, csid, length=len(payload), **fields) + parts[0] + b"".join(head(3, csid) + repeat + part for part in parts[1:])

    long = legacy[1] + b"\0\0\0\1\x41" * 80
    big = 0x01020304
    kinds = {
        "wide_ids": b"".join(cut(csid, legacy[n % 3], 128) for n, csid in enumerate((63, 64, 319, 320, 4000))),
        "deltas": cut(4, legacy[0], 128) + head(1, 4, 40, len(legacy[1])) + legacy[1] + head(2, 4, 40) + legacy[1] + head(3, 4) + legacy[1],
        "extended": cut(4, long, 128, struct.pack(">I", big), time=big), "extended_left_out": cut(4, long, 128, time=big),
        "extended_deltas": cut(4, legacy[1], 128, time=big) + head(2, 4, big) + legacy[1] + head(3, 4) + struct.pack(">I", big) + legacy[1] + head(3, 4) + legacy[1],
        "chunk_size": message(1, struct.pack(">I", 1), 2) + cut(4, legacy[0], 1) + cut(2, struct.pack(">I", 0x7FFFFFFF), 1, kind=1) + cut(4, long, 70000),
        "no_chunk_size": message(1, bytes(4), 2), "short_chunk_size": message(1, b"\0", 2), "negative_chunk_size": message(1, b"\xff" * 4, 2),
        "abort": cut(4, long, 128)[:100] + message(2, struct.pack(">I", 4), 2) + cut(4, legacy[1], 128) + message(2, b"", 2) + message(2, struct.pack(">I", 99), 2),
        "interrupted": cut(4, long, 128)[:140] + cut(4, legacy[1], 128) + cut(5, b"\xaf\1" + bytes(200), 128)[:140] + cut(5, b"\xaf\1\x21", 128),
        "headless": head(3, 9), "headless2": head(2, 9, 1), "many_streams": b"".join(cut(100 + n, legacy[1], 128) for n in range(80)),
        "many_unfinished": b"".join(head(0, 100 + n, length=300) for n in range(80)), "long_unfinished": b"".join(head(0, 100 + n, length=0x700000) for n in range(40)),
        "too_long": head(0, 4, length=0xFFFFFF) + bytes(128), "long_command": head(0, 3, length=0xFFFFFF, kind=20), "long_data": head(0, 3, length=0x80000, kind=18) + bytes(128),
        "unknown": message(19, b"x") + message(99, b"x") + message(16, b"x"), "control": message(4, b"\0\6\0\0\0\1", 2) + message(5, b"\0", 2) + message(4, b"", 2),
        "amf3": message(17, b"\0" + values("x", 1, None)) + message(15, b"\0" + values("onMetaData", {})) + message(18, b"\x0b" + bytes(10)) + message(18, b"\2\0\x09a") + message(20, b"\2\0\1a"),
        "close": message(20, values("deleteStream", 1, None, 1)) + message(20, values("publish", 5, None, "hall")) + message(9, legacy[0], 4) + message(9, legacy[1], 4),
        "refused": message(20, values("publish", 5, None, "hall?key=a")) + message(9, legacy[0], 4),
    }
    for name, data in kinds.items():
        for step in (6, 0):
            put("publish", f"{name}{step}", bytes([step]) + data)
    inner = lambda kind, tag, size=None, time=0: bytes([kind]) + struct.pack(">I", len(tag) if size is None else size)[1:] + struct.pack(">I", time)[1:] + bytes(4) + tag + bytes(4)
    put("publish", "aggregate", b"\6" + message(22, inner(9, legacy[0], time=90) + inner(9, legacy[1], time=100) + inner(18, b"x") + inner(8, b"\xaf\0\x11\x90") + inner(9, b"x", 900), 6))
    every = [(kind, tag) for kind, tag in all_tags(legacy)]
    formed = b"".join(bytes([0 if kind else 1, 40]) + struct.pack(">H", len(tag)) + tag for kind, tag in every if len(tag) < 4096)
    put("publish", "all_tags", b"\7" + formed)
    put("publish", "after_sleep", b"\7" + formed[:200] + bytes([0xF1, 255]) + struct.pack(">H", len(legacy[1])) + legacy[1] + formed[:400])
    put("flv", "all_tags", b"".join(bytes([kind]) + struct.pack(">H", len(tag)) + tag for kind, tag in every))
    for number, (kind, tag) in enumerate(every):
        record = lambda kind, tag: bytes([kind]) + struct.pack(">H", len(tag)) + tag
        put("flv", f"tag{number}", record(0, legacy[0]) + record(kind, tag) + record(0, legacy[1]))


def all_tags(legacy):
    """Bodies of FLV tags: (1 for sound, bytes)."""
    config, avcc = legacy[0], legacy[0][5:]
    nal = lambda data: struct.pack(">I", len(data)) + data
    sps, pps = bytes.fromhex("67640029acd940"), bytes.fromhex("68ebe3cb")
    pictures = [b"", b"\x17", b"\x57\1", b"\x17\2\0\0\0", b"\x17\3\0\0\0", config, b"\x17\1\xff\xff\xfe" + nal(b"\x65\1"), b"\x27\1\0\0\0" + nal(b"\x09\xf0") + nal(b"\x41\1"),
                b"\x17\1\0\0\0" + nal(sps) + nal(pps) + nal(b"\x65\2"), b"\x17\1\0\0\0" + nal(sps[:-1] + b"\x41") + nal(pps) + nal(b"\x68\1") + nal(b"\x67\2") + nal(b"\x65\2"),
                b"\x17\1\0\0\0\0\0\0\1\x65\1\0\0\0\1\x41\2", b"\x17\1\0\0\0\0\0\0\x09\x65", b"\x17\1\0\0\0" + nal(b""), b"\x17\1\0\0\0" + nal(b"\x09\xf0"), b"\x17\0\0\0\0\1\x64",
                b"\x17\0\0\0\0" + avcc[:4] + b"\xfd" + avcc[5:], b"\x17\0\0\0\0" + avcc[:5] + b"\xe2" + (struct.pack(">H", len(sps)) + sps) * 2 + b"\2" + (struct.pack(">H", len(pps)) + pps) * 2]
    pictures += [bytes([0x10 | codec]) + b"\0" * 5 for codec in range(16)]
    pictures += [bytes([0x90 | kind]) + four + rest for four in (b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09", b"????") for kind, rest in ((0, avcc), (1, bytes(3) + nal(b"\x65\1")), (3, nal(b"\x41\1")))]
    pictures += [bytes([0x90 | kind]) + b"avc1" for kind in (2, 4, 5, 8, 15)] + [b"\xd0\1"]
    many = b"avc1" + b"".join(bytes([track]) + struct.pack(">I", len(avcc))[1:] + avcc for track in (0, 1))
    pictures += [b"\x96\x00avc1\0" + avcc, b"\x96\x10" + many, b"\x96\x20" + b"".join(four + bytes([n]) + struct.pack(">I", len(avcc))[1:] + avcc for n, four in enumerate((b"avc1", b"hvc1"))),
                 b"\x96\x30", b"\x96\x01avc1\0" + bytes(3) + nal(b"\x65\1"), b"\x96\x01avc1\1" + bytes(3) + nal(b"\x65\1"), b"\x96\x01avc1\0" + bytes(3) + nal(b"\x41\1"), b"\x96\x16" + many,
                 b"\x97\0\0\0avc1", b"\x97\2\0\0\0\x11avc1" + bytes(3) + nal(b"\x65\1"), b"\x97\xff\0\3\0\0\0\0\1avc1" + bytes(3) + nal(b"\x65\1"), b"\x97\xff\xff\xff"]
    sounds = [b"", b"\xaf", b"\xaf\0", b"\xaf\0\x11\x90", b"\xaf\1", b"\xaf\1\x21\x10\4", b"\xaf\2\1", b"\xaf\0\xff\xff", b"\x2f\xff\xfb\x90\x44" + bytes(20), b"\xef\xff\xf3\x14\0", b"\x2f\0\0"]
    sounds += [bytes([codec << 4 | low]) + bytes(20) for codec in range(16) for low in (0, 1)] + [bytes([0x90 | kind]) + four + rest for four in (b"mp4a", b".mp3", b"Opus", b"fLaC", b"ac-3", b"ec-3", b"\0\0\0\0")
                                                                                           for kind, rest in ((0, b"\x11\x90"), (1, b"\x21\x10\4"), (1, b"\xff\xfb\x90\x44" + bytes(9)), (2, b""), (4, b"\0\2"))]
    sounds += [b"\x95\x00mp4a\0\x11\x90", b"\x95\x01mp4a\0\x21\x10\4", b"\x95\x11mp4a\0\0\0\3\x21\x10\4\1\0\0\1x", b"\x95\x21mp4a\0\0\0\1x", b"\x95\x71", b"\x97\0\0\1mp4a\x21", b"\x9fx"]
    return [(0, tag) for tag in pictures] + [(1, tag) for tag in sounds]


def amf(put, values, text):
    every = b"\0" + bytes(8) + b"\1\1" + b"\2" + text("x") + b"\3" + text("a") + b"\5" + b"\0\0\t" + b"\5\6" + b"\x08\0\0\0\1" + text("a") + b"\1\0" + b"\0\0\t" + b"\n\0\0\0\2\5\6"
    # Movie clip, reference, object end, date, long string, unsupported, record set, XML, typed object, AMF3 (AMF0 §2.1).
    others = {4: b"", 7: b"\0\1", 9: b"", 11: bytes(10), 12: b"\0\0\0\1x", 13: b"", 14: b"", 15: b"\0\0\0\1x", 16: text("T") + b"\0\0\t", 17: b"\1"}
    for kind in range(4):
        put("amf", f"every{kind}", bytes([kind]) + every)
        put("amf", f"command{kind}", bytes([kind]) + values("x", 1) + every)
        for marker, data in others.items():
            put("amf", f"marker{marker}_{kind}", bytes([kind]) + bytes([marker]) + data)
        for name, data in {"cut": b"\0\0", "cut_text": b"\2\0\x09a", "bad_text": b"\2\0\1\xff", "bad_end": b"\3\0\0\5", "cut_object": b"\3\0\1", "cut_array": b"\x08\0", "lies": b"\n\xff\xff\xff\xff\5",
                           "deep_objects": b"\3\0\1a" * 9, "deep_arrays": b"\x08\0\0\0\1\0\1a" * 9, "empty": b"", "amf3": b"\0" + values("x", 1, None)}.items():
            put("amf", f"{name}{kind}", bytes([kind]) + data)
