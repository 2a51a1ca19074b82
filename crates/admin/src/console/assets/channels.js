// A card for each channel: what its viewers see, why and until when, with the same orders as in the matrix.
import { attribute, each, h, icon, picture, show, text } from "./dom.js";
import { badge, updateBadge } from "./halls.js";
import { clear, connect, disconnect, drawHolds, until } from "./orders.js";
import { bitrate, clock, current, lasting, moment, now, number, said, t, viewers } from "./words.js";

let state = null;

// The name of a channel's state, for its badge.
export function channelState(channel) {
  if (channel.on_air.source !== null) return channel.desired.source === channel.on_air.source ? "live" : "going";
  return channel.desired.source === null ? "waiting" : "coming";
}

export const onAirWords = (channel) => (channel.on_air.source === null ? t("waiting_loop") : channel.on_air.source);

const list = () => document.getElementById("channel-list");

export function mount(shared) {
  state = shared;
}

function card(channel) {
  const name = channel.name;
  const id = `c-${name}`;
  const image = h("img", { alt: "", width: 320, height: 180, class: "thumb" });
  const source = h("select", { id: `${id}-source`, class: "source" });
  const hold = h("select", { id: `${id}-hold`, class: "hold" });
  const time = h("input", { type: "time", class: "time", hidden: true });
  hold.addEventListener("change", () => show(time, hold.value === "clock"));
  const form = h("form", { class: "orders" },
    h("label", { for: source.id }), source, h("label", { for: hold.id, class: "for-hold" }), hold, time,
    h("div", { class: "buttons" },
      h("button", { type: "submit", class: "primary connect" }),
      h("button", { type: "button", class: "disconnect", onclick: () => disconnect(state, name) }),
      h("button", { type: "button", class: "clear", onclick: () => clear(state, name) })));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    delete source.dataset.touched;
    if (source.value) connect(state, name, source.value, until(hold.value, time.value));
  });
  source.addEventListener("change", () => { source.dataset.touched = "yes"; });
  return h("li", { class: "channel", id },
    h("div", { class: "shot big" }, image, badge(), h("button", { type: "button", class: "watch", onclick: () => watch(name) }, icon("open"), h("span", {}))),
    h("div", { class: "body" },
      h("div", { class: "title" }, h("h3", {}, name), h("span", { class: "count" }, icon("people"), h("span", {}))),
      h("p", { class: "what" }), h("p", { class: "why" }), h("p", { class: "order" }, h("span", {}), h("span", { class: "because" })), h("p", { class: "next" }), h("p", { class: "notice" }),
      h("table", { class: "rungs" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }), h("th", { scope: "col" }), h("th", { scope: "col" }))), h("tbody", {})),
      form));
}

function drawCard(li, channel) {
  const vitals = state.vitals.channels.find((it) => it.name === channel.name);
  const { desired, on_air: onAir } = channel;
  picture(li.querySelector("img"), `api/v1/channels/${encodeURIComponent(channel.name)}/thumbnail.jpg`, vitals?.picture_at);
  updateBadge(li.querySelector(".badge"), channelState(channel));
  attribute(li, "data-state", channelState(channel));
  text(li.querySelector(".title .count").lastChild, viewers(vitals?.viewers ?? 0));
  text(li.querySelector(".what"), `${onAirWords(channel)} · ${t("since", { time: moment(onAir.since) })}`);
  sentence(li.querySelector(".why"), onAir.reason);
  const end = desired.until ? `${t("until", { time: moment(desired.until) })} (${t("in_time", { time: lasting(Date.parse(desired.until) - now()) })})` : "";
  const order = li.querySelector(".order");
  const who = t(`by_${desired.by}`);
  text(order.firstChild, [desired.source === onAir.source ? "" : desired.source ?? t("waiting_loop"), who, end].filter(Boolean).join(" · "));
  show(order, desired.by !== "none");
  attribute(order, "data-by", desired.by);
  sentence(order.lastChild, desired.by === "schedule" ? desired.reason : "");
  drawNext(li.querySelector(".next"), channel);
  const { notice } = channel;
  show(li.querySelector(".notice"), Boolean(notice));
  text(li.querySelector(".notice"), notice ? t("notice", { words: [notice.title, notice.place, notice.starts ? clock(notice.starts) : ""].filter(Boolean).join(" · ") }) : "");
  drawRungs(li.querySelector(".rungs"), vitals);
  drawForm(li, channel);
}

function sentence(element, english) {
  const { words, lang } = said(english);
  text(element, words);
  attribute(element, "lang", lang);
}

function drawNext(element, channel) {
  const events = state.schedule?.events ?? [];
  const own = events.filter((event) => event.channel === channel.name && Date.parse(event.ends) > now());
  const [next] = own;
  show(element, Boolean(next));
  if (next) text(element, `${clock(next.starts)}–${clock(next.ends)} ${next.title}`);
}

function drawRungs(table, vitals) {
  show(table, Boolean(vitals?.rungs.length));
  const [rung, rate, count] = table.tHead.rows[0].cells;
  text(rung, t("rung"));
  text(rate, t("bitrate"));
  text(count, t("viewers"));
  each(table.tBodies[0], vitals?.rungs ?? [], (it) => it.name,
    (it) => h("tr", {}, h("th", { scope: "row" }, it.name), h("td", {}), h("td", {})),
    (row, it) => {
      text(row.cells[1], bitrate(it.bitrate_bps));
      text(row.cells[2], number(it.viewers));
    });
}

function drawForm(li, channel) {
  const source = li.querySelector(".source");
  const names = state.matrix.sources.map((it) => it.name);
  if (source.dataset.names !== names.join("\n")) {
    source.dataset.names = names.join("\n");
    source.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
  }
  const isThere = document.activeElement === source || source.dataset.touched;
  if (!isThere && channel.desired.source && source.value !== channel.desired.source) source.value = channel.desired.source;
  if (li.dataset.language !== current()) {
    li.dataset.language = current();
    drawHolds(li.querySelector(".hold"));
    text(li.querySelector(`label[for="${CSS.escape(source.id)}"]`), t("source"));
    text(li.querySelector(".for-hold"), t("hold"));
    li.querySelector(".time").setAttribute("aria-label", t("until_time"));
    const watching = li.querySelector(".watch");
    text(watching.lastChild, t("watch"));
    watching.setAttribute("aria-label", `${t("watch")} ${channel.name}`);
    for (const [button, word] of [["connect", "connect"], ["disconnect", "disconnect"], ["clear", "clear"]]) {
      const element = li.querySelector(`.${button}`);
      text(element, t(word));
      element.setAttribute("aria-label", `${t(word)}, ${channel.name}`);
    }
  }
  show(li.querySelector(".watch"), Boolean(state.info.pages));
  const { by, source: wanted } = channel.desired;
  li.querySelector(".disconnect").disabled = wanted === null && by === "manual";
  show(li.querySelector(".clear"), by === "manual");
}

// Shows the viewers' page in a frame.
function watch(channel) {
  const dialog = document.getElementById("player");
  text(document.getElementById("player-title"), t("watch_title", { channel }));
  const source = `${state.info.pages}/watch/${encodeURIComponent(channel)}?lang=${current()}&muted=1`;
  const frame = h("iframe", { src: source, title: t("watch_title", { channel }), allow: "fullscreen; autoplay" });
  document.getElementById("player-frame").replaceChildren(frame);
  document.getElementById("player-close").onclick = () => dialog.close();
  dialog.onclose = () => document.getElementById("player-frame").replaceChildren();
  dialog.showModal();
}

export function draw() {
  each(list(), state.matrix.channels, (it) => it.name, card, drawCard);
}
