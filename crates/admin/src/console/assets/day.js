// The day of each channel: lectures on a time line, what is on now, and conflicts. On a narrow screen it is a list from top
// to bottom.
import { attribute, each, h, icon, show, text } from "./dom.js";
import { clock, current, day, now, t } from "./words.js";

const HOUR = 3_600_000;
let state = null;

export function mount(shared) {
  state = shared;
}

const startOfDay = () => { const date = new Date(now()); date.setHours(0, 0, 0, 0); return date.getTime(); };

// The time line: from the first to the last lecture of today in whole hours; a short day has finer steps.
function hours(events) {
  const from = Math.min(now(), ...events.map((it) => it.from));
  const until = Math.max(now(), ...events.map((it) => it.until));
  const step = until - from > 5 * HOUR ? HOUR : until - from > 2 * HOUR ? HOUR / 2 : HOUR / 6;
  const floor = Math.floor(from / step) * step;
  const ceiling = Math.max(Math.ceil(until / step) * step, floor + 3 * step);
  return { from: floor, until: ceiling, step: (ceiling - floor) / step > 14 ? step * 2 : step };
}

// Today's lectures with the times at which they are connected; late in the evening also those of the next two hours.
function today(schedule) {
  const from = startOfDay();
  const until = Math.max(from + 24 * HOUR, now() + 2 * HOUR);
  return schedule.events.map((event) => {
    const starts = Date.parse(event.starts);
    const ends = Date.parse(event.ends);
    return {
      ...event, starts, ends,
      from: event.connect_from ? Math.min(Date.parse(event.connect_from), starts) : starts,
      until: event.connect_until ? Math.max(Date.parse(event.connect_until), ends) : ends,
      conflicts: schedule.conflicts.filter((it) => it.events.includes(event.id)),
    };
  }).filter((event) => event.ends > from && event.starts < until);
}

// If a channel has more lectures than can be read, the time line covers two before the present one and seven after it.
const READABLE = 24;
function near(events) {
  const lanes = [...new Set(events.map((it) => it.channel))].map((name) => events.filter((it) => it.channel === name));
  const busiest = lanes.reduce((most, lane) => (lane.length > most.length ? lane : most), []);
  if (busiest.length <= READABLE) return events;
  const running = busiest.findIndex((it) => it.ends > now());
  const at = running < 0 ? busiest.length - 1 : running;
  const from = busiest[Math.max(0, at - 2)].starts;
  const until = busiest[Math.min(busiest.length - 1, at + 7)].ends;
  return events.filter((it) => it.ends > from && it.starts < until);
}

// Lectures that overlap are put below one another.
function rows(events) {
  const ends = [];
  return events.map((event) => {
    const free = ends.findIndex((end) => end <= event.starts);
    const row = free < 0 ? ends.length : free;
    ends[row] = event.ends;
    return { ...event, row };
  });
}

function lane() {
  return h("div", { class: "lane" }, h("h3", {}), h("ol", { class: "track" }));
}

function drawLane(element, { name, title, events, span }) {
  text(element.querySelector("h3"), title);
  element.classList.toggle("is-stray", name === "");
  const track = element.querySelector(".track");
  const stacked = rows(events);
  track.style.setProperty("--rows", Math.max(1, ...stacked.map((it) => it.row + 1)));
  each(track, stacked, (it) => it.id, lecture, (li, event) => drawLecture(li, event, span));
}

function lecture() {
  const button = h("button", { type: "button", class: "lecture" },
    h("span", { class: "unseen conflict" }), h("span", { class: "sign" }), h("span", { class: "title" }), h("span", { class: "time" }), h("span", { class: "place" }), h("span", { class: "unseen more" }));
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    document.querySelectorAll(".lecture[aria-expanded=true]").forEach((other) => other.setAttribute("aria-expanded", "false"));
    button.setAttribute("aria-expanded", String(open));
    text(document.getElementById("day-hint"), open ? button.dataset.all : day(now()));
  });
  button.setAttribute("aria-expanded", "false");
  return h("li", {}, h("span", { class: "margin" }), button);
}

