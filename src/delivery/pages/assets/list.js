// The list of channels.
import { choose, current, languages, t } from "./words.js";

const element = (id) => document.getElementById(id);
const add = (parent, tag, words, kind) => {
  const made = document.createElement(tag);
  if (words !== undefined) made.textContent = words;
  if (kind) made.className = kind;
  parent.append(made);
  return made;
};

let listed = { title: "Amphi", channels: [] };

function card(name) {
  const item = document.createElement("li");
  const link = add(item, "a", undefined, "card");
  link.href = `/watch/${encodeURIComponent(name)}`;
  add(link, "strong", name.replaceAll("_", " "));
  return item;
}

function draw() {
  document.title = listed.title;
  element("site").textContent = listed.title;
  element("heading").textContent = t("live_channels");
  element("language").setAttribute("aria-label", t("language"));
  element("channels").replaceChildren(...listed.channels.map(card));
  element("none").hidden = listed.channels.length > 0;
  element("none").textContent = t("none");
}

for (const [code, name] of Object.entries(languages)) {
  const option = add(element("language"), "option", name);
  option.value = code;
  option.lang = code;
}
element("language").value = current();
element("language").addEventListener("change", () => { choose(element("language").value); draw(); });
listed = await (await fetch("/assets/channels.json")).json();
draw();
