// The state of the halls: badges, level meters, and the table of measurements.
import { attribute, each, h, icon, text } from "./dom.js";
import { bitrate, current, lasting, moment, now, number, said, t } from "./words.js";

// Icon, tone and text of each state.
const badges = {
  live: ["live", "good", "on_air"], going: ["live", "soon", "on_air"], waiting: ["wait", "calm", "waiting"], coming: ["busy", "soon", "waiting"],
  source_live: ["live", "good", "state_live"], source_idle: ["idle", "calm", "state_idle"], source_connecting: ["busy", "soon", "state_connecting"],
  source_undecodable: ["fault", "bad", "state_undecodable"], source_stalled: ["fault", "bad", "state_stalled"], source_refused: ["fault", "bad", "state_refused"], source_backing_off: ["fault", "bad", "state_backing_off"],
};

export const badge = () => h("span", { class: "badge" }, h("span", { class: "sign" }), h("span", { class: "word" }));

export function updateBadge(element, state) {
  const [sign, tone, word] = badges[state] ?? badges.source_idle;
  if (element.dataset.sign !== sign) {
    element.querySelector(".sign").replaceChildren(icon(sign));
    element.dataset.sign = sign;
  }
  attribute(element, "data-tone", tone);
  text(element.querySelector(".word"), t(word));
}

// The height of a level from -60 to 0 dBFS, as a number from 0 to 1.
const height = (dbfs) => Math.min(1, Math.max(0, 1 + dbfs / 60));

export const meter = () => h("div", { class: "meter", "aria-hidden": "true" }, h("div", { class: "rms" }), h("div", { class: "peak" }));

export function updateMeter(element, vitals, live) {
  const [rms, peak] = element.children;
  const silent = !live || vitals?.peak_dbfs === undefined;
  attribute(element, "data-silent", silent);
  rms.style.clipPath = `inset(${silent ? 100 : (100 - height(vitals.rms_dbfs) * 100).toFixed(1)}% 0 0 0)`;
  peak.style.bottom = `${silent ? 0 : (height(vitals.peak_dbfs) * 100).toFixed(1)}%`;
  attribute(element, "data-loud", !silent && vitals.peak_dbfs > -1);
}

export const healthLine = () => h("div", { class: "health-line hint" });

export function updateHealthLine(element, source, vitals) {
  const { words, lang } = said(source.reason);
  const flows = source.state === "live" && vitals;
  const facts = flows ? `${number(vitals.fps, 1)} fps · ${bitrate(vitals.bitrate_bps)}` : words;
  text(element, facts);
  attribute(element, "lang", flows ? null : lang);
}

const columns = ["hall", "state", "picture", "fps", "rate", "level", "loss", "skew", "offset", "reconnects"];
let state = null;
let language = null;

export function mount(shared) {
  state = shared;
}

function row(source) {
  const cells = columns.slice(1).map((name) => h("td", { class: `of-${name}` }));
  cells[0].append(badge(), h("div", { class: "hint since" }));
  return h("tr", {}, h("th", { scope: "row" }, source.name), ...cells);
}

function drawRow(tr, source) {
  const vitals = state.vitals.sources.find((it) => it.name === source.name) ?? {};
  const live = source.state === "live";
  const cell = (name) => tr.querySelector(`.of-${name}`);
  const fill = (name, words, bad = false) => {
    text(cell(name), words);
    cell(name).classList.toggle("is-bad", bad);
  };
  updateBadge(cell("state").querySelector(".badge"), `source_${source.state}`);
  const reason = said(source.reason);
  const since = cell("state").querySelector(".since");
  text(since, [`${t("since", { time: moment(source.since) })} (${lasting(now() - Date.parse(source.since))})`, reason.words].filter(Boolean).join(" · "));
  const { media } = source;
  fill("picture", media?.width ? `${media.width} × ${media.height}` : "–");
  fill("fps", live ? number(vitals.fps ?? 0, 1) : "–");
  fill("rate", live ? bitrate(vitals.bitrate_bps ?? 0) : "–");
  const loud = vitals.peak_dbfs;
  fill("level", !live ? "–" : loud === undefined ? t("no_sound") : loud < -95 ? t("no_sound") : t("level_value", { n: number(loud) }), live && (loud < -60 || loud > -0.5));
  fill("loss", t("loss_value", { n: number(vitals.lost_last_minute ?? 0), total: number(vitals.lost_packets ?? 0) }), vitals.lost_last_minute > 0);
  const ppm = vitals.skew_ppm ?? 0;
  fill("skew", live ? `${ppm > 0 ? "+" : ""}${number(ppm, 1)} ppm` : "–", Math.abs(ppm) > 150);
  const offset = vitals.av_offset_ms ?? 0;
  fill("offset", live ? `${offset > 0 ? "+" : ""}${number(offset)} ms` : "–", Math.abs(offset) > 80);
  fill("reconnects", number(source.connects));
}

export function draw() {
  if (language !== current()) {
    language = current();
    document.getElementById("health-head").replaceChildren(...columns.map((name) => h("th", { scope: "col" }, t(name))));
  }
  each(document.getElementById("health-body"), state.matrix.sources, (it) => it.name, row, drawRow);
}
