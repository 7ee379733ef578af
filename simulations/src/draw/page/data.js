"use strict";
// Draws the picture. The recording was worked out beforehand: here is only what depends on the window, the zoom and the
// reader. Everything is painted on one canvas, and of it only what is in sight, so that 20,000 messages stay quick.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const [paper, scroll, space, heads, map, tip, slider, clock, list] =
  ["paper", "scroll", "space", "heads", "map", "tip", "slider", "clock", "list"].map($);
const lanes = data.lanes;

// ---- Time: words, and its place on the paper -----------------------------------------------------------------------

const pad = (n, digits) => String(n).padStart(digits, "0");

/** A moment, by the same rule as `words.rs`. */
function moment(at) {
  const ms = Math.round(at / 1000), rest = ms % 1000;
  const fraction = rest ? "." + pad(rest, 3) : "";
  if (data.until < 60e6) return Math.floor(ms / 1000) + fraction + " s";
  const s = Math.floor(ms / 1000), day = data.until >= 86400e6 ? Math.floor(s / 86400) + "d " : "";
  return `${day}${pad(Math.floor(s / 3600) % 24, 2)}:${pad(Math.floor(s / 60) % 60, 2)}:${pad(s % 60, 2)}${fraction}`;
}

/** A moment on the axis: in a run of days the fraction of a second is left to what stands under the pointer. */
const axisMoment = (at) => data.until < 86400e6 ? moment(at) : moment(at - at % 1e6);

/** A length of time. */
function span(us) {
  for (const [unit, name] of [[86400e6, "days"], [3600e6, "h"], [60e6, "min"], [1e6, "s"], [1e3, "ms"]]) {
    const n = us / unit;
    if (n >= (name === "days" ? 2 : 0.9916)) { // what would be rounded to 60 minutes is an hour
      return `${n < 10 ? Math.round(n * 10) / 10 : Math.round(n)} ${name}`;
    }
  }
  return `${us} µs`;
}

/** What passed since a burst began, to the millisecond while that is what tells moments apart. */
function since(us) {
  return us < 1e6 || us >= 60e6 ? span(us) : `${Math.round(us / 1000) / 1000} s`;
}

/** The first place in a sorted array at which `after` holds. */
function search(array, after) {
  let low = 0, high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (after(array[middle])) high = middle; else low = middle + 1;
  }
  return low;
}

/** Goes from one column of the knots to the other, in proportion between two of them. */
function along(value, from, to) {
  const knots = data.knots, next = search(knots, (knot) => knot[from] >= value);
  if (next === 0) return knots[0][to];
  if (next === knots.length) return knots[next - 1][to];
  const a = knots[next - 1], b = knots[next];
  return a[to] + (value - a[from]) / (b[from] - a[from]) * (b[to] - a[to]);
}
const yOf = (at) => along(at, 0, 1);
const timeAt = (y) => along(y, 1, 0);

// ---- The data, with places -----------------------------------------------------------------------------------------

const messages = data.messages.map(([from, to, at, arrives, name, bytes, detail, ends, chatter], id) => {
  const y = yOf(at), lost = arrives < 0;
  return { id, from, to, at, arrives, name, bytes, detail, ends, chatter, lost, y, y2: lost ? y : yOf(arrives) };
});
messages.sort((a, b) => a.y - b.y || a.id - b.id);
// The lowest end of all up to each: finds the first that reaches into sight without looking at all of them.
let lowest = 0;
for (const message of messages) message.reach = lowest = Math.max(lowest, message.y2);

const marks = data.marks.map(([at, lane, sign, text, slot], id) => ({ id, at, lane, sign, text, slot, y: yOf(at) }));
const partings = data.partings.map((p) => ({ ...p, y: yOf(p.from), y2: yOf(p.until) }));
const breaks = data.breaks.map(([y, next, words]) => ({ y, words, next, y2: yOf(next) }));
const rows = data.rows.map(([at, tell, lane, text, sign]) => ({ at, tell, lane, text, sign, y: yOf(at) }));
const bars = rows.filter((row) => row.tell === "broken" || row.tell === "healed");
if (data.agreed) {
  const [at, text] = data.agreed;
  bars.push({ at, tell: "agreed", lane: null, text, y: yOf(at) });
}
for (const lane of lanes) {
  lane.spans = lane.spans.map(([at, colour, hash, entries]) => ({ at, colour, hash, entries, y: yOf(at) }));
  lane.pauses = lane.pauses.map(([from, until, frozen]) => ({ from, until, frozen, y: yOf(from), y2: yOf(until) }));
}
const glyphs = data.signs.map((sign) => ({ ...sign, shape: new Path2D(sign.path) }));

const stateAt = (lane, at) => lane.spans[Math.max(0, search(lane.spans, (s) => s.at > at) - 1)];
const pauseAt = (lane, at) => lane.pauses.find((pause) => pause.from <= at && at < pause.until);
const place = (lane) => lanes[lane].name;
const stateWords = (state) =>
  state.hash ? `${state.entries} change set${state.entries === 1 ? "" : "s"} (${state.hash.slice(0, 8)})` : "not told yet";
