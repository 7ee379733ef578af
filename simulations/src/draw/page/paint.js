// Painting: from what is in sight to the canvas.

let dirty = false;
function repaint() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => { dirty = false; paint(); });
}

/** The messages that reach into these places of the paper. */
function inSight(top, bottom) {
  const z = view.zoom, out = [];
  for (let i = search(messages, (m) => m.reach * z >= top - 20); i < messages.length && messages[i].y * z <= bottom; i++) {
    if (messages[i].y2 * z >= top - 20 && shown(messages[i])) out.push(messages[i]);
  }
  return out;
}

function paint() {
  const { width, height, zoom: z } = view, top = scroll.scrollTop, dx = -scroll.scrollLeft;
  const full = Math.max(width, view.left + view.step * lanes.length);
  const g = pen;
  g.setTransform(ratio(), 0, 0, ratio(), 0, 0);
  g.fillStyle = ink.ground;
  g.fillRect(0, 0, width, height);
  g.save();
  g.translate(dx, -top);
  const seen = (y, y2) => y2 * z >= top - 40 && y * z <= top + height + 40;
  const column = (lane) => [laneX(lane) - view.step / 2, view.step];

  // Quiet times cut short: a strip across, so that nobody takes the distance for time.
  for (const quiet of breaks) {
    const half = Math.min(15, (quiet.y2 - quiet.y) * z);
    if (!seen(quiet.y, quiet.y) || half < 3) continue;
    g.fillStyle = ink.strip;
    g.fillRect(view.left, quiet.y * z - half / 2, full - view.left, half);
  }
  for (const parting of partings) {
    if (!seen(parting.y, parting.y2)) continue;
    for (const [side, fill] of [[parting.near, ink.near], [parting.far, ink.far]]) {
      g.fillStyle = fill;
      for (const lane of side) {
        const [x, wide] = column(lane);
        g.fillRect(x, parting.y * z, wide, (parting.y2 - parting.y) * z);
      }
    }
  }
  // Where messages are so many that they would cover all, they pass behind the lanes, and faintly.
  const visible = inSight(top, top + height), crowded = visible.length > 2500;
  const paintLanes = () => lanes.forEach((lane, number) => paintLane(g, lane, laneX(number), top, height));
  if (!crowded) paintLanes();
  for (const parting of partings) if (seen(parting.y, parting.y2)) paintWalls(g, parting, top, height);

  if (crowded) g.globalAlpha = Math.max(0.08, 1200 / visible.length);
  paintMessages(g, visible.filter((m) => m.chatter), ink.faint, !crowded);
  paintMessages(g, visible.filter((m) => !m.chatter && !m.lost), ink.wire, !crowded);
  paintLost(g, visible.filter((m) => m.lost && !m.chatter));
  paintLost(g, visible.filter((m) => m.lost && m.chatter), ink.faint);
  g.globalAlpha = 1;
  if (crowded) paintLanes();
  for (const bar of bars) if (seen(bar.y, bar.y)) paintBar(g, bar, full, dx);
  for (const mark of marks) if (seen(mark.y, mark.y)) paintSign(g, mark.sign, markX(mark), mark.y * z);
  paintLabels(g, top, height);

  // What lies after the slider is veiled.
  if (!view.ended) {
    const y = view.now.y * z;
    g.fillStyle = ink.veil;
    g.fillRect(view.left, y, full - view.left, Math.max(0, top + height - y));
    g.fillStyle = ink.now;
    g.fillRect(view.left - 6, y - 1, full - view.left + 6, 2);
  }
  const picked = view.pinned || view.hover;
  if (picked && picked.message) paintPicked(g, picked.message);
  if (picked && picked.mark) {
    g.strokeStyle = ink.now;
    g.lineWidth = 2;
    g.beginPath();
    g.arc(markX(picked.mark), picked.mark.y * z, 12, 0, 7);
    g.stroke();
  }
  g.restore();
  paintAxis(g, top);
  updateHeads();
  paintMapView();
}

