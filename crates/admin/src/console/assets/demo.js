// The demo's panel: makes simulated halls fail.
import { each, h, show, text } from "./dom.js";
import { t } from "./words.js";

const FAULTS = [
  "", "off", "reset", "freeze", "no-video", "no-audio", "still", "black", "silent", "loss=2", "reorder", "jump=3600", "jump=-3600",
  "video-reset", "wrap", "skew=200", "resize", "garbage", "deaf", "timeout=20", "reports", "expire", "mono",
];
let halls = [];
let state = null;

export async function load(shared, changed) {
  state = shared;
  show(document.getElementById("demo"), state.info.demo);
  if (!state.info.demo) return;
  halls = Object.entries(await (await fetch("demo/halls")).json()).map(([name, fault]) => ({ name, fault: fault ?? "" }));
  changed();
}

function menu({ name, fault }) {
  const id = `fault-${name}`;
  const faults = FAULTS.includes(fault) ? FAULTS : [...FAULTS, fault];
  const select = h("select", { id }, ...faults.map((it) => h("option", { value: it }, it || t("works"))));
  select.value = fault;
  select.addEventListener("change", () => fetch(`demo/halls/${encodeURIComponent(name)}/fault`, { method: "PUT", body: select.value }));
  return h("li", {}, h("label", { for: id }, name), select);
}

export function draw() {
  each(document.getElementById("faults"), halls, (it) => it.name, menu,
    (li) => text(li.querySelector("option"), t("works")));
}
