// The matrix: a row for each hall and one for the waiting loop, a column for each channel. Roving tabindex: Tab reaches one
// cell, arrow keys move (ARIA Authoring Practices, grid).
import { attribute, each, h, icon, picture, text } from "./dom.js";
import { badge, healthLine, meter, updateBadge, updateHealthLine, updateMeter } from "./halls.js";
import { connect, disconnect, drawHolds, usualUntil } from "./orders.js";
import { channelState } from "./channels.js";
import { clock, current, number, t, viewers } from "./words.js";

const WAITING = "\u0000waiting";
let at = [0, 0];
let state = null;
let language = null;

const grid = () => document.getElementById("grid-body");
const buttons = () => [...grid().rows].map((row) => [...row.querySelectorAll("button.cross")]);

export function mount(shared) {
  state = shared;
  grid().addEventListener("keydown", (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const rows = buttons();
    let [row, column] = at;
    if (event.key in moves) [row, column] = [row + moves[event.key][0], column + moves[event.key][1]];
    else if (event.key === "Home") column = 0;
    else if (event.key === "End") column = Infinity;
    else return;
    event.preventDefault();
    row = Math.min(Math.max(row, 0), rows.length - 1);
    column = Math.min(Math.max(column, 0), (rows[row]?.length ?? 1) - 1);
    stopAt(row, column);
    rows[row]?.[column]?.focus();
  });
  grid().addEventListener("focusin", (event) => {
    buttons().forEach((row, r) => row.forEach((button, c) => { if (button === event.target) stopAt(r, c); }));
  });
}

function stopAt(row, column) {
  at = [row, column];
  buttons().forEach((list, r) => list.forEach((button, c) => { button.tabIndex = r === row && c === column ? 0 : -1; }));
}

function head(channel) {
  const image = h("img", { alt: "", width: 128, height: 72, class: "thumb" });
  const th = h("th", { scope: "col" }, h("div", { class: "column" },
    h("div", { class: "shot" }, image),
    h("div", { class: "name" }, channel.name),
    h("div", { class: "line" }, badge(), h("span", { class: "count" }, icon("people"), h("span", { class: "n" }, ""), h("span", { class: "unseen words" }))),
  ));
  return th;
}

function drawHead(th, channel) {
  const vitals = state.vitals.channels.find((it) => it.name === channel.name);
  picture(th.querySelector("img"), `api/v1/channels/${encodeURIComponent(channel.name)}/thumbnail.jpg`, vitals?.picture_at);
  updateBadge(th.querySelector(".badge"), channelState(channel));
  text(th.querySelector(".n"), number(vitals?.viewers ?? 0));
  text(th.querySelector(".words"), ` ${viewers(vitals?.viewers ?? 0)}`);
}

function row(source) {
  const waiting = source.name === WAITING;
  const title = waiting
    ? h("div", { class: "hall is-waiting" }, h("div", { class: "shot none" }, icon("wait")),
        h("div", { class: "about" }, h("div", { class: "name" }), h("div", { class: "hint" })))
    : h("div", { class: "hall" },
        h("div", { class: "shot" }, h("img", { alt: "", width: 112, height: 63, class: "thumb" }), h("span", { class: "seen" })), meter(),
        h("div", { class: "about" }, h("div", { class: "name" }, source.name), h("div", { class: "line" }, badge()), healthLine()));
  return h("tr", { role: "row", class: waiting ? "waiting-row" : "" }, h("th", { scope: "row", role: "rowheader" }, title));
}