function paintLane(g, lane, x, top, height) {
  const z = view.zoom, t = thick(), bottom = top + height;
  const first = Math.max(0, search(lane.spans, (s) => s.y * z > top) - 1);
  for (let i = first; i < lane.spans.length && lane.spans[i].y * z <= bottom; i++) {
    const from = i === 0 ? 0 : lane.spans[i].y * z;
    const to = i + 1 < lane.spans.length ? lane.spans[i + 1].y * z : data.height * z;
    const a = Math.max(from, top - 4), b = Math.min(to, bottom + 4);
    g.fillStyle = data.colours[lane.spans[i].colour];
    g.fillRect(x - t, a, t * 2, b - a);
    if (i > 0 && from >= top - 4) { // a notch where it changes, for eyes that see the two colours alike
      g.fillStyle = ink.ground;
      g.fillRect(x - t, from - 0.5, t * 2, 1);
    }
  }
  for (const pause of lane.pauses) {
    const a = Math.max(pause.y * z, top - 20), b = Math.min(pause.y2 * z, bottom + 20);
    if (b <= a) continue;
    g.fillStyle = ink.ground;
    g.fillRect(x - t - 1, a, t * 2 + 2, b - a);
    g.strokeStyle = ink.soft;
    g.lineWidth = 1.3;
    g.setLineDash(pause.frozen ? [2, 3] : [6, 4]);
    g.lineDashOffset = a - pause.y * z;
    g.beginPath();
    for (const side of [-t, t]) { g.moveTo(x + side, a); g.lineTo(x + side, b); }
    g.stroke();
    g.setLineDash([]);
    g.lineDashOffset = 0;
  }
}

function paintWalls(g, parting, top, height) {
  const z = view.zoom, a = Math.max(parting.y * z, top - 20), b = Math.min(parting.y2 * z, top + height + 20);
  for (const wall of parting.walls) {
    const x = laneX(wall) + parting.shift * 14, half = 5;
    g.save();
    g.beginPath();
    g.rect(x - half, a, half * 2, b - a);
    g.clip();
    g.globalAlpha = 0.28;
    g.fillStyle = ink.wall;
    g.fillRect(x - half, a, half * 2, b - a);
    g.globalAlpha = 0.9;
    g.strokeStyle = ink.wall;
    g.lineWidth = 1.4;
    g.beginPath();
    for (let y = Math.floor((a - 20) / 8) * 8; y < b + 10; y += 8) { g.moveTo(x - half, y + 10); g.lineTo(x + half, y); }
    g.stroke();
    g.restore();
  }
}

function paintMessages(g, some, colour, heads) {
  const t = thick() + 1;
  g.strokeStyle = g.fillStyle = colour;
  g.lineWidth = heads ? 1.2 : 0.7;
  g.beginPath();
  for (const m of some) if (!m.lost) { g.moveTo(laneX(m.from), m.y * view.zoom); g.lineTo(laneX(m.to), m.y2 * view.zoom); }
  g.stroke();
  if (!heads) return;
  g.beginPath();
  for (const m of some) if (!m.lost) arrow(g, laneX(m.from), m.y * view.zoom, laneX(m.to), m.y2 * view.zoom, t);
  g.fill();
}

/** The head of an arrow whose tip stops `gap` before its end, at the edge of the lane. */
function arrow(g, x0, y0, x1, y1, gap) {
  const length = Math.hypot(x1 - x0, y1 - y0) || 1, ux = (x1 - x0) / length, uy = (y1 - y0) / length;
  const x = x1 - ux * gap, y = y1 - uy * gap;
  g.moveTo(x, y);
  g.lineTo(x - ux * 7 - uy * 3.2, y - uy * 7 + ux * 3.2);
  g.lineTo(x - ux * 7 + uy * 3.2, y - uy * 7 - ux * 3.2);
}

function paintLost(g, some, colour = ink.lost) {
  g.strokeStyle = colour;
  g.lineWidth = 1.2;
  g.setLineDash([5, 3]);
  g.beginPath();
  for (const m of some) { g.moveTo(laneX(m.from), m.y * view.zoom); g.lineTo(laneX(m.ends), endY(m)); }
  g.stroke();
  g.setLineDash([]);
  g.lineWidth = 2;
  g.beginPath();
  for (const m of some) {
    const x = laneX(m.ends), y = endY(m), r = 4;
    g.moveTo(x - r, y - r); g.lineTo(x + r, y + r);
    g.moveTo(x + r, y - r); g.lineTo(x - r, y + r);
  }
  g.stroke();
}

