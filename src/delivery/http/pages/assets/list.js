// The list of channels: what is on each, and what comes next.
import { choose, clock, current, languages, t } from "./words.js";

// The server's root as the browser sees it: a proxy may have put it beneath a path.
const root = new URL("..", import.meta.url);
const element = (id) => document.getElementById(id);
const add = (parent, tag, words, kind) => {
  const made = document.createElement(tag);
  if (words !== undefined) made.textContent = words;
  if (kind) made.className = kind;
  parent.append(made);
  return made;
};

let listed = { title: "Amphi", channels: [] };
let drawn = "";

function card({ name, live, now, next }) {
  const item = document.createElement("li");
  const link = add(item, "a", undefined, live ? "card is-live" : "card");
  link.href = new URL(`watch/${encodeURIComponent(name)}`, root).pathname;
  add(link, "strong", name.replaceAll("_", " "));
  if (now) add(link, "span", t(live ? "on_now" : "coming", { title: now.title, time: clock(now.ends) }), live ? "now" : "next");
  else add(link, "span", t(live ? "on_air" : "waiting"), live ? "now" : "quiet");
  if (next) add(link, "span", t("next", { title: next.title, time: when(next.starts) }), "next");
  return item;
}

// With the weekday, if it is not today.
function when(time) {
  const date = new Date(time);
  if (date.toDateString() === new Date().toDateString()) return clock(time);
  return `${date.toLocaleDateString(current(), { weekday: "long" })} ${clock(time)}`;
}

function draw() {
  document.title = listed.title;
  element("site").textContent = listed.title;
  element("heading").textContent = t("live_channels");
  element("language").setAttribute("aria-label", t("language"));
  element("none").hidden = listed.channels.length > 0;
  element("none").textContent = t("none");
  // A link that has the focus is left alone while nothing changes.
  const state = current() + JSON.stringify(listed);
  if (state !== drawn) element("channels").replaceChildren(...listed.channels.map(card));
  drawn = state;
}

async function refresh() {
  const response = await fetch(new URL("channels.json", import.meta.url)).catch(() => null);
  if (response?.ok) {
    listed = await response.json();
    draw();
  }
}

for (const [code, name] of Object.entries(languages)) {
  const option = add(element("language"), "option", name);
  option.value = code;
  option.lang = code;
}
element("language").value = current();
element("language").addEventListener("change", () => { choose(element("language").value); draw(); });
setInterval(refresh, 20_000);
await refresh();
