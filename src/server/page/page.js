// The demo's page: a card for each channel, a row for each source, kept true by server-sent events.
import { play } from "./player.js";

const cards = new Map();
const described = await (await fetch("demo.json")).json();
const playlists = new Map(described.channels.map((channel) => [channel.name, channel.playlist]));

function card(channel) {
  const fragment = document.getElementById("channel").content.cloneNode(true);
  const root = fragment.querySelector("article");
  const select = root.querySelector("select");
  root.querySelector("h2").textContent = channel.name;
  select.setAttribute("aria-label", `Hall for ${channel.name}`);
  const path = `/api/v1/channels/${encodeURIComponent(channel.name)}/source`;
  root.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    await fetch(path, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ source: select.value }),
    });
  });
  root.querySelector(".disconnect").addEventListener("click", () => fetch(path, { method: "DELETE" }));
  const playlist = playlists.get(channel.name);
  root.querySelector(".url").href = playlist;
  document.getElementById("channels").append(fragment);
  play(root.querySelector("video"), playlist);
  return root;
}

const faults = [
  "", "off", "reset", "freeze", "no-video", "no-audio", "still", "black", "silent", "loss=2", "reorder", "jump=3600",
  "jump=-3600", "video-reset", "wrap", "skew=200", "resize", "garbage", "deaf", "timeout=20", "reports", "expire", "mono",
];
const menus = new Map();

// The menu that makes a hall fail; kept, so that an open menu survives news.
function failing(hall) {
  if (!menus.has(hall)) {
    const menu = document.createElement("select");
    menu.setAttribute("aria-label", `Make ${hall} fail`);
    menu.append(...faults.map((fault) => new Option(fault || "works", fault)));
    menu.addEventListener("change", () =>
      fetch(`/demo/halls/${encodeURIComponent(hall)}/fault`, { method: "PUT", body: menu.value }));
    menus.set(hall, menu);
  }
  return menus.get(hall);
}

const halls = await (await fetch("/demo/halls")).json();
for (const [hall, fault] of Object.entries(halls)) failing(hall).value = fault ?? "";

function time(iso) {
  return new Date(iso).toLocaleTimeString();
}

function show(matrix) {
  for (const channel of matrix.channels) {
    if (!cards.has(channel.name)) cards.set(channel.name, card(channel));
    const root = cards.get(channel.name);
    const select = root.querySelector("select");
    if (select.options.length !== matrix.sources.length) {
      select.replaceChildren(...matrix.sources.map((source) => new Option(source.name)));
    }
    const live = channel.on_air.source !== null;
    const badge = root.querySelector(".badge");
    badge.textContent = live ? "Live" : "Waiting";
    badge.classList.toggle("live", live);
    root.querySelector(".reason").textContent = `${channel.on_air.reason}, since ${time(channel.on_air.since)}`;
  }
  const rows = matrix.sources.map((source) => {
    const row = document.createElement("tr");
    for (const text of [source.name, source.state.replace("_", " "), source.reason]) {
      row.insertCell().textContent = text;
    }
    row.insertCell().append(failing(source.name));
    return row;
  });
  document.getElementById("sources").replaceChildren(...rows);
}

show(await (await fetch("/api/v1/matrix")).json());
new EventSource("/api/v1/events").addEventListener("matrix", (event) => show(JSON.parse(event.data)));