function paintPicked(g, m) {
  const x0 = laneX(m.from), y0 = m.y * view.zoom, x1 = laneX(m.ends), y1 = endY(m);
  g.strokeStyle = g.fillStyle = ink.now;
  g.lineWidth = 3;
  g.beginPath();
  g.moveTo(x0, y0);
  g.lineTo(x1, y1);
  g.stroke();
  g.beginPath();
  if (!m.lost) arrow(g, x0, y0, x1, y1, thick());
  g.arc(x0, y0, 4, 0, 7);
  g.fill();
}

function paintBar(g, bar, full, dx) {
  const y = bar.y * view.zoom, x0 = view.left, broken = bar.tell === "broken";
  const text = bar.lane === null ? bar.text : `${place(bar.lane)}: ${bar.text}`;
  g.fillStyle = g.strokeStyle = broken ? ink.broken : ink[bar.tell];
  if (broken) {
    const up = (bar.row % 3) * 22;
    if (bar.told) g.fillRect(x0, y - 24 - up, full - x0, 20);
    g.fillRect(x0, y - 4, full - x0, 4);
    if (bar.lane !== null) {
      g.lineWidth = 3;
      g.strokeRect(laneX(bar.lane) - thick() - 6, y - 4, thick() * 2 + 12, 14);
    }
    g.fillStyle = "#fff";
  } else {
    g.lineWidth = 2;
    g.setLineDash(bar.tell === "healed" ? [8, 3] : []);
    g.beginPath();
    g.moveTo(x0, y);
    g.lineTo(full, y);
    g.stroke();
    g.setLineDash([]);
  }
  if (!bar.told) return;
  g.font = `600 12px ${FONT}`;
  g.textBaseline = "middle";
  const room = view.width - x0 - 20, words = shorten(text, g.font, room);
  halo(g, words, x0 - dx + 10, y - 13.5 - bar.row * 22, broken ? null : ink.ground);
}

/** Text on a seam of the ground, readable over lines. */
function halo(g, text, x, y, ground) {
  if (ground) {
    g.lineJoin = "round";
    g.lineWidth = 4;
    g.strokeStyle = ground;
    g.strokeText(text, x, y);
  }
  g.fillText(text, x, y);
}

function paintSign(g, number, x, y) {
  const glyph = glyphs[number], plain = glyph.tone === "plain", bad = glyph.tone === "bad";
  g.save();
  g.translate(x, y);
  g.lineWidth = 1.5;
  g.strokeStyle = bad || plain ? ink.ground : ink.ink;
  g.fillStyle = bad ? ink.ink : ink.ground;
  if (!plain) {
    g.beginPath();
    g.arc(0, 0, 8.5, 0, 7);
    g.fill();
    g.stroke();
  }
  const scale = plain ? 0.9 : 0.66;
  g.scale(scale, scale);
  g.translate(-8, -8);
  g.fillStyle = bad ? ink.ground : ink.ink;
  if (plain) { g.lineWidth = 3; g.stroke(glyph.shape); }
  g.fill(glyph.shape, "evenodd");
  g.restore();
}

