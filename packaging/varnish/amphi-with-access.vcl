vcl 4.1;

# A cache in front of an Amphi with [[access.rule]]. See docs/scale.md. Needs vmod_digest (Debian: varnish-vmod-digest).
#
# Grants are checked here and are no part of the cache's keys: all viewers share one copy. Where players begin, the origin checks
# what they show; it has to trust this proxy: server.trusted_proxies = ["127.0.0.1"].

import digest;
import std;

backend amphi {
    .host = "127.0.0.1";
    .port = "8080";
}

sub vcl_recv {
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    unset req.http.X-Amphi-Plain;
    # Viewers may have written it.
    unset req.http.Forwarded;
    if (req.url ~ "^/[^/?]+/~") {
        if (req.url !~ "^/[^/?]+/~[0-9]{10}-[0-9a-f]{4}-[0-9a-f]{24}/") {
            return (synth(403));
        }
        # What an answer depends on is kept of the query; a key makes no other answer.
        if (req.url !~ "\?((?i)(wowza)?play(start|duration)=[0-9.]+&?|(t|width)=[0-9.]+&?)+$") {
            set req.url = regsub(req.url, "\?.*$", "");
        }
        set req.http.X-Amphi-App = regsub(req.url, "^/([^/]+)/.*$", "\1");
        set req.http.X-Amphi-Until = regsub(req.url, "^/[^/]+/~([0-9]{10}).*$", "\1");
        set req.http.X-Amphi-Claim = regsub(req.url, "^/[^/]+/~([0-9]{10}-[0-9a-f]{4}).*$", "\1");
        set req.http.X-Amphi-Tag = regsub(req.url, "^/[^/]+/~[0-9]{10}-[0-9a-f]{4}-([0-9a-f]{24})/.*$", "\1");
        set req.http.X-Amphi-Scope = req.http.X-Amphi-App;
        # The mounts ([[vod]]): the scope is the recording.
        if (req.http.X-Amphi-App ~ "^(vod)$") {
            set req.http.X-Amphi-Scope = req.http.X-Amphi-App + regsub(regsub(req.url, "\?.*$", ""), "^/[^/]+/~[^/]+(/.*)/[^/]*$", "\1");
        }
        # access.grant_secret of Amphi; only Varnish's owner should be able to read this file.
        set req.http.X-Amphi-Right = regsub(
            digest.hmac_sha256("change-me", req.http.X-Amphi-Scope + {"
"} + req.http.X-Amphi-Claim),
            "^0x([0-9a-f]{24}).*$", "\1");
        # For how long a grant is taken here after its end. The origin also knows when a lecture ends; this cache does not, so a
        # value below access.goes_on_s, but above the longest lecture, is good.
        if (req.http.X-Amphi-Right != req.http.X-Amphi-Tag || std.time(req.http.X-Amphi-Until, now - 10d) + 21600s < now) {
            return (synth(403));
        }
        # Groups that are revoked (GET /api/v1/access shows them), with | between them.
        if (req.http.X-Amphi-Claim ~ "-(none)$") {
            return (synth(403));
        }
        set req.http.X-Amphi-Plain = regsub(req.url, "^(/[^/]+)/~[^/]+/", "\1/");
        unset req.http.X-Amphi-App;
        unset req.http.X-Amphi-Until;
        unset req.http.X-Amphi-Claim;
        unset req.http.X-Amphi-Tag;
        unset req.http.X-Amphi-Scope;
        unset req.http.X-Amphi-Right;
        return (hash);
    }
    # Who shows something is asked about by the origin.
    if (req.url ~ "\?" || req.http.Authorization || req.http.Cookie) {
        return (pass);
    }
    return (hash);
}

sub vcl_hash {
    if (req.http.X-Amphi-Plain) {
        hash_data("granted:" + req.http.X-Amphi-Plain);
    } else {
        hash_data("open:" + req.url);
    }
    return (lookup);
}

sub vcl_backend_response {
    # Never serve an old playlist in place of a new one: players would think that the stream has stopped.
    set beresp.grace = 0s;
    if (beresp.status != 200 || beresp.http.Cache-Control ~ "no-store|no-cache|private") {
        set beresp.uncacheable = true;
        # Requests that wait for the same are let through at once, not one after the other.
        set beresp.ttl = 0s;
        return (deliver);
    }
    if (bereq.url ~ "/chunklist[^/]*\.m3u8$") {
        # Live media playlists with cells of 2 s: less than half a cell. Requests meanwhile wait for the one to the origin.
        set beresp.ttl = 0.5s;
        set beresp.keep = 10s;
    }
    return (deliver);
}
