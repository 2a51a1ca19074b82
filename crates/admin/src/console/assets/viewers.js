// Viewers of the last hours: for each channel a stacked area chart, with a colour and a label for each rung.
import { attribute, each, h, svg, text } from "./dom.js";
import { clock, number, t, viewers as count } from "./words.js";

const WIDTH = 720;
const HEIGHT = 120;
// The least number of places on the time axis.
const LEAST = 60;
let state = null;

export function mount(shared) {
  state = shared;
}

function chart() {
  return h("li", { class: "chart" },
    h("div", { class: "chart-head" }, h("h3", {}), h("p", { class: "total" })),
    h("div", { class: "plot" },
      svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "areas" }),
      h("span", { class: "top", "aria-hidden": "true" })),
    h("div", { class: "chart-foot" }, h("span", { class: "from" }), h("ul", { class: "legend" }), h("span", { class: "to" })));
}

// For each rung the lower and upper line of its area, and the sum of all rungs for each place, right-aligned.
function sums(rungs, places) {
  const sum = Array(places).fill(0);
  const layers = rungs.map(({ history }) => {
    const lower = [...sum];
    history.slice(-places).forEach((value, index, all) => { sum[places - all.length + index] += value; });
    return { lower, upper: [...sum] };
  });
  return { layers, sum };
}

function area({ lower, upper }, most) {
  const x = (index) => (index * WIDTH / (upper.length - 1)).toFixed(1);
  const y = (value) => (HEIGHT - 2 - value * (HEIGHT - 12) / most).toFixed(1);
  const there = upper.map((value, index) => `${x(index)},${y(value)}`);
  const back = lower.map((value, index) => `${x(index)},${y(value)}`).reverse();
  return `M${there.join("L")}L${back.join("L")}Z`;
}

function drawChart(li, channel) {
  const vitals = state.vitals.channels.find((it) => it.name === channel.name);
  const step = state.viewers.step_s * 1000;
  const places = Math.max(LEAST, ...channel.rungs.map((it) => it.history.length));
  const { layers, sum } = sums(channel.rungs, places);
  const most = Math.max(...sum);
  const until = Date.parse(state.viewers.until);
  const timeOf = (index) => until - (places - index) * step;
  text(li.querySelector("h3"), channel.name);
  const said = [count(vitals?.viewers ?? 0), most > 0 ? t("viewers_most", { n: number(most), time: clock(timeOf(sum.indexOf(most))) }) : t("no_viewers")];
  text(li.querySelector(".total"), said.join(" · "));
  const plot = li.querySelector(".areas");
  attribute(plot, "aria-label", `${channel.name}: ${said.join(", ")}`);
  text(li.querySelector(".top"), most > 0 ? number(most) : "");
  each(plot, layers.map((layer, index) => ({ ...layer, index })), (it) => String(it.index),
    (it) => svg("path", { class: `rung-${it.index % 5}` }),
    (path, it) => attribute(path, "d", area(it, Math.max(most, 4))));
  each(li.querySelector(".legend"), channel.rungs.map((rung, index) => ({ ...rung, index })), (it) => it.name,
    (it) => h("li", {}, h("span", { class: `swatch rung-${it.index % 5}`, "aria-hidden": "true" }), h("span", {})),
    (row, it) => text(row.lastChild, `${it.name}: ${number(vitals?.rungs.find((rung) => rung.name === it.name)?.viewers ?? 0)}`));
  text(li.querySelector(".from"), clock(timeOf(0)));
  text(li.querySelector(".to"), t("viewers_now"));
}

export function draw() {
  if (!state.viewers?.until) return;
  each(document.getElementById("charts"), state.viewers.channels, (it) => it.name, chart, drawChart);
}
