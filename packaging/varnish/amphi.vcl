vcl 4.1;

# A cache in front of Amphi. See docs/scale.md.

backend amphi {
    .host = "127.0.0.1";
    .port = "8080";
}

sub vcl_recv {
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # Queries are tokens of players; what an address names does not depend on them.
    set req.url = regsub(req.url, "\?.*$", "");
    unset req.http.Cookie;
    return (hash);
}

sub vcl_backend_response {
    # Never an old playlist in the place of a new one: players would take it for a stream that stands still.
    set beresp.grace = 0s;
    if (beresp.status != 200) {
        set beresp.uncacheable = true;
        # Whoever waits for the same is let through at once, not one after the other.
        set beresp.ttl = 0s;
        return (deliver);
    }
    if (bereq.url ~ "/chunklist[^/]*\.m3u8$") {
        # Live media playlists of cells of 2 s: under half a cell. Whoever asks meanwhile waits for the one request.
        set beresp.ttl = 0.5s;
        set beresp.keep = 10s;
    }
    return (deliver);
}
