// What is under the pointer, and what it tells.

/** How far a point is from a line between two others. */
function distance(px, py, x0, y0, x1, y1) {
  const dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
  const share = length ? Math.max(0, Math.min(1, ((px - x0) * dx + (py - y0) * dy) / length)) : 0;
  return Math.hypot(px - x0 - share * dx, py - y0 - share * dy);
}

function under(clientX, clientY) {
  const box = scroll.getBoundingClientRect(), z = view.zoom;
  const x = clientX - box.left + scroll.scrollLeft, y = clientY - box.top + scroll.scrollTop;
  if (clientX - box.left < view.left - 8) return { axis: true, y };
  const near = (m) => Math.hypot(x - markX(m), y - m.y * z);
  const from = search(marks, (m) => m.y * z > y - 14), to = search(marks, (m) => m.y * z > y + 14);
  const mark = marks.slice(from, to).sort((a, b) => near(a) - near(b))[0];
  if (mark && near(mark) < 12) return { mark };
  for (const label of labels.get(Math.floor(y / CELL)) || []) {
    if (label.mark && x >= label.x0 && x <= label.x1 && y >= label.y0 && y <= label.y1) return { mark: label.mark };
  }
  let best = null, least = 7;
  for (const message of inSight(y - 30, y + 30)) {
    const d = distance(x, y, laneX(message.from), message.y * z, laneX(message.ends), endY(message));
    if (d < least) { least = d; best = message; }
  }
  // On a lane many lines end: there the lane itself is meant, unless a line is hit exactly.
  const lane = lanes.findIndex((_, n) => Math.abs(x - laneX(n)) < thick() + 2);
  if (best && (lane < 0 || least < 1.5)) return { message: best };
  const bar = bars.find((b) => y > b.y * z - 24 && y < b.y * z + 5);
  if (bar && bar.tell === "broken") return { bar };
  if (lane >= 0) return { lane, at: timeAt(y / z) };
  if (best) return { message: best };
  if (bar) return { bar };
  const parting = partings.find((p) => y >= p.y * z - 24 && y <= p.y2 * z && p.walls.some((w) => Math.abs(x - laneX(w) - p.shift * 14) < 9));
  return parting ? { parting } : null;
}

const same = (a, b) => a === b || (a && b && ["mark", "message", "bar", "parting"].some((k) => a[k] && a[k] === b[k]));

function tell(what, clientX, clientY) {
  if (!what || what.axis) { tip.hidden = true; return; }
  tip.replaceChildren();
  const title = (text) => tip.append(element("strong", "", text)), facts = element("dl");
  const fact = (name, text) => { if (text !== "") facts.append(element("dt", "", name), element("dd", "", text)); };
  if (what.message) {
    const m = what.message;
    title(`${data.names[m.name]}: ${place(m.from)} → ${place(m.to)}`);
    fact("sent", moment(m.at));
    fact("arrived", m.lost ? "never" : `${moment(m.arrives)}, after ${span(m.arrives - m.at)}`);
    fact("size", `${m.bytes.toLocaleString("en")} bytes`);
    fact("in it", data.details[m.detail]);
    if (m.chatter) fact("", "a heartbeat: nothing new in it");
  } else if (what.mark) {
    title(`${place(what.mark.lane)}: ${what.mark.text}`);
    fact("at", moment(what.mark.at));
    fact("what", glyphs[what.mark.sign].words);
  } else if (what.bar) {
    title(what.bar.lane === null ? what.bar.text : `${place(what.bar.lane)}: ${what.bar.text}`);
    fact("at", moment(what.bar.at));
  } else if (what.parting) {
    title(what.parting.text);
    fact("from", moment(what.parting.from));
    fact("until", `${moment(what.parting.until)}, for ${span(what.parting.until - what.parting.from)}`);
    if (what.parting.oneWay) fact("", "the way back works");
  } else {
    const lane = lanes[what.lane], pause = pauseAt(lane, what.at);
    title(`${lane.name} at ${moment(what.at)}`);
    fact("holds", stateWords(stateAt(lane, what.at)));
    if (pause) fact("is", pause.frozen ? "frozen" : "down");
  }
  tip.append(facts);
  tip.hidden = false;
  const { offsetWidth: w, offsetHeight: h } = tip;
  tip.style.left = Math.max(4, Math.min(clientX + 16, innerWidth - w - 4)) + "px";
  tip.style.top = (clientY + 18 + h > innerHeight ? Math.max(4, clientY - h - 14) : clientY + 18) + "px";
}

scroll.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch" || view.pinned) return;
  const what = under(event.clientX, event.clientY);
  if (!same(what, view.hover)) repaint();
  view.hover = what;
  scroll.style.cursor = what ? "pointer" : "";
  tell(what, event.clientX, event.clientY);
});
scroll.addEventListener("pointerleave", () => { if (!view.pinned) { view.hover = null; tip.hidden = true; repaint(); } });
scroll.addEventListener("click", (event) => {
  const what = under(event.clientX, event.clientY);
  if (what && what.axis) { setNow({ y: what.y / view.zoom }, false); return; }
  view.pinned = same(what, view.pinned) ? null : what;
  view.hover = what;
  tell(view.pinned, event.clientX, event.clientY);
  repaint();
});
scroll.addEventListener("scroll", () => {
  if (view.pinned || view.hover) { view.pinned = view.hover = null; tip.hidden = true; }
  repaint();
}, { passive: true });
