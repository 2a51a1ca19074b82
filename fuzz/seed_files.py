"""Files: mp4 indexes with boxes of every kind, configurations with every fault, AudioSpecificConfigs of every kind."""
import ast
import re
import struct


# ---- mp4 ----
def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind.encode("latin-1")) + body


def full(kind, *parts, version=0, flags=0):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def u32(*numbers):
    return b"".join(struct.pack(">I", number & 0xFFFFFFFF) for number in numbers)


def table(kind, rows, version=0):
    return full(kind, u32(len(rows)), *(u32(*row) for row in rows), version=version)


AVCC = bytes.fromhex("01640029ffe1000767640029acd94001000468ebe3cb")
HVCC = bytes.fromhex("0101600000009000000000005df000fcfdf8f800000f00")


def descriptor(tag, body, wide=False):
    return bytes([tag]) + (b"\x80\x80\x80" if wide else b"") + bytes([len(body)]) + body


def esds(object_type=0x40, config=b"\x11\x90", flags=0, wide=False):
    more = (b"\0\1" if flags & 0x80 else b"") + (b"\1x" if flags & 0x40 else b"") + (b"\0\1" if flags & 0x20 else b"")
    specific = descriptor(5, config, wide) if config else b""
    return full("esds", descriptor(3, b"\0\1" + bytes([flags]) + more + descriptor(4, bytes([object_type, 0x15]) + bytes(11) + specific, wide), wide))


def picture(kind, record):
    return box(kind, bytes(6), b"\0\1", bytes(16), struct.pack(">HH", 1280, 720), bytes(50), record)


def sound(kind, inside, version=0):
    more = {0: b"", 1: bytes(16), 2: bytes(36)}[version]
    return box(kind, bytes(6), b"\0\1", struct.pack(">HHI", version, 0, 0), struct.pack(">HHI", 2, 16, 0), u32(48000 << 16), more, inside)


def stbl(entry, count=4, sync=None, sizes=None, offsets=None, composition=None, durations=None, groups=None):
    parts = [full("stsd", u32(1), entry) if isinstance(entry, bytes) else full("stsd", u32(len(entry)), *entry)]
    parts.append(table("stts", durations or [(count, 3000)]))
    parts.append(composition or b"")
    parts.append(table("stss", [(n,) for n in sync]) if sync is not None else b"")
    parts.append(sizes or full("stsz", u32(0, count), u32(*range(9, 9 + count))))
    parts.append(groups or table("stsc", [(1, count, 1)]))
    parts.append(offsets or table("stco", [(5000,)]))
    return box("stbl", *parts)


def trak(number, handler, samples, *more, version=0, flags=3, timescale=90000):
    long = (lambda *numbers: b"".join(struct.pack(">Q", n) for n in numbers)) if version else u32
    tkhd = full("tkhd", long(0, 0), u32(number, 0), long(12000), bytes(60), version=version, flags=flags)
    mdhd = full("mdhd", long(0, 0), u32(timescale), long(12000), b"\x55\xc4\0\0", version=version)
    mdia = box("mdia", mdhd, full("hdlr", u32(0), handler, bytes(12), b"\0"), box("minf", samples))
    return box("trak", tkhd, *more, mdia)


def movie(*parts, version=0):
    times = struct.pack(">QQIQ", 0, 0, 1000, 133) if version else u32(0, 0, 1000, 133)
    return box("moov", full("mvhd", times, bytes(80), version=version), *parts)


def edits(*rows, version=0):
    one = lambda duration, time, rate=1: (struct.pack(">Qq", duration, time) if version else struct.pack(">Ii", duration, time)) + struct.pack(">HH", rate, 0)
    return box("edts", full("elst", u32(len(rows)), *(one(*row) for row in rows), version=version))


