// The console: shows the state of the server, updated by server-sent events, and sends orders.
import { announce, attribute, h, icon, show, text } from "./dom.js";
import * as words from "./words.js";
import { t } from "./words.js";
import { mountOrders } from "./orders.js";
import * as matrix from "./matrix.js";
import * as channels from "./channels.js";
import * as day from "./day.js";
import * as viewers from "./viewers.js";
import * as halls from "./halls.js";
import * as alarms from "./alarms.js";
import * as audit from "./audit.js";
import * as demo from "./demo.js";

const state = {
  info: { title: "Amphi", pages: "", demo: false }, role: "operator",
  matrix: { channels: [], sources: [] }, alarms: [], schedule: null, vitals: { sources: [], channels: [] }, viewers: null,
};
// The parts of the page, and the data that each of them shows.
const parts = [
  [matrix, ["matrix", "vitals", "schedule"]], [channels, ["matrix", "vitals", "schedule", "clock"]],
  [day, ["schedule", "matrix", "clock"]], [viewers, ["viewers", "vitals"]], [halls, ["matrix", "vitals"]],
  [alarms, ["alarms", "clock"]], [audit, ["clock"]], [demo, ["demo"]],
];
const stale = new Set();
let drawing = false;

function changed(...what) {
  what.forEach((name) => stale.add(name));
  if (drawing) return;
  drawing = true;
  // Timers also fire in a hidden tab; animation frames do not.
  setTimeout(() => {
    drawing = false;
    const now = new Set(stale);
    stale.clear();
    for (const [part, cares] of parts) {
      if (cares.some((name) => now.has(name))) part.draw(state);
    }
  }, 30);
}

function drawAll() {
  words.translate();
  document.title = `${state.info.title} – ${t("console")}`;
  text(document.getElementById("site"), state.info.title);
  text(document.getElementById("footer"), `Amphi ${state.info.version ?? ""}`);
  document.body.classList.toggle("looks-only", state.role === "viewer");
  fillTools();
  link(linked);
  changed(...parts.flatMap(([, cares]) => cares));
}

function fillTools() {
  const language = document.getElementById("language");
  language.replaceChildren(...Object.entries(words.languages).map(([code, name]) => h("option", { value: code, lang: code }, name)));
  language.value = words.current();
  const theme = document.getElementById("theme");
  const chosen = document.documentElement.dataset.theme ?? "auto";
  theme.replaceChildren(...["auto", "light", "dark"].map((name) => h("option", { value: name }, t(`theme_${name}`))));
  theme.value = chosen;
}

let linked = "connecting_to_server";
// Shows the state of the connection to the server.
function link(how) {
  const element = document.getElementById("link-state");
  if (how !== linked || !element.textContent) {
    element.replaceChildren(icon(how === "connected" ? "live" : "busy"), h("span", {}, t(how)));
  }
  attribute(element, "data-state", how);
  linked = how;
}

function chooseTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try { localStorage.setItem("amphi.theme", name); } catch { /* for this page only */ }
}

async function json(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  const date = Date.parse(response.headers.get("date") ?? "");
  // `Date` has whole seconds: the middle of the second is right on average.
  if (date) words.setServerTime(date + 500);
  return response.json();
}

async function refreshViewers() {
  try {
    state.viewers = await json("api/v1/viewers");
    changed("viewers");
  } catch { /* the state of the connection shows it */ }
}

function listen() {
  const events = new EventSource("api/v1/events");
  events.addEventListener("open", () => link("connected"));
  events.addEventListener("error", () => {
    link("disconnected");
    // Closed, so refused and not interrupted: the session is over.
    if (events.readyState === EventSource.CLOSED) setTimeout(begin, 2000);
  });
  for (const name of ["matrix", "alarms", "schedule", "vitals"]) {
    events.addEventListener(name, (event) => {
      state[name] = JSON.parse(event.data);
      changed(name);
    });
  }
}

// Whether requests are allowed; shows the sign-in form if a token is needed.
async function session() {
  if (!state.info.needs_token) return true;
  const response = await fetch("api/v1/session");
  if (response.ok) {
    const { role, proof, name } = await response.json();
    state.role = role;
    // Whoever a proxy has signed in signs out there.
    show(document.getElementById("logout"), proof !== "proxy");
    text(document.getElementById("person"), name ?? "");
    show(document.getElementById("person"), Boolean(name));
    return true;
  }
  offerLogin();
  // Known, and without rights: the server says whom to ask.
  if (response.status === 403) text(document.getElementById("login-fault"), (await response.json()).detail);
  return false;
}

// The sign-in form, with the ways that there are.
function offerLogin() {
  const { signs_in: person, takes_token: token, sign_in_label: label } = state.info;
  show(document.getElementById("by-person"), person);
  show(document.getElementById("by-token"), token);
  const hint = document.getElementById("login-hint");
  hint.dataset.t = person ? "login_or" : "login_hint";
  text(hint, t(hint.dataset.t));
  document.getElementById("token").required = token;
  const button = document.getElementById("sign-in");
  button.href = "sign-in";
  if (label) {
    delete button.dataset.t;
    text(button, label);
  }
  document.getElementById("login").showModal();
}

async function begin() {
  if (!(await session())) return;
  try {
    state.matrix = await json("api/v1/matrix");
  } catch {
    link("disconnected");
    setTimeout(begin, 2000);
    return;
  }
  drawAll();
  listen();
  refreshViewers();
}

document.getElementById("login").addEventListener("cancel", (event) => event.preventDefault());
document.getElementById("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = document.getElementById("token");
  const response = await fetch("api/v1/session", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: token.value }),
  });
  token.value = "";
  text(document.getElementById("login-fault"), response.ok ? "" : t("login_failed"));
  if (!response.ok) return;
  document.getElementById("login").close();
  begin();
});
document.getElementById("logout").addEventListener("click", async () => {
  const response = await fetch("api/v1/session", { method: "DELETE" });
  // The provider's session ends at its own page.
  if (response.status === 200) location.assign((await response.json()).continue);
  else location.reload();
});
document.getElementById("language").addEventListener("change", (event) => {
  words.choose(event.target.value);
  drawAll();
  announce(words.languages[words.current()]);
});
document.getElementById("theme").addEventListener("change", (event) => chooseTheme(event.target.value));

try { chooseTheme(localStorage.getItem("amphi.theme") ?? "auto"); } catch { /* as the system */ }
setInterval(() => text(document.getElementById("clock"), words.clock(words.now(), true)), 1000);
setInterval(() => changed("clock"), 10_000);
setInterval(refreshViewers, 10_000);

state.info = await (await fetch("console.json")).json();
mountOrders(state, () => changed("matrix"));
for (const [part] of parts) part.mount?.(state);
drawAll();
demo.load(state, () => changed("demo"));
begin();
