// The present alarms.
import { attribute, each, h, icon, show, text } from "./dom.js";
import { current, has, lasting, moment, now, t } from "./words.js";

let state = null;

export function mount(shared) {
  state = shared;
}

// A text in the page's language if there is one for the kind of alarm; the server's sentence below it has the details.
function headline(alarm) {
  const known = has(`alarm_${alarm.kind}`);
  return known ? t(`alarm_${alarm.kind}`, { source: alarm.source ?? alarm.channel ?? "" }) : alarm.sentence;
}

function drawAlarm(li, alarm) {
  const words = headline(alarm);
  text(li.querySelector(".headline"), words);
  attribute(li.querySelector(".headline"), "lang", has(`alarm_${alarm.kind}`) ? null : "en");
  const more = li.querySelector(".more");
  // Not the same sentence twice.
  show(more, current() === "en" ? words !== alarm.sentence : has(`alarm_${alarm.kind}`));
  text(more, alarm.sentence);
  text(li.querySelector(".since"), `${t("since", { time: moment(alarm.since) })} (${lasting(now() - Date.parse(alarm.since))})`);
}

export function draw() {
  const { alarms } = state;
  show(document.getElementById("alarms"), alarms.length > 0);
  each(document.getElementById("alarm-list"), alarms, (it) => [it.kind, it.source, it.channel, it.about].join("\u0000"),
    () => h("li", {}, icon("fault"), h("div", {}, h("strong", { class: "headline" }), h("span", { class: "more", lang: "en" })), h("span", { class: "since" })), drawAlarm);
  const pill = document.getElementById("alarm-pill");
  const words = alarms.length === 0 ? t("no_alarms") : alarms.length === 1 ? t("one_alarm") : t("n_alarms", { n: alarms.length });
  if (pill.textContent !== words) pill.replaceChildren(icon(alarms.length ? "fault" : "bell"), h("span", {}, words));
  pill.classList.toggle("is-bad", alarms.length > 0);
  // No link while there is no alarm.
  if (alarms.length) pill.setAttribute("href", "#alarms");
  else pill.removeAttribute("href");
}