def mp4(put):
    avc, aac = picture("avc1", box("avcC", AVCC)), sound("mp4a", esds())
    video = lambda **more: trak(1, b"vide", stbl(avc, **{"sync": [1, 3], **more}))
    audio = lambda entry=aac, **more: trak(2, b"soun", stbl(entry, **more), timescale=48000)
    chap = lambda number: box("tref", box("chap", u32(number)))
    title = lambda kind: trak(3, b"text", stbl(box(kind, bytes(8))), timescale=1000)
    entries = {"hvc1": picture("hvc1", box("hvcC", HVCC)), "hev1": picture("hev1", box("hvcC", HVCC.replace(b"\x60\0", b"\xe0\0"))), "hvc1_short": picture("hvc1", box("hvcC", b"\1\1")),
               "avc3": picture("avc3", box("avcC", AVCC)), "avc1_short": picture("avc1", box("avcC", b"\1")), "avc1_none": picture("avc1", b""), "avc1_cut": box("avc1", bytes(20)),
               "vp09": picture("vp09", b""), "two": [avc, avc], "none": [], "length2": picture("avc1", box("avcC", AVCC[:4] + b"\xfd" + AVCC[5:])), "pasp": picture("avc1", box("avcC", AVCC) + box("pasp", u32(4, 3)))}
    for name, entry in entries.items():
        put("mp4", f"entry_{name}", movie(trak(1, b"vide", stbl(entry, sync=[1, 3])), audio()))
        put("mp4", f"alone_{name}", movie(trak(1, b"vide", stbl(entry, sync=[1, 3]))))
    sounds = {"opus": sound("Opus", box("dOps", b"\0\2" + bytes(9))), "v1": sound("mp4a", esds(), 1), "v2": sound("mp4a", esds(), 2), "wave": sound("mp4a", box("wave", box("frma", b"mp4a"), esds()), 1),
              "mp3": sound("mp4a", esds(0x6B, b"")), "wide": sound("mp4a", esds(wide=True)), "flags": sound("mp4a", esds(flags=0xE0)), "no_esds": sound("mp4a", b""), "he": sound("mp4a", esds(config=bytes.fromhex("2b098800"))),
              "bad": sound("mp4a", full("esds", b"\4\1x")), "cut": box("mp4a", bytes(9)), "ac3": sound("ac-3", box("dac3", bytes(3))), "five": sound("mp4a", esds(config=b"\x11\xb0")), "lpcm": sound("lpcm", b"", 2)}
    for name, entry in sounds.items():
        put("mp4", f"sound_{name}", movie(video(), audio(entry)))
        put("mp4", f"only_{name}", movie(audio(entry)))
    kinds = {
        "co64": video(offsets=full("co64", u32(1), struct.pack(">Q", 5000))), "co64_far": video(offsets=full("co64", u32(1), b"\xff" * 8)), "no_offsets": video(offsets=b"\0\0\0\x08free"),
        "equal_sizes": video(sizes=full("stsz", u32(7, 4))), "stz2": video(sizes=full("stz2", u32(16, 4), bytes(8))), "stz2_4": video(sizes=full("stz2", u32(4, 4), bytes(2))), "no_sizes": video(sizes=b"\0\0\0\x08free"), "short_sizes": video(sizes=full("stsz", u32(0, 9), u32(1))),
        "cut_sizes": video(sizes=full("stsz", b"\0")), "big_sizes": video(sizes=full("stsz", u32(0, 4), u32(1 << 20, 70000, 66000, 3))), "zero_sizes": video(sizes=full("stsz", u32(0, 4), u32(0, 0, 0, 0))),
        "ctts": video(composition=table("ctts", [(2, 6000), (2, 0)])), "ctts1": video(composition=table("ctts", [(1, -3000), (3, 3000)], 1)), "ctts_many": video(count=400, composition=table("ctts", [(1, 3000 * (n % 300)) for n in range(400)])),
        "ctts_short": video(composition=table("ctts", [(1, 1)])), "runs": video(groups=table("stsc", [(1, 1, 1), (2, 3, 1)]), offsets=table("stco", [(5000,), (9000,)])), "run_gap": video(groups=table("stsc", [(2, 4, 1)])),
        "no_runs": video(groups=table("stsc", [])), "run_back": video(groups=table("stsc", [(2, 1, 1), (1, 3, 1)])), "empty_runs": video(groups=table("stsc", [(1, 0, 1)]), offsets=table("stco", [(5000,)] * 9)), "all_sync": video(sync=None), "no_sync": video(sync=[]), "sync_back": video(sync=[3, 1]), "late_sync": video(sync=[3]),
        "durations": video(durations=[(1, 3000), (1, 1), (1, 0), (1, 90000)]), "many_durations": video(count=600, durations=[(1, 3000 + n % 5) for n in range(600)]), "no_durations": video(durations=[(0, 0)]), "empty": video(count=0), "one": video(count=1, sync=[1]),
        "version1": trak(1, b"vide", stbl(avc, sync=[1]), version=1), "disabled": trak(1, b"vide", stbl(avc, sync=[1]), flags=0), "no_timescale": trak(1, b"vide", stbl(avc, sync=[1]), timescale=0), "fast": trak(1, b"vide", stbl(avc, sync=[1]), timescale=0xFFFFFFFF),
        "edit": trak(1, b"vide", stbl(avc, sync=[1, 3]), edits((133, 3000))), "edit1": trak(1, b"vide", stbl(avc, sync=[1, 3]), edits((133, 3000), version=1)), "empty_edit": trak(1, b"vide", stbl(avc, sync=[1, 3]), edits((500, -1), (133, 0))),
        "empty_edits": trak(1, b"vide", stbl(avc, sync=[1, 3]), edits((500, -1))), "cut_edit": trak(1, b"vide", stbl(avc, sync=[1, 3]), edits((60, 3000), (20, 9000))), "no_edit": trak(1, b"vide", stbl(avc, sync=[1, 3]), edits()), "slow_edit": trak(1, b"vide", stbl(avc, sync=[1, 3]), edits((133, 0, 2))), "far_edit": trak(1, b"vide", stbl(avc, sync=[1, 3]), edits((0xFFFFFFFF, 0x7FFFFFFF))),
        "hint": trak(1, b"hint", stbl(box("rtp ", bytes(8)))), "no_stbl": box("trak", full("tkhd", bytes(80))), "no_tables": trak(1, b"vide", box("stbl")), "long_box": struct.pack(">I4sQ", 1, b"free", 16) + video(), "cut_long_box": struct.pack(">I4s", 1, b"free"),
    }
    for name, one in kinds.items():
        put("mp4", f"box_{name}", movie(one, audio()))
        put("mp4", f"box_{name}_alone", movie(one, version=1))
    put("mp4", "many_tracks", movie(*[audio()] * 40))
    put("mp4", "no_tracks", movie())
    put("mp4", "no_movie_header", box("moov", video()))
    for name, kind in (("text", "text"), ("tx3g", "tx3g"), ("other", "mp4s")):
        put("mp4", f"chapters_{name}", movie(trak(1, b"vide", stbl(avc, sync=[1]), chap(3)), audio(), title(kind)))
    put("mp4", "chapters_missing", movie(trak(1, b"vide", stbl(avc, sync=[1]), chap(9)), audio()))
    fragmented(put, avc, aac)


