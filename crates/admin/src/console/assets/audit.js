// The last entries of the audit log, for operators. Loaded while the section is open.
import { attribute, each, h, show, text } from "./dom.js";
import { has, moment, said, t } from "./words.js";

const LIMIT = 100;
let state = null;
let entries = [];
let fault = "";

const element = (id) => document.getElementById(id);

export function mount(shared) {
  state = shared;
  element("audit-details").addEventListener("toggle", load);
  element("audit-again").addEventListener("click", load);
}

// Loads the entries. If that fails, those that are shown stay, with a message.
async function load() {
  if (!element("audit-details").open || state.role === "viewer") return;
  try {
    const response = await fetch(`api/v1/audit?limit=${LIMIT}`);
    if (!response.ok) throw new Error(String(response.status));
    entries = await response.json();
    fault = "";
  } catch (error) {
    fault = error.message;
  }
  drawEntries();
}

const who = (entry) => {
  const [kind, ...rest] = entry.who.split(":");
  const user = rest.join(":");
  const name = has(`who_${kind}`) ? t(`who_${kind}`) : kind;
  return [name, user, entry.from].filter(Boolean).join(" · ");
};

// The key of an entry in the list: entries have no number, and two of the same time differ in something else.
const key = (entry) => JSON.stringify(entry);

function row() {
  return h("tr", {}, h("td", {}, h("time", {})), ...["who", "what", "channel", "source"].map((name) => h("td", { class: `of-${name}` })),
    h("td", { class: "detail" }, h("span", { class: "until" }), h("span", { class: "words" }), h("strong", { class: "refused bad" })));
}

function drawEntry(tr, entry) {
  const time = tr.querySelector("time");
  attribute(time, "datetime", entry.at);
  text(time, moment(entry.at));
  text(tr.querySelector(".of-who"), who(entry));
  attribute(tr.querySelector(".of-who"), "title", entry.subject);
  text(tr.querySelector(".of-what"), has(`act_${entry.what}`) ? t(`act_${entry.what}`) : entry.what);
  text(tr.querySelector(".of-channel"), entry.channel ?? "");
  text(tr.querySelector(".of-source"), entry.source ?? "");
  const { words, lang } = said(entry.detail ?? "");
  const more = tr.querySelector(".words");
  attribute(more, "lang", lang);
  text(more, words);
  text(tr.querySelector(".until"), entry.until ? t("until", { time: moment(entry.until) }) : "");
  const refused = tr.querySelector(".refused");
  text(refused, entry.refused ? t("refused", { why: entry.refused }) : "");
}

function drawEntries() {
  each(element("audit-body"), entries, key, row, drawEntry);
  text(element("audit-hint"), fault ? t("failed", { why: fault }) : entries.length ? t("audit_hint", { n: entries.length }) : t("audit_none"));
  show(element("audit-scroll"), entries.length > 0);
}

export function draw() {
  show(element("audit"), state.role !== "viewer");
  show(element("nav-audit"), state.role !== "viewer");
  const columns = ["audit_when", "audit_who", "audit_what", "audit_channel", "source", "details"];
  each(element("audit-head"), columns, (name) => name, () => h("th", { scope: "col" }), (th, name) => text(th, t(name)));
  if (element("audit-details").open) {
    drawEntries();
    load();
  }
}
