// The player's page: /watch/<channel>, or /watch/<vod>/<path>. Made to be framed.
import { Player, cues, offered, shown } from "./player.js";
import { t } from "./words.js";

const query = new URLSearchParams(location.search);
// The path of the server's root as the browser sees it: a proxy may have put it beneath a path.
const above = new URL("..", import.meta.url).pathname;
const parts = location.pathname.slice(above.length).split("/").slice(1).filter(Boolean).map(decodeURIComponent);
const [app, ...rest] = parts;
const recorded = rest.length > 0;
// Where it is, beneath the root, with the right by which this page was opened.
const base = `${above}${document.body.dataset.base}`;
const url = `${base}/playlist.m3u8`;
const element = (id) => document.getElementById(id);
const video = element("video");
const root = element("player");
let last = null; // the last answer of offered()

// Icons, as SVG paths in a box of 24 x 24.
const signs = {
  play: "M8 5v14l11-7z", pause: "M8 5v14M16 5v14", loud: "M4 9v6h4l5 4V5L8 9H4ZM16.500 9a4 4 0 0 1 0 6M19 6.500a8 8 0 0 1 0 11",
  muted: "M4 9v6h4l5 4V5L8 9H4ZM17 9.500l4 5M21 9.500l-4 5", full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5", window: "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5",
};
function sign(button, name, label) {
  if (button.dataset.sign !== name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", signs[name]);
    svg.append(path);
    button.replaceChildren(svg);
    button.dataset.sign = name;
  }
  button.setAttribute("aria-label", label);
  button.title = label;
}

const title = () => {
  const words = [query.get("title"), query.get("course"), query.get("unit"), query.get("id")].filter(Boolean);
  if (words.length) return words.join(" · ");
  return recorded ? rest.at(-1).replace(/\.(smil|mp4)$/i, "").replaceAll("_", " ") : app.replaceAll("_", " ");
};