def fragmented(put, avc, aac):
    empty = dict(count=0, durations=[(0, 0)], groups=table("stsc", []), offsets=table("stco", []))
    trex = lambda number: full("trex", u32(number, 1, 3000, 40, 0x10000))
    start = movie(trak(1, b"vide", stbl(avc, **empty)), trak(2, b"soun", stbl(aac, **empty), timescale=48000), box("mvex", full("mehd", u32(133)), trex(1), trex(2)))

    def moof(*trafs, number=1):
        return box("moof", full("mfhd", u32(number)), *trafs)

    def traf(number, *runs, flags=0x20000, fields=b"", time=0):
        tfdt = full("tfdt", struct.pack(">Q", time), version=1) if time > 1 else full("tfdt", u32(time))
        return box("traf", full("tfhd", u32(number), fields, flags=flags), tfdt if time is not None else b"", *runs)

    every = u32(3000, 40, 0, 0) + u32(3000, 30, 0x10000, 3000)
    usual = full("trun", u32(2, 200, 0x2000000), every[:32], flags=0xF05)
    kinds = {
        "usual": moof(traf(1, usual, time=90000), traf(2, full("trun", u32(3, 300), flags=1), time=1)), "base": moof(traf(1, full("trun", u32(2)), flags=1, fields=struct.pack(">Q", 900))),
        "defaults": moof(traf(1, full("trun", u32(2, 9), flags=1), flags=0x2003A, fields=u32(1, 3000, 20, 0))), "follows": moof(traf(1, full("trun", u32(2)), full("trun", u32(2)), flags=0)),
        "other_track": moof(traf(9, usual)), "far": moof(traf(1, full("trun", u32(2, 0x7FFFFFFF), flags=1))), "before": moof(traf(1, full("trun", u32(2, -0x7FFFFFFF), flags=1))), "billion": moof(traf(1, full("trun", u32(1 << 30)))),
        "cut_run": moof(traf(1, full("trun", u32(9), u32(1), flags=0x100))), "cut_header": moof(box("traf", full("tfhd", b"\0"))), "no_header": moof(box("traf", usual)), "cut_time": moof(box("traf", full("tfhd", u32(1), flags=0x20000), full("tfdt", b"", version=1))), "cut_number": box("moof", full("mfhd"), traf(1, usual)), "empty": b"\0\0\0\x08moof",
    }
    for name, fragment in kinds.items():
        put("mp4", f"fragment_{name}", start + fragment + box("mdat", bytes(40)) + moof(traf(1, usual, time=6000), number=2))
    put("mp4", "fragment_alone", kinds["usual"])
    put("mp4", "short_trex", movie(trak(1, b"vide", stbl(avc, **empty)), box("mvex", full("trex", u32(1)))) + kinds["usual"])
    put("mp4", "no_fragments", start)


