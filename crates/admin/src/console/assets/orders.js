// Orders to the matrix: connect, disconnect, back to plan; how long they last; the message with their result.
import { announce, h, show, text } from "./dom.js";
import { clock, now, t } from "./words.js";

const HOLDS = [["", "forever"], ["15", "for_minutes", 15], ["30", "for_minutes", 30], ["60", "for_hours", 1], ["120", "for_hours", 2], ["240", "for_hours", 4], ["clock", "until_clock"]];
let redraw = () => {};
let toastTimer = null;

export const holds = () => HOLDS.map(([value, name, n]) => h("option", { value }, t(name, { n })));

// When an order given now ends: an ISO time, or null for "until undone".
export function until(choice, time) {
  if (choice === "clock") {
    const [hours, minutes] = (time || "").split(":").map(Number);
    if (!Number.isFinite(minutes)) return null;
    const end = new Date(now());
    end.setHours(hours, minutes, 0, 0);
    if (end.getTime() <= now()) end.setDate(end.getDate() + 1);
    return end.toISOString();
  }
  return choice ? new Date(now() + Number(choice) * 60_000).toISOString() : null;
}

// When an order ends, as chosen in the toolbar of the matrix.
export const usualUntil = () => until(document.getElementById("duration").value, document.getElementById("duration-until").value);

async function send(channel, method, path, body) {
  const response = await fetch(`api/v1/channels/${encodeURIComponent(channel)}/${path}`, {
    method, ...(body ? { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(response.status === 403 && !answer.detail ? t("forbidden") : answer.detail ?? response.status);
  return answer;
}

export async function connect(state, channel, source, end) {
  await order(state, channel, () => send(channel, "PUT", "source", { source, ...(end ? { until: end } : {}) }),
    end ? `${t("done_connect", { channel, source })}, ${t("until", { time: clock(end) })}` : t("done_connect", { channel, source }));
}

export const disconnect = (state, channel) =>
  order(state, channel, () => send(channel, "DELETE", "source"), t("done_disconnect", { channel }));

export const clear = (state, channel) =>
  order(state, channel, () => send(channel, "DELETE", "override"), t("done_clear", { channel }));

async function order(state, channel, act, done) {
  const before = state.matrix.channels.find((it) => it.name === channel)?.desired;
  try {
    const answer = await act();
    // Shown at once; the event stream brings the same a moment later.
    const { warning, ...view } = answer;
    state.matrix.channels = state.matrix.channels.map((it) => (it.name === channel ? { ...it, ...view } : it));
    redraw();
    toast(warning ? `${done}. ${warning}` : done, () => undo(state, channel, before));
  } catch (error) {
    toast(t("failed", { why: error.message }), null, true);
  }
}

// Restores what was there before: the manual override, if it was one, else the plan.
async function undo(state, channel, before) {
  try {
    if (before?.by !== "manual") await send(channel, "DELETE", "override");
    else if (!before.source) await send(channel, "DELETE", "source");
    else await send(channel, "PUT", "source", { source: before.source, ...(before.until ? { until: before.until } : {}) });
    hideToast();
  } catch (error) {
    toast(t("failed", { why: error.message }), null, true);
  }
}

function hideToast() {
  show(document.getElementById("toast"), false);
}

function toast(sentence, undoing, bad = false) {
  const element = document.getElementById("toast");
  element.classList.toggle("is-bad", bad);
  text(document.getElementById("toast-words"), sentence);
  const button = document.getElementById("toast-undo");
  show(button, Boolean(undoing));
  button.onclick = undoing;
  show(element, true);
  announce(sentence);
  clearTimeout(toastTimer);
  const leave = () => { toastTimer = setTimeout(() => (element.matches(":hover, :focus-within") ? leave() : hideToast()), 8000); };
  leave();
}

export function mountOrders(_, changed) {
  redraw = changed;
  const duration = document.getElementById("duration");
  duration.addEventListener("change", () => show(document.getElementById("duration-until"), duration.value === "clock"));
}

export function drawHolds(select) {
  const chosen = select.value;
  select.replaceChildren(...holds());
  select.value = chosen;
}