const time = (s) => {
  const whole = Math.max(0, Math.floor(s));
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${pad(minutes)}:${pad(seconds)}` : `${minutes}:${pad(seconds)}`;
};

const player = new Player(video, draw);

function play() {
  return video.play().catch((error) => {
    // Browsers let a page start by itself only without sound.
    if (error.name !== "NotAllowedError" || video.muted) return;
    video.muted = true;
    return video.play().catch(() => {});
  });
}

const toggle = () => {
  if (!video.paused) return video.pause();
  // A live stream that was paused goes on at the live edge.
  if (!recorded && isBehind()) toLive();
  return play();
};
const isBehind = () => player.edge !== null && player.edge - video.currentTime > 12;
function toLive() {
  if (player.edge !== null) video.currentTime = player.edge;
}

function full() {
  if (document.fullscreenElement) return document.exitFullscreen();
  if (root.requestFullscreen) return root.requestFullscreen().catch(() => {});
  return video.webkitEnterFullscreen?.();
}

function draw() {
  const paused = video.paused;
  sign(element("play"), paused ? "play" : "pause", t(paused ? "play" : "pause"));
  sign(element("mute"), video.muted || video.volume === 0 ? "muted" : "loud", t(video.muted ? "unmute" : "mute"));
  sign(element("full"), document.fullscreenElement ? "window" : "full", t(document.fullscreenElement ? "window" : "full"));
  if (document.activeElement !== element("volume")) element("volume").value = video.muted ? 0 : Math.round(video.volume * 100);
  const big = element("big");
  sign(big, "play", t("play"));
  big.hidden = !(paused && video.readyState > 0);
  const live = element("live");
  live.hidden = recorded;
  const behind = !paused && isBehind();
  live.textContent = t("live");
  live.classList.toggle("is-behind", behind || paused);
  live.setAttribute("aria-label", behind ? t("to_live") : t("live"));
  drawTime();
  drawQuality();
  const sound = element("audio");
  sound.hidden = !last?.sound;
  sound.textContent = t("audio_only");
  element("sound-only").hidden = sound.getAttribute("aria-pressed") !== "true";
  element("sound-only").textContent = t("sound_plays");
  const lost = lostFor();
  element("trouble").hidden = !player.trouble && !lost;
  element("trouble").textContent = t(lost ?? "trouble");
  root.dataset.state = player.trouble || lost ? "trouble" : paused ? "paused" : "playing";
}

// Why nothing will play, however often it is asked for: the right to it has ended, a recording is not there, or nothing in it
// can be played.
function lostFor() {
  return { 401: "denied", 403: "denied", 410: "denied", ...(recorded ? { 404: "gone", 415: "unplayable" } : {}) }[player.lost ?? last?.status];
}

function drawTime() {
  const seek = element("seek");
  const known = recorded && Number.isFinite(video.duration) && video.duration > 0;
  seek.hidden = !known;
  element("time").hidden = !known;
  if (!known) return;
  seek.max = Math.round(video.duration * 10);
  if (!seek.dataset.held) seek.value = Math.round(video.currentTime * 10);
  const words = t("of_time", { now: time(video.currentTime), all: time(video.duration) });
  seek.setAttribute("aria-valuetext", words);
  seek.style.setProperty("--done", `${100 * video.currentTime / video.duration}%`);
  element("time").textContent = `${time(video.currentTime)} / ${time(video.duration)}`;
  const chapters = element("chapters");
  if (chapters.starts && document.activeElement !== chapters) {
    const index = chapters.starts.findLastIndex((start) => start <= video.currentTime + 0.2);
    chapters.value = String(Math.max(0, index));
  }
}

function options(select, all, chosen) {
  const key = JSON.stringify(all);
  if (select.dataset.all !== key) {
    select.dataset.all = key;
    select.replaceChildren(...all.map(([value, words]) => new Option(words, value)));
  }
  if (document.activeElement !== select || select.value === "") select.value = chosen;
  select.parentElement.hidden = all.length < 2;
}

function drawQuality() {
  const soundOnly = element("audio").getAttribute("aria-pressed") === "true";
  const levels = soundOnly ? [] : player.levels;
  const auto = player.level === -1 && player.shownHeight ? t("auto_now", { now: `${player.shownHeight}p` }) : t("auto");
  options(element("quality"), levels.length > 1 ? [["-1", auto], ...levels.map(({ index, height }) => [String(index), `${height}p`])] : [], String(player.level));
}

async function beside() {
  last = await offered(url);
  const tracks = [];
  if (!player.native) {
    for (const { name, language, url: list } of last.subtitles) {
      const track = video.addTextTrack("subtitles", name || language, language);
      track.mode = "disabled";
      tracks.push({ track, list });
    }
  }
  const all = tracks.length ? tracks : [...video.textTracks].map((track) => ({ track }));
  const menu = element("subtitles");
  options(menu, all.length ? [["", t("no_subtitles")], ...all.map(({ track }, index) => [String(index), track.label || track.language])] : [], "");
  menu.addEventListener("change", async () => {
    for (const [index, entry] of all.entries()) {
      const chosen = menu.value === String(index);
      if (chosen && entry.list) {
        for (const cue of await cues(entry.list)) entry.track.addCue(shown(cue));
        entry.list = null;
      }
      entry.track.mode = chosen ? "showing" : "disabled";
    }
  });
  draw();
  if (recorded && last.status === 200) await chapters();
}

async function chapters() {
  const response = await fetch(`${base}/chapters.json`);
  const found = response.ok ? await response.json() : [];
  const menu = element("chapters");
  if (!found.length) return;
  menu.starts = found.map((chapter) => chapter.start_ms / 1000);
  const entry = (chapter, index) => [String(index), `${time(chapter.start_ms / 1000)} ${chapter.text}`];
  options(menu, found.map(entry), "0");
  menu.parentElement.hidden = false;
  menu.addEventListener("change", () => { video.currentTime = menu.starts[Number(menu.value)]; play(); });
}

function soundOnly(on) {
  const place = recorded ? video.currentTime : -1;
  element("audio").setAttribute("aria-pressed", String(on));
  player.load(on ? last.sound : url, place);
  play();
  draw();
}

function label() {
  document.title = title();
  element("title").textContent = title();
  element("controls").setAttribute("aria-label", t("controls"));
  for (const [id, word] of [["seek", "seek"], ["volume", "volume"]]) element(id).setAttribute("aria-label", t(word));
  for (const [id, word] of [["chapter-label", "chapters"], ["subtitle-label", "subtitles"], ["quality-label", "quality"]]) element(id).textContent = t(word);
  for (const [id, word] of [["chapters", "chapters"], ["subtitles", "subtitles"], ["quality", "quality"]]) element(id).title = t(word);
  video.setAttribute("aria-label", title());
}

// The controls are hidden while it plays and the pointer rests.
let resting = null;
function awake() {
  root.classList.remove("is-resting");
  clearTimeout(resting);
  resting = setTimeout(() => {
    const used = root.querySelector(".controls:focus-within :focus-visible, .controls:hover");
    if (!video.paused && !used) root.classList.add("is-resting");
  }, 3000);
}

element("play").addEventListener("click", toggle);
element("big").addEventListener("click", toggle);
video.addEventListener("click", toggle);
element("mute").addEventListener("click", () => { video.muted = !video.muted; });
element("full").addEventListener("click", full);
element("live").addEventListener("click", () => { toLive(); play(); });
element("volume").addEventListener("input", (event) => { video.volume = event.target.value / 100; video.muted = video.volume === 0; });
const seek = element("seek");
seek.addEventListener("input", () => { seek.dataset.held = "yes"; element("time").textContent = time(seek.value / 10); });
seek.addEventListener("change", () => { delete seek.dataset.held; video.currentTime = seek.value / 10; });
element("quality").addEventListener("change", (event) => { player.level = Number(event.target.value); draw(); });
element("audio").addEventListener("click", () => soundOnly(element("audio").getAttribute("aria-pressed") !== "true"));
for (const name of ["play", "pause", "volumechange", "timeupdate", "durationchange", "loadedmetadata", "resize"]) video.addEventListener(name, draw);
document.addEventListener("fullscreenchange", draw);
for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) document.addEventListener(name, awake);

const skip = (by) => { if (recorded) video.currentTime = Math.max(0, video.currentTime + by); };
const louder = (by) => { video.volume = Math.min(1, Math.max(0, video.volume + by)); video.muted = video.volume === 0; };
const keys = {
  " ": toggle, k: toggle, ArrowLeft: () => skip(-5), ArrowRight: () => skip(5), j: () => skip(-10), l: () => skip(10), ArrowUp: () => louder(0.05), ArrowDown: () => louder(-0.05),
  m: () => { video.muted = !video.muted; }, f: full,
  c: () => { const menu = element("subtitles"); if (menu.options.length < 2) return; menu.value = menu.value === "" ? "0" : ""; menu.dispatchEvent(new Event("change")); },
};
document.addEventListener("keydown", (event) => {
  // Buttons, menus and sliders handle their own keys.
  const own = event.target.closest?.("button, select, input");
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
  if (own && (own.tagName !== "BUTTON" || event.key === " ")) return;
  event.preventDefault();
  keys[event.key]();
});

document.body.classList.toggle("is-framed", window !== window.top);
video.muted = query.get("muted") === "1";
label();
draw();
awake();
const start = recorded ? Number(query.get("t")) || -1 : -1;
await beside();
if (query.get("audio") === "1" && last.sound) soundOnly(true);
else if (last.status !== 404 && !lostFor()) player.load(url, start);
if (query.get("autoplay") !== "0") play();
