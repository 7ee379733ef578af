// Labels: where words are, so that none covers another.

// All labels of the paper are laid out at once for a zoom, the important first; one that would cover another is left
// out and seen under the pointer. Doing it for the part in sight only would let labels jump while scrolling.
const CELL = 64;
let labels = [];   // by cell, for painting

function layLabels() {
  const cells = new Map();
  const boxes = (y0, y1) => {
    const out = [];
    for (let cell = Math.floor(y0 / CELL); cell <= Math.floor(y1 / CELL); cell++) {
      if (!cells.has(cell)) cells.set(cell, []);
      out.push(cells.get(cell));
    }
    return out;
  };
  const take = (label, keep) => {
    const near = boxes(label.y0, label.y1);
    const free = near.every((cell) => cell.every((other) =>
      label.x1 <= other.x0 || other.x1 <= label.x0 || label.y1 <= other.y0 || other.y1 <= label.y0));
    if (!free && !keep) return false;
    near.forEach((cell) => cell.push(label));
    return true;
  };
  const full = Math.max(view.width, view.left + view.step * lanes.length);

  for (const bar of bars) {
    const y = bar.y * view.zoom;
    bar.row = 0;
    while (bar.row < 3 && !take({ kind: "bar", bar, x0: view.left, x1: full, y0: y - 24 - bar.row * 22, y1: y - 4 - bar.row * 22 })) bar.row++;
    bar.told = bar.row < 3;
  }
  for (const parting of partings) {
    const font = `600 12px ${FONT}`, y = parting.y * view.zoom;
    const text = shorten(parting.text, font, Math.min(full - view.left - 24, 420));
    const width = textWidth(text, font) + 16;
    const middle = parting.walls.length ? laneX(parting.walls[0]) : (view.left + full) / 2;
    const x0 = Math.max(view.left + 4, Math.min(middle - width / 2, full - width - 4));
    for (let row = 0; row < 3; row++) {
      if (take({ kind: "pill", text, font, x0, x1: x0 + width, y0: y - 24 - row * 22, y1: y - 4 - row * 22 })) break;
    }
  }
  // Signs themselves are never covered by text.
  for (const mark of marks) {
    const x = markX(mark), y = mark.y * view.zoom;
    take({ kind: "sign", x0: x - 8, x1: x + 8, y0: y - 6, y1: y + 6 }, true);
  }
  const roomy = view.step >= 108;
  for (const mark of marks) {
    const font = `12px ${FONT}`, width = roomy ? (mark.lane === lanes.length - 1 ? Math.min(view.step / 2 + view.right - 18, 240) : view.step - 26) : Math.min(170, view.width * 0.42);
    const lines = wrap(mark.text, font, width, 2);
    const wide = Math.max(...lines.map((line) => textWidth(line, font))) + (roomy ? 2 : 10);
    const x = markX(mark), y = mark.y * view.zoom, high = lines.length * 14 + (roomy ? 0 : 4);
    const left = !roomy && x + 12 + wide > full - 4;
    const x0 = left ? Math.max(view.left + 2, x - 12 - wide) : x + 12;
    // Above its sign, where the axis kept room for it; higher up if that is taken.
    for (let row = 0; row < 2 + 2 * mark.slot; row++) {
      const y1 = y + (row === 0 && lines.length === 1 ? -1 : -2) - row * 14;
      if (take({ kind: "words", lines, font, boxed: !roomy, x0, x1: x0 + wide, y0: y1 - high, y1, mark })) break;
    }
  }
  if (view.step >= 84) layNames(take);
  labels = cells;
}

/** The names of messages, where neither another line nor a lane runs through: else one could not tell whose they are. */
function layNames(take) {
  const font = `11px ${FONT}`, lines = new Map();
  const said = messages.filter((message) => !message.chatter && shown(message)).map((message) => {
    const line = { message, x0: laneX(message.from), x1: laneX(message.ends), y0: message.y * view.zoom, y1: endY(message) };
    for (let cell = Math.floor(line.y0 / CELL); cell <= Math.floor(line.y1 / CELL); cell++) {
      if (!lines.has(cell)) lines.set(cell, []);
      lines.get(cell).push(line);
    }
    return line;
  });
  const crossed = (area, own) => {
    for (let cell = Math.floor(area.y0 / CELL); cell <= Math.floor(area.y1 / CELL); cell++) {
      for (const line of lines.get(cell) || []) {
        if (line === own) continue;
        const a = Math.max(area.x0, Math.min(line.x0, line.x1)), b = Math.min(area.x1, Math.max(line.x0, line.x1));
        if (a >= b) continue;
        const slope = (line.y1 - line.y0) / (line.x1 - line.x0), at = (x) => line.y0 + (x - line.x0) * slope;
        if (Math.max(at(a), at(b)) > area.y0 + 2 && Math.min(at(a), at(b)) < area.y1) return true;
      }
    }
    const lane = Math.round((area.x0 + area.x1) / 2 / view.step - view.left / view.step - 0.5);
    return laneX(lane) + thick() > area.x0 && laneX(lane) - thick() < area.x1;
  };
  for (const line of said) {
    const { x0, x1, y0, y1, message } = line, long = Math.abs(x1 - x0);
    const text = data.names[message.name], width = textWidth(text, font);
    if (width + 26 > long || Math.abs(y1 - y0) > long) continue;
    const near = Math.min(0.5, (width / 2 + 20) / long), slope = (y1 - y0) / (x1 - x0), tall = 11 + Math.abs(slope) * width;
    // Near the sender if it can be, above the line or below it.
    spots: for (const share of [near, 1 - near, 0.5, 0.35, 0.65]) {
      const x = x0 + (x1 - x0) * share, y = y0 + (y1 - y0) * share;
      for (const below of [0, tall + 3]) {
        const area = { x0: x - width / 2, x1: x + width / 2, y0: y - 2 - tall + below, y1: y - 2 + below };
        if (!crossed(area, line) && take({ kind: "name", text, font, slope, x, y, below, message, ...area })) break spots;
      }
    }
  }
}

const markX = (mark) => laneX(mark.lane) + mark.slot * 17;
/** Where a message ends; a lost one a little below where it began. */
const endY = (message) => message.lost
  ? message.y * view.zoom + Math.min(12, 9 * Math.abs(message.ends - message.from) + 3)
  : message.y2 * view.zoom;

function shorten(text, font, width) {
  if (textWidth(text, font) <= width) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (textWidth(text.slice(0, middle) + "…", font) <= width) low = middle; else high = middle - 1;
  }
  return text.slice(0, low) + "…";
}

function wrap(text, font, width, most) {
  const lines = [];
  let line = "";
  const wordsLeft = text.split(/\s+/);
  while (wordsLeft.length) {
    const longer = line ? line + " " + wordsLeft[0] : wordsLeft[0];
    if (textWidth(longer, font) <= width || !line) { line = longer; wordsLeft.shift(); continue; }
    if (lines.length === most - 1) break;
    lines.push(line);
    line = "";
  }
  if (wordsLeft.length) line += " " + wordsLeft.join(" ");
  lines.push(line);
  return lines.map((one) => shorten(one, font, width));
}