function drawLecture(li, event, span) {
  const place = (time) => `${(100 * (time - span.from) / (span.until - span.from)).toFixed(3)}%`;
  const width = (from, until) => `${(100 * (until - from) / (span.until - span.from)).toFixed(3)}%`;
  const [margin, button] = li.children;
  li.style.setProperty("--row", event.row);
  Object.assign(margin.style, { left: place(event.from), width: width(event.from, event.until) });
  Object.assign(button.style, { left: place(event.starts), width: width(event.starts, event.ends) });
  const time = now();
  const conflict = event.conflicts.length > 0;
  const when = time >= event.ends ? "past" : time >= event.starts ? "now" : "ahead";
  attribute(button, "data-when", when);
  attribute(button, "data-conflict", conflict);
  const sign = conflict ? "fault" : when === "now" ? "live" : "";
  if (button.dataset.sign !== sign) {
    button.querySelector(".sign").replaceChildren(...(sign ? [icon(sign)] : []));
    button.dataset.sign = sign;
  }
  const source = event.source ?? event.agent;
  text(button.querySelector(".title"), event.title);
  text(button.querySelector(".time"), `${clock(event.starts)}–${clock(event.ends)}`);
  text(button.querySelector(".place"), source);
  const wrong = conflict ? `${t("conflict")}: ${event.conflicts.map((it) => it.sentence).join(" ")} ` : "";
  const latest = event.may_last_until ? t("may_last", { time: clock(Date.parse(event.may_last_until)) }) : "";
  const more = [
    event.series ?? "", (event.presenters ?? []).join(", "), event.connect_from ? t("lead", { from: clock(event.from), to: clock(event.until) }) : "", latest,
  ].filter(Boolean).join(". ");
  text(button.querySelector(".conflict"), wrong);
  text(button.querySelector(".more"), `. ${more}`);
  button.dataset.all = `${wrong}${t("event_title", { title: event.title, from: clock(event.starts), to: clock(event.ends), source })}. ${more}`;
}

function drawAxis(lanes, span) {
  const axis = lanes.axis ??= lanes.appendChild(h("div", { class: "axis", "aria-hidden": "true" }));
  const marks = [];
  for (let at = span.from; at <= span.until; at += span.step) marks.push(at);
  each(axis, marks, String, () => h("span", {}), (mark, at) => {
    text(mark, clock(at));
    mark.style.left = `${(100 * (at - span.from) / (span.until - span.from)).toFixed(3)}%`;
  });
  const line = lanes.line ??= lanes.appendChild(h("div", { class: "now-line", "aria-hidden": "true" }));
  line.style.setProperty("--now", ((now() - span.from) / (span.until - span.from)).toFixed(5));
}

export function draw() {
  const schedule = state.schedule;
  const lanes = document.getElementById("lanes");
  const hint = document.getElementById("day-hint");
  const events = schedule ? near(today(schedule)) : [];
  const feed = schedule?.feed;
  const words = !feed?.configured ? t("no_schedule") : events.length ? day(now()) : t("nothing_today");
  if (!document.querySelector(".lecture[aria-expanded=true]")) text(hint, feed?.fault ? `${words}. ${t("ics_state", { words: feed.fault })}` : words);
  show(lanes, events.length > 0);
  drawConflicts(schedule?.conflicts ?? []);
  if (!events.length) return;
  const span = hours(events);
  drawAxis(lanes, span);
  lanes.body ??= lanes.appendChild(h("div", { class: "body" }));
  const stray = events.filter((event) => !state.matrix.channels.some((it) => it.name === event.channel));
  const all = state.matrix.channels.map(({ name }) => ({ name, title: name, events: events.filter((it) => it.channel === name), span }));
  if (stray.length) all.push({ name: "", title: t("conflicts"), events: stray, span });
  each(lanes.body, all, (it) => it.name, lane, drawLane);
}

function drawConflicts(conflicts) {
  const list = document.getElementById("conflicts");
  show(list, conflicts.length > 0);
  each(list, conflicts.slice(0, 20), (it) => `${it.kind} ${it.events.join(" ")} ${it.from}`,
    () => h("li", {}, icon("fault"), h("strong", {}), h("span", {})),
    (li, it) => {
      text(li.querySelector("strong"), t("conflict"));
      const sentence = li.querySelector("strong + span");
      text(sentence, it.sentence);
      attribute(sentence, "lang", current() === "en" ? null : "en");
    });
}