function paintLabels(g, top, height) {
  g.textBaseline = "alphabetic";
  const done = new Set();
  for (let cell = Math.floor((top - 40) / CELL); cell <= Math.floor((top + height + 40) / CELL); cell++) {
    for (const label of labels.get(cell) || []) {
      if (done.has(label)) continue; // a label may lie in two cells
      done.add(label);
      if (label.kind === "words") {
        if (label.boxed) {
          g.fillStyle = ink.ground;
          g.strokeStyle = ink.edge;
          g.lineWidth = 1;
          g.beginPath();
          g.roundRect(label.x0, label.y0, label.x1 - label.x0, label.y1 - label.y0, 4);
          g.fill();
          g.stroke();
        }
        if (!label.boxed) { // lines of messages pass behind
          g.globalAlpha = 0.75;
          g.fillStyle = ink.ground;
          g.fillRect(label.x0, label.y0, label.x1 - label.x0, label.y1 - label.y0);
          g.globalAlpha = 1;
        }
        g.font = label.font;
        label.lines.forEach((line, i) => {
          g.fillStyle = ink.ink;
          halo(g, line, label.x0 + (label.boxed ? 5 : 1), label.y0 + (label.boxed ? 2 : 0) + 11 + i * 14, label.boxed ? null : ink.ground);
        });
      } else if (label.kind === "pill") {
        g.fillStyle = ink.wall;
        g.beginPath();
        g.roundRect(label.x0, label.y0 + 1, label.x1 - label.x0, 18, 9);
        g.fill();
        g.font = label.font;
        g.fillStyle = "#fff";
        g.fillText(label.text, label.x0 + 8, label.y0 + 14);
      } else if (label.kind === "name") {
        g.save();
        g.translate(label.x, label.y);
        g.rotate(Math.atan(label.slope));
        g.font = label.font;
        g.textAlign = "center";
        g.fillStyle = label.message.lost ? ink.lost : ink.soft;
        halo(g, label.text, 0, label.below ? 12 : -4, ink.ground);
        g.restore();
      }
    }
  }
}

/** The column of times: of each burst its moment, within it what passed since. */
function paintAxis(g, top) {
  const { height, zoom: z, left, narrow } = view;
  g.fillStyle = ink.panel;
  g.fillRect(0, 0, left - 8, height);
  g.fillStyle = ink.edge;
  g.fillRect(left - 9, 0, 1, height);
  g.textBaseline = "middle";
  g.textAlign = "left";
  const strong = `600 ${narrow ? 10 : 11}px ${FONT}`, weak = `${narrow ? 9 : 10.5}px ${FONT}`;
  let last = -100; // where the latest text stands
  const write = (y, text, font, colour, gap) => {
    if (y - last < gap || y < top - 12 || y > top + height + 12) return false;
    g.font = font;
    g.fillStyle = colour;
    g.fillText(text, narrow ? 4 : 8, y - top);
    last = y;
    return true;
  };
  // Start above what is in sight, so that the choice of times does not change while scrolling.
  let i = Math.max(0, search(breaks, (quiet) => quiet.y2 * z > top) - 8);
  let knot = i === 0 ? 0 : search(data.knots, (k) => k[0] >= breaks[i - 1].next);
  let start = data.knots[knot] || data.knots[0];
  for (; start && start[1] * z < top + height + 20; i++) {
    const quiet = breaks[i], end = quiet ? quiet.next : Infinity;
    const y = start[1] * z;
    if (y - last >= 15) {
      if (!write(y, axisMoment(start[0]), strong, ink.ink, 15)) last = Math.max(last, y);
      g.fillStyle = ink.faint;
      g.fillRect(left - 13, y - top - 0.5, 5, 1);
    }
    for (knot++; knot < data.knots.length && data.knots[knot][0] < end; knot++) {
      const [at, place] = data.knots[knot], here = place * z;
      if (here > top + height + 20) break;
      if (here - last >= 34) write(here, "+" + since(at - start[0]), weak, ink.soft, 34);
    }
    if (!quiet) break;
    if (quiet.y * z - last >= 14 && (quiet.y2 - quiet.y) * z > 9) {
      if (!write(quiet.y * z, quiet.words, weak, ink.soft, 12)) last = Math.max(last, quiet.y * z);
      paintBreak(g, quiet.y * z - top);
    }
    knot = search(data.knots, (k) => k[0] >= quiet.next);
    start = data.knots[knot];
  }
}

function paintBreak(g, y) {
  const x = view.left - 8;
  g.fillStyle = ink.ground;
  g.fillRect(x - 3, y - 6, 6, 12);
  g.strokeStyle = ink.soft;
  g.lineWidth = 1.2;
  g.beginPath();
  for (const [k, shift] of [-6, -3, 0, 3, 6].entries()) g[k ? "lineTo" : "moveTo"](x + (k % 2 ? 3 : -3), y + shift);
  g.stroke();
}
