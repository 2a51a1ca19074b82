// Makes and updates elements without markup: text is inserted as text. What has not changed is not touched, so that focus,
// open menus and screen readers keep their place.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name in element && !name.includes("-") && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

export const svg = (tag, properties, ...children) => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties ?? {})) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
};

export function text(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else {
    const words = value === true ? "" : String(value);
    if (element.getAttribute(name) !== words) element.setAttribute(name, words);
  }
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

// Keeps one child of `parent` for each item, by key: made once, then updated. The order is that of the items.
export function each(parent, items, key, make, update) {
  const known = parent.made ??= new Map();
  const wanted = new Set();
  let place = null;
  for (const item of items) {
    const name = key(item);
    wanted.add(name);
    let element = known.get(name);
    if (!element) known.set(name, element = make(item));
    update?.(element, item);
    const next = place ? place.nextSibling : parent.firstChild;
    if (next !== element) parent.insertBefore(element, next);
    place = element;
  }
  for (const [name, element] of known) {
    if (!wanted.has(name)) {
      element.remove();
      known.delete(name);
    }
  }
}

// SVG paths in a box of 24 x 24, drawn with a stroke.
const icons = {
  live: "M12 12m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M6.3 6.3a8 8 0 0 0 0 11.4M17.7 6.3a8 8 0 0 1 0 11.4",
  wait: "M12 7v5l3 2M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0",
  busy: "M12 3v4M12 17v4M3 12h4M17 12h4M5.6 5.6l2.9 2.9M15.5 15.5l2.9 2.9M5.6 18.4l2.9-2.9M15.5 8.5l2.9-2.9",
  fault: "M12 4 2.8 20h18.4L12 4ZM12 10v4M12 17v.01",
  idle: "M8 12h8M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0",
  people: "M9 11m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0M2.5 20c.6-3.4 3.2-5 6.5-5s5.900 1.600 6.500 5M16 7.800a3.200 3.200 0 0 1 0 6.200M18 15.500c2 .6 3.200 2.200 3.500 4.500",
  plus: "M12 6v12M6 12h12",
  open: "M14 4h6v6M20 4l-9 9M18 14v5H5V6h5",
  sun: "M12 12m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.600 17.600 19 19M5 19l1.4-1.4M17.600 6.400 19 5",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l1.500 2h-15L6 16ZM10 20.500h4",
  hand: "M8 12V6a1.500 1.500 0 0 1 3 0v5V4.500a1.500 1.500 0 0 1 3 0V11V6a1.500 1.500 0 0 1 3 0v8c0 4-2 7-6 7-3.500 0-5-2-6.500-5L3.500 13a1.500 1.500 0 0 1 2.700-1.300L8 14",
  calendar: "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4",
  muted: "M4 9v6h4l5 4V5L8 9H4ZM17 9l4 6M21 9l-4 6",
};

export const icon = (name) => svg("svg", {
  viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true", fill: "none", stroke: "currentColor",
  "stroke-width": "2", "stroke-linecap": "round", "stroke-linejoin": "round",
}, svg("path", { d: icons[name] ?? icons.idle }));

// Replaces a picture when `stamp` changes. It is loaded before it is shown, so that it does not flicker and a failed load is
// not visible.
export function picture(image, path, stamp) {
  if (!stamp || image.dataset.stamp === stamp || image.dataset.loading) return;
  // At most every 3.5 s: more often is not noticed.
  const now = Date.now();
  if (image.dataset.stamp && now - Number(image.dataset.loaded ?? 0) < 3500) return;
  if (document.hidden || !image.offsetParent) return;
  image.dataset.loading = "yes";
  const next = new Image();
  const end = () => { delete image.dataset.loading; image.dataset.loaded = String(Date.now()); };
  next.onload = () => {
    image.src = next.src;
    image.dataset.stamp = stamp;
    image.classList.add("has-picture");
    end();
  };
  next.onerror = end;
  next.src = `${path}?of=${encodeURIComponent(stamp)}`;
}

let announcer = null;
// Announces a text to screen readers.
export function announce(words) {
  announcer ??= document.getElementById("announcer");
  announcer.textContent = "";
  setTimeout(() => { announcer.textContent = words; }, 50);
}