function drawRow(tr, source) {
  const waiting = source.name === WAITING;
  if (waiting) {
    text(tr.querySelector(".name"), t("waiting_loop"));
    text(tr.querySelector(".hint"), t("waiting_hint"));
  } else {
    const vitals = state.vitals.sources.find((it) => it.name === source.name);
    picture(tr.querySelector("img"), `api/v1/sources/${encodeURIComponent(source.name)}/thumbnail.jpg`, vitals?.picture_at);
    const live = source.state === "live";
    tr.querySelector(".shot").classList.toggle("is-old", !live);
    text(tr.querySelector(".seen"), vitals?.picture_at ? (live ? "" : clock(vitals.picture_at)) : "");
    updateBadge(tr.querySelector(".badge"), `source_${source.state}`);
    updateMeter(tr.querySelector(".meter"), vitals, live && source.wanted);
    updateHealthLine(tr.querySelector(".health-line"), source, vitals);
  }
  const cells = state.matrix.channels;
  // The row's header comes before the cells, which are kept by name.
  const known = tr.crossings ??= new Map();
  for (const [name, cell] of known) {
    if (!cells.some((channel) => channel.name === name)) { cell.remove(); known.delete(name); }
  }
  cells.forEach((channel, index) => {
    let cell = known.get(channel.name);
    if (!cell) {
      const button = h("button", { type: "button", class: "cross", onclick: () => press(channel.name, source.name) },
        h("span", { class: "unseen" }), h("span", { class: "sign" }), h("span", { class: "word" }), h("span", { class: "by" }, h("span", {}), " ", h("span", {})));
      button.tabIndex = -1;
      cell = h("td", { role: "gridcell" }, button);
      known.set(channel.name, cell);
    }
    if (tr.children[index + 1] !== cell) tr.insertBefore(cell, tr.children[index + 1] ?? null);
    cross(cell.firstChild, channel, source);
  });
}

function cross(button, channel, source) {
  const waiting = source.name === WAITING;
  const wanted = waiting ? channel.desired.source === null : channel.desired.source === source.name;
  const onAir = waiting ? channel.on_air.source === null : channel.on_air.source === source.name;
  let kind = "free", word = "", sign = "plus";
  if (wanted && onAir) [kind, word, sign] = waiting ? ["rest", t("waiting"), "wait"] : ["live", t("on_air"), "live"];
  else if (wanted) [kind, word, sign] = ["coming", waiting ? t("wanted") : t("starting"), "busy"];
  else if (onAir && !waiting) [kind, word, sign] = ["going", t("on_air"), "live"];
  else if (onAir) [kind, word, sign] = ["fallback", t("waiting"), "wait"];
  attribute(button, "data-kind", kind);
  attribute(button, "aria-pressed", String(wanted));
  const by = wanted && channel.desired.by !== "none" ? t(`by_${channel.desired.by}`) : "";
  const end = wanted && channel.desired.until ? t("until", { time: clock(channel.desired.until) }) : "";
  const names = { source: source.name, channel: channel.name };
  const does = waiting ? t(wanted ? "waiting_is_on" : "show_waiting_on", names) : t(wanted ? "is_chosen" : "connect_to", names);
  text(button.firstChild, word ? `${does}. ` : does);
  if (button.dataset.sign !== sign) {
    button.querySelector(".sign").replaceChildren(icon(sign));
    button.dataset.sign = sign;
  }
  text(button.querySelector(".word"), word);
  text(button.querySelector(".by").firstChild, by);
  text(button.querySelector(".by").lastChild, end);
}

function press(channel, source) {
  const desired = state.matrix.channels.find((it) => it.name === channel)?.desired;
  if (source === WAITING) {
    if (desired?.source !== null || desired?.by !== "manual") disconnect(state, channel);
  } else if (desired?.source === source) {
    disconnect(state, channel);
  } else {
    connect(state, channel, source, usualUntil());
  }
}

export function draw() {
  if (language !== current()) {
    language = current();
    drawHolds(document.getElementById("duration"));
  }
  const corner = { name: "" };
  each(document.getElementById("grid-head"), [corner, ...state.matrix.channels], (it) => it.name,
    (it) => (it === corner || it.name === "" ? h("th", { scope: "col", class: "corner" }, h("span", {}, "")) : head(it)),
    (th, it) => (it.name === "" ? text(th.firstChild, t("halls")) : drawHead(th, it)));
  each(grid(), [...state.matrix.sources, { name: WAITING }], (it) => it.name, row, drawRow);
  document.getElementById("grid").style.setProperty("--columns", state.matrix.channels.length);
  stopAt(...at);
}
