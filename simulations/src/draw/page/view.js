// How the reader looks at it: sizes, colours, and the heads of the lanes.

// ---- What the reader chose -----------------------------------------------------------------------------------------

const view = {
  zoom: 1, zoomMin: 1, zoomMax: 20,
  width: 0, height: 0, left: 104, step: 100, right: 60,
  now: { at: data.until, y: data.height }, // all is shown until the slider moves
  ended: true, playing: false,
  chatter: false, hidden: new Set(), hover: null, pinned: null,
};
const shown = (message) => (message.chatter ? view.chatter : true) && !view.hidden.has(message.name);
const ratio = () => Math.min(window.devicePixelRatio || 1, 3);

// ---- Sizes ---------------------------------------------------------------------------------------------------------

const ink = {}; // the colours of page.css, which knows whether it is dark
function readInk() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ground", "panel", "edge", "ink", "soft", "faint", "wire", "lost", "wall", "near", "far", "agreed", "healed", "broken", "now", "veil", "strip"]) {
    ink[name] = style.getPropertyValue("--" + name).trim();
  }
}

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const pen = paper.getContext("2d");
const widths = new Map();
function textWidth(text, font) {
  const key = font + text;
  if (!widths.has(key)) {
    if (widths.size > 20000) widths.clear();
    pen.font = font;
    widths.set(key, pen.measureText(text).width);
  }
  return widths.get(key);
}

const laneX = (lane) => view.left + view.step * (lane + 0.5);
/** Half the width of a lane's line. */
const thick = () => Math.max(2.5, Math.min(4.5, view.step / 10));

function measure() {
  const stage = $("stage"), narrow = stage.clientWidth < 560;
  const mapWidth = Math.min(90, Math.max(36, 12 + lanes.length * 5));
  stage.style.setProperty("--map", mapWidth + "px");
  stage.classList.toggle("mapped", !narrow && data.height * view.zoom > stage.clientHeight * 1.3);
  view.width = scroll.clientWidth;
  view.height = scroll.clientHeight;
  const times = textWidth(axisMoment(data.until), `600 ${narrow ? 10 : 11}px ${FONT}`);
  view.left = Math.ceil(Math.max(narrow ? 78 : 100, times + (narrow ? 22 : 28)));
  view.narrow = narrow;
  const room = view.width - view.left;
  // Labels stand right of their lane: the last one needs room for its own, which is what an empty lane would have.
  view.step = Math.max(18, Math.min(230, room / (lanes.length + (room / lanes.length >= 130 ? 0.45 : 0.12))));
  view.right = Math.max(8, room - view.step * lanes.length);
  for (const canvas of [paper, map]) {
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio()));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio()));
  }
  space.style.width = Math.max(view.left + view.step * lanes.length, 1) + "px";
  space.style.height = data.height * view.zoom + "px";
  view.zoomMin = Math.min(1, view.height / data.height);
  view.zoomMax = Math.min(24, 12e6 / data.height); // browsers stop at some 16 million pixels
  makeHeads();
  layLabels();
  paintMap();
  repaint();
}

// ---- The heads of the lanes ----------------------------------------------------------------------------------------

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function makeHeads() {
  // Names that do not fit beside each other stand upright.
  const longest = Math.max(0, ...lanes.map((lane) => textWidth(lane.name, `600 12px ${FONT}`)));
  const tall = view.step < 84 && longest > view.step - 2;
  heads.style.marginRight = $("stage").clientWidth - view.width + "px";
  heads.style.height = (tall ? Math.min(104, longest + 34) : 58) + "px";
  heads.replaceChildren();
  const corner = element("div", "corner", "time since\nthe beginning");
  corner.style.width = view.left + "px";
  corner.style.whiteSpace = "pre";
  heads.append(corner);
  lanes.forEach((lane, number) => {
    const head = element("div", "lane" + (lane.hub ? " hub" : " client") + (tall ? " tall" : view.step < 84 ? " tight" : ""));
    head.style.left = laneX(number) - view.step / 2 + "px";
    head.style.width = view.step + "px";
    head.append(element("span", "name", lane.name), element("span", "state"), element("span", "swatch"));
    head.title = `${lane.name} (${lane.hub ? "hub" : "client"})`;
    heads.append(head);
    lane.head = head;
  });
  view.headsAt = null;
}

/** What each lane holds at the slider's time. */
function updateHeads() {
  for (const lane of lanes) {
    lane.head.style.transform = `translateX(${-scroll.scrollLeft}px)`;
    const state = stateAt(lane, view.now.at), pause = pauseAt(lane, view.now.at);
    const key = `${state.at} ${pause ? pause.from : ""} ${view.ended}`;
    if (lane.head.key === key) continue;
    lane.head.key = key;
    const [, words, swatch] = lane.head.children;
    const off = pause && !(view.ended && pause.until < data.until);
    words.textContent = off ? (pause.frozen ? "frozen" : "down") : state.hash ? `${view.step >= 84 ? "holds " : ""}${state.entries} · ${state.hash.slice(0, 4)}` : "";
    swatch.style.background = data.colours[state.colour];
    lane.head.classList.toggle("off", Boolean(off));
    lane.head.title = `${lane.name} (${lane.hub ? "hub" : "client"}) holds ${stateWords(state)}`;
  }
}
