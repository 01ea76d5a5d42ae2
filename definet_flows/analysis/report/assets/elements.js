/* Elements made from text, never from markup: whatever a record says stays text. */
const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
};
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const DASH = "–";
const MINUS = "−";

/* A number with at most so many digits; a dash where there is none. */
const shown = (value, digits = 5) => {
  if (value === null || value === undefined) return DASH;
  if (typeof value !== "number") return String(value);
  const text = Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(digits)));
  return text.replace("-", MINUS);
};
const withUnit = (value, unit, digits) => (value === null || value === undefined ? DASH : `${shown(value, digits)} ${unit}`);

/* Plotly reads some markup in its texts; a record's text shall have none. */
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/* The bytes of one of the page's compressed blocks. */
const unpacked = async (id) => {
  const bytes = Uint8Array.from(atob(byId(`packed-${id}`).textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const unpackedText = async (id) => new TextDecoder().decode(await unpacked(id));

/* What a reload must not forget. */
const remembered = {
  get(key, otherwise) {
    try {
      return JSON.parse(sessionStorage.getItem(location.pathname + key)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(key, value) {
    try {
      sessionStorage.setItem(location.pathname + key, JSON.stringify(value));
    } catch {
      /* Some browsers keep nothing for pages opened from a disk. */
    }
  },
};