# ---- Configurations: every key with values that are wrong, and each fault that a test provokes ----
def configs(put, shipped, examples, tests):
    def numbers(to):
        return re.sub(r"(?m)^(\w+ = )-?\d[\d_.]*", rf"\g<1>{to}", examples)

    def words(to):
        return re.sub(r'"[^"\n]*"', lambda _: to, examples)

    whole = {
        "zeros": numbers("0"), "ones": numbers("1"), "huge": numbers("4000000000"), "beyond": numbers("99999999999"), "negative": numbers("-1"), "odd": numbers("17"), "words_for_numbers": numbers('"x"'),
        "no_words": words('""'), "same_words": words('"a"'), "blanks": words('"a b"'), "urls": words('"http://u:p@h:1/a?b#c"'), "rtmp": words('"rtmp://h/a/b"'), "rtmps": words('"rtmps://u@h/a/b"'), "hosts": words('"127.0.0.1:1935"'), "any_host": words('"0.0.0.0:80"'),
        "numbers_for_words": words("7"), "reserved": words('"watch"'), "dots": words('".."'), "tokens": words('"abcdefghijklmnopqrstuvwxyz012345"'), "regex": words('"(a)[\\\\"'), "captures": words('"$1 ${x} (?<y>a)"'), "zones": words('"Europe/Vienna"'),
        "unknown_keys": re.sub(r"(?m)^(\w+) =", r"\1x =", examples), "misspelt": re.sub(r"(?m)^(\w)(\w)", r"\2\1", examples), "tables_for_keys": re.sub(r"(?m)^(\w+) = .*", r"\1 = { a = 1 }", examples), "lists_for_keys": re.sub(r"(?m)^(\w+) = .*", r"\1 = [1, \"a\"]", examples),
        "flipped": examples.replace("= true", "= 0").replace("= false", "= true"), "twice": examples + examples, "unknown_tables": re.sub(r"(?m)^(\[+)(\w+)", r"\1\2s", examples), "single_tables": examples.replace("[[", "[").replace("]]", "]"),
        "half": examples[:len(examples) // 2], "no_quotes": examples.replace('"', ""), "tabs": re.sub(r"(?m)^(\w)", "\t\\1", examples), "wide": "\u00e9 = 1\n" + examples, "secrets": re.sub(r'(?m)^(token|password|key)( = )".*"', r"\1\2hunter", examples),
    }
    for name, text in whole.items():
        put("config", f"all_{name}", text.encode())
    # One table or key is missing.
    parts = re.split(r"(?m)^(?=\[)", examples)
    for number in range(len(parts)):
        put("config", f"without_{number}", "".join(parts[:number] + parts[number + 1:]).encode())
        put("config", f"twice_{number}", "".join(parts[:number + 1] + parts[number:]).encode())
    # What the tests put in the place of what is shipped.
    literal = r'"(?:[^"\\]|\\.)*"'
    for number, (old, new) in enumerate(re.findall(rf"\(\s*({literal}),\s*({literal}),", tests)):
        old, new = (re.sub(r"\\\s*\n\s*", "", it) for it in (old, new))
        try:
            old, new = ast.literal_eval(old), ast.literal_eval(new)
        except (SyntaxError, ValueError):
            continue
        for name, text in (("shipped", shipped), ("examples", examples)):
            if old in text:
                put("config", f"fault{number}_{name}", text.replace(old, new, 1).encode())
    for number, text in enumerate(re.findall(r'r#"(.*?)"#', tests, re.S)):
        if "\n" in text and "=" in text:
            put("config", f"text{number}", text.encode())


# ---- AudioSpecificConfigs (ISO/IEC 14496-3 §1.6.2.1) ----
def bits(*fields):
    text = "".join(f"{value:0{width}b}" for width, value in fields)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at:at + 8], 2) for at in range(0, len(text), 8))


