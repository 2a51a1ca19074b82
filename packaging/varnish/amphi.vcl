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
    # Queries are tokens of players; what a URL names does not depend on them.
    set req.url = regsub(req.url, "\?.*$", "");
    unset req.http.Cookie;
    return (hash);
}

sub vcl_backend_response {
    # Never serve an old playlist in place of a new one: players would think that the stream has stopped.
    set beresp.grace = 0s;
    if (beresp.status != 200) {
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
