// What the reader moves: time, zoom, which messages.

// ---- Time moves ----------------------------------------------------------------------------------------------------

let moments = []; // at which something is shown, for the arrow keys
function collectMoments() {
  const all = new Set([0, data.until, ...rows.map((row) => row.at)]);
  for (const m of messages) if (shown(m) && !m.chatter) { all.add(m.at); if (!m.lost) all.add(m.arrives); }
  moments = [...all].sort((a, b) => a - b);
}

/** Sets the slider's time, by a moment or by a place. */
function setNow({ at, y }, follow = true) {
  if (at === undefined) at = timeAt(y);
  if (y === undefined) y = yOf(at);
  view.ended = at >= data.until;
  view.now = { at, y };
  slider.value = view.ended ? data.height : y;
  clock.textContent = moment(at);
  const row = rows[search(rows, (r) => r.at > at) - 1];
  slider.setAttribute("aria-valuetext", moment(at) + (row ? ": " + rowText(row) : ""));
  if (follow) {
    const place = y * view.zoom - scroll.scrollTop;
    if (place < view.height * 0.15 || place > view.height * 0.75) scroll.scrollTop = y * view.zoom - view.height * (view.playing ? 0.7 : 0.5);
  }
  paintList(true);
  repaint();
}

/** To the next happening, or the one before. */
function stepBy(direction) {
  pause();
  const i = direction > 0 ? search(moments, (m) => m > view.now.at + 0.5) : search(moments, (m) => m >= view.now.at - 0.5) - 1;
  setNow({ at: moments[Math.max(0, Math.min(moments.length - 1, i))] });
}

function pause() {
  view.playing = false;
  $("play").textContent = "▶";
  $("play").setAttribute("aria-label", "Play");
}

function play() {
  if (view.playing) return pause();
  view.playing = true;
  $("play").textContent = "❚❚";
  $("play").setAttribute("aria-label", "Pause");
  if (view.ended) { scroll.scrollTop = 0; setNow({ at: 0 }); }
  // By paper rather than by time: a quiet year passes as quickly as it looks. No run takes longer than a minute.
  const speed = Math.max(70, data.height / 60);
  let last = performance.now();
  const tick = (time) => {
    if (!view.playing) return;
    const y = view.now.y + speed * Math.min(0.1, (time - last) / 1000);
    last = time;
    if (y >= data.knots[data.knots.length - 1][1]) { setNow({ at: data.until }); return pause(); }
    const at = timeAt(y);
    setNow({ at, y });
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

slider.max = data.height;
slider.addEventListener("input", () => { pause(); setNow({ y: Number(slider.value) }); });
slider.addEventListener("keydown", (event) => {
  const direction = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!direction) return;
  event.preventDefault(); // the browser would move it by pixels
  event.stopPropagation();
  stepBy(direction);
});
$("play").addEventListener("click", play);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|BUTTON|SUMMARY)$/.test(event.target.tagName)) {
    if (event.key === "Escape") { view.pinned = null; tip.hidden = true; repaint(); }
    return;
  }
  const act = {
    " ": play, ArrowRight: () => stepBy(1), ArrowLeft: () => stepBy(-1), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: () => zoomTo(view.zoomMin),
    Escape: () => { view.pinned = null; tip.hidden = true; repaint(); },
  }[event.key];
  if (act) { event.preventDefault(); act(); }
});

// ---- Zoom ----------------------------------------------------------------------------------------------------------

function zoomTo(zoom, anchor = view.height / 2) {
  const fixed = (scroll.scrollTop + anchor) / view.zoom;
  view.zoom = Math.max(view.zoomMin, Math.min(view.zoomMax, zoom));
  measure();
  scroll.scrollTop = fixed * view.zoom - anchor;
}
const zoomBy = (factor, anchor) => zoomTo(view.zoom * factor, anchor);
$("nearer").addEventListener("click", () => zoomBy(1.5));
$("farther").addEventListener("click", () => zoomBy(1 / 1.5));
$("whole").addEventListener("click", () => zoomTo(view.zoomMin));
scroll.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 300), event.clientY - scroll.getBoundingClientRect().top);
}, { passive: false });

// ---- Which messages ------------------------------------------------------------------------------------------------

function makeNames() {
  const counts = data.names.map(() => 0);
  let chatter = 0;
  for (const m of messages) if (m.chatter) chatter++; else counts[m.name]++;
  const group = $("names");
  const chip = (label, count, pressed, flip) => {
    const button = element("button", "", label + " ");
    button.append(element("span", "", count.toLocaleString("en")));
    button.setAttribute("aria-pressed", String(pressed));
    button.title = pressed ? "Click to hide" : "Click to show";
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      button.title = on ? "Click to hide" : "Click to show";
      flip(on);
      collectMoments();
      layLabels();
      collectRows();
      repaint();
    });
    group.append(button);
  };
  data.names.forEach((name, number) => {
    if (counts[number]) chip(name, counts[number], true, (on) => on ? view.hidden.delete(number) : view.hidden.add(number));
  });
  if (chatter) {
    const label = element("label"), box = element("input");
    box.type = "checkbox";
    box.id = "chatter";
    box.addEventListener("change", () => { view.chatter = box.checked; repaint(); });
    label.append(box, ` heartbeats (${chatter.toLocaleString("en")})`);
    group.append(label);
  }
}