def object_type(number):
    return [(5, number)] if number < 31 else [(5, 31), (6, number - 32)]


def audio_configs():
    pce = [(4, 0), (2, 1), (4, 3), (4, 2), (4, 1), (4, 1), (2, 1), (3, 1), (4, 1), (1, 1), (4, 0), (1, 1), (4, 0), (1, 1), (3, 0)]
    pce += [(5, 0)] * 4 + [(4, 0)] + [(4, 0)] + [(5, 0)]
    out = {}
    for number in (1, 2, 3, 4, 5, 6, 7, 17, 19, 20, 22, 23, 29, 34, 36, 39, 42):
        for channels in (0, 1, 2, 7, 8, 11, 12, 15):
            for tail in ([(1, 0), (1, 0), (1, 0)], [(1, 1), (1, 1), (14, 9), (1, 1), (16, 0xABCD), (32, 0xFFFFFFFF)]):
                more = pce if channels == 0 else []
                out[f"type{number}_{channels}_{tail[0][1]}"] = bits(*object_type(number), (4, 3), (4, channels), *tail[:-1], *more, *tail[-1:])
    lc = [(5, 2), (4, 6), (4, 2), (3, 0)]
    out["sync_sbr"] = bits(*lc, (11, 0x2B7), (5, 5), (1, 1), (4, 3))
    out["sync_ps"] = bits(*lc, (11, 0x2B7), (5, 5), (1, 1), (4, 3), (11, 0x548), (1, 1))
    out["sync_none"] = bits(*lc, (11, 0x2B7), (5, 5), (1, 0))
    out["sync_other"] = bits(*lc, (11, 0x2B7), (5, 22), (1, 1))
    out["rate"] = bits((5, 2), (4, 15), (24, 48001), (4, 2), (3, 0))
    out["no_rate"] = bits((5, 2), (4, 15), (24, 0), (4, 2), (3, 0))
    out["bad_rate"] = bits((5, 2), (4, 13), (4, 2), (3, 0))
    out["explicit"] = bits((5, 5), (4, 6), (4, 2), (4, 3), (5, 2), (3, 0))
    out["explicit_ps"] = bits((5, 29), (4, 6), (4, 1), (4, 15), (24, 44100), (5, 2), (3, 0))
    out["elsewhere"] = bits((5, 5), (4, 6), (4, 2), (4, 3), (5, 22), (4, 1), (3, 0))
    out["cut"], out["empty"] = b"\x11", b""
    out["long"] = b"\x11\x90" + bytes(60)
    return out
