/* Readers of a server's files over HTTP/1.1, as fast as they can or at a pace: for benches/vod.py.

     cc -O2 -o readers benches/readers.c
     readers ADDRESS PORT PATHS READERS SECONDS discard|read [PERIOD_MS]

   PATHS is a file with a path on each line. Each reader keeps its connection and asks for one path after another, from a place of
   its own; with a period, for one in each period. `discard` lets the kernel throw away what comes (recv(2), MSG_TRUNC), so that
   hardly any time goes into reading; `read` copies it. Prints requests, bytes of content, errors, and the times from asking to the
   last byte in milliseconds (p50, p99, the longest). Kept simple: it takes answers with Content-Length alone. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct reader { int fd; int waits; unsigned place; long left; double asked, due; };

static char *paths[65536];
static unsigned path_count;
static struct sockaddr_in server;
static const char *host;
static int poll_fd, discard;
static long requests, errors;
static double bytes;
static float *times;
static long time_count;
#define TIMES_MAX 4000000

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void ask(struct reader *it) {
    char line[2048];
    int len = snprintf(line, sizeof line, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", paths[it->place++ % path_count], host);
    it->left = -1;
    it->waits = 0;
    it->asked = now();
    if (send(it->fd, line, len, MSG_NOSIGNAL) != len) it->left = -2;
}

static void join(struct reader *it) {
    int one = 1;
    it->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(it->fd, (struct sockaddr *)&server, sizeof server)) { perror("connect"); exit(1); }
    setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = it };
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, it->fd, &event);
}

/* Reads the head, which is looked at first and then taken, so that no content comes with it. */
static int head(struct reader *it, char *buffer) {
    ssize_t seen = recv(it->fd, buffer, 8191, MSG_PEEK | MSG_DONTWAIT);
    if (seen <= 0) return seen < 0 && errno == EAGAIN ? 0 : -1;
    buffer[seen] = 0;
    char *end = memmem(buffer, seen, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    char *length = strcasestr(buffer, "content-length:");
    if (!length || strncmp(buffer, "HTTP/1.1 200", 12)) { fprintf(stderr, "%.60s\n", buffer); return -1; }
    it->left = atol(length + 15);
    bytes += it->left;
    return recv(it->fd, buffer, end + 4 - buffer, MSG_DONTWAIT) > 0;
}

/* Takes what has come; the number of whole answers, or less than zero. */
static int take(struct reader *it, char *buffer, long size) {
    if (it->left == -1) {
        int whole = head(it, buffer);
        if (whole <= 0) return whole;
    }
    while (it->left > 0) {
        ssize_t got = recv(it->fd, buffer, it->left < size ? it->left : size, MSG_DONTWAIT | (discard ? MSG_TRUNC : 0));
        if (got < 0 && errno == EAGAIN) return 0;
        if (got <= 0) return -1;
        it->left -= got;
    }
    return it->left == 0;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

int main(int count, char **words) {
    if (count < 7) { fprintf(stderr, "usage: readers ADDRESS PORT PATHS READERS SECONDS discard|read [PERIOD_MS]\n"); return 2; }
    host = words[1];
    server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(words[2])) };
    inet_pton(AF_INET, host, &server.sin_addr);
    FILE *list = fopen(words[3], "r");
    char line[2000];
    while (list && path_count < 65536 && fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        paths[path_count++] = strdup(line);
    }
    int number = atoi(words[4]);
    double seconds = atof(words[5]), period = count > 7 ? atof(words[7]) / 1000 : 0;
    discard = !strcmp(words[6], "discard");
    if (!path_count || number < 1) return 2;
    struct rlimit most = { 1 << 20, 1 << 20 };
    setrlimit(RLIMIT_NOFILE, &most);
    poll_fd = epoll_create1(0);
    times = malloc(TIMES_MAX * sizeof *times);
    struct reader *all = calloc(number, sizeof *all);
    double begun = now();
    for (int at = 0; at < number; at++) {
        all[at].place = (unsigned)((double)path_count * at / number);
        join(&all[at]);
        if (period) { all[at].waits = 1; all[at].due = begun + period * at / number; } else ask(&all[at]);
    }
    static char buffer[1 << 20];
    struct epoll_event events[256];
    begun = now();
    for (double at = begun; at < begun + seconds; at = now()) {
        int ready = epoll_wait(poll_fd, events, 256, period ? 1 : 100);
        for (int place = 0; place < ready; place++) {
            struct reader *it = events[place].data.ptr;
            int whole = take(it, buffer, sizeof buffer);
            if (whole < 0) {
                errors++;
                close(it->fd);
                join(it);
                if (period) { it->waits = 1; it->due = now() + period; } else ask(it);
            } else if (whole) {
                requests++;
                if (time_count < TIMES_MAX) times[time_count++] = (now() - it->asked) * 1000;
                it->waits = period > 0;
                it->due += period;
                if (!period) ask(it);
            }
        }
        if (period) for (int place = 0; place < number; place++) {
            if (all[place].waits && all[place].due <= at) ask(&all[place]);
        }
    }
    double took = now() - begun;
    for (int at = 0; at < number; at++) if (all[at].left > 0) bytes -= all[at].left;
    qsort(times, time_count, sizeof *times, by_size);
    float none = 0, *of = time_count ? times : &none;
    long last = time_count ? time_count - 1 : 0;
    printf("{\"requests\": %ld, \"bytes\": %.0f, \"errors\": %ld, \"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"longest_ms\": %.3f}\n",
           requests, bytes, errors, took, of[last / 2], of[last * 99 / 100], of[last]);
}
