// The map: the whole run beside the part in sight.

const mapPen = map.getContext("2d");
let mapImage = null;

function paintMap() {
  const w = map.clientWidth, h = map.clientHeight;
  if (!w || !h) { mapImage = null; return; }
  mapImage = document.createElement("canvas");
  mapImage.width = map.width;
  mapImage.height = map.height;
  const g = mapImage.getContext("2d"), k = h / data.height, each = (w - 10) / lanes.length;
  g.setTransform(ratio(), 0, 0, ratio(), 0, 0);
  g.fillStyle = ink.panel;
  g.fillRect(0, 0, w, h);
  const x = (lane) => 5 + each * (lane + 0.5), half = Math.max(0.6, Math.min(3, each / 2 - 0.6));
  for (const parting of partings) {
    g.fillStyle = ink.wall;
    g.globalAlpha = 0.45;
    for (const wall of parting.walls) g.fillRect(x(wall) - 1.5, parting.y * k, 3, Math.max(1, (parting.y2 - parting.y) * k));
    g.globalAlpha = 1;
  }
  lanes.forEach((lane, n) => {
    lane.spans.forEach((state, i) => {
      const from = i ? state.y : 0, to = i + 1 < lane.spans.length ? lane.spans[i + 1].y : data.height;
      g.fillStyle = data.colours[state.colour];
      g.fillRect(x(n) - half, from * k, half * 2, (to - from) * k + 0.3);
    });
    g.fillStyle = ink.panel;
    for (const pause of lane.pauses) g.fillRect(x(n) - half - 0.5, pause.y * k, half * 2 + 1, (pause.y2 - pause.y) * k);
  });
  for (const bar of bars) {
    g.fillStyle = bar.tell === "broken" ? ink.broken : ink[bar.tell];
    g.fillRect(2, bar.y * k - 1, w - 4, bar.tell === "broken" ? 3 : 1.5);
  }
}

function paintMapView() {
  if (!mapImage) return;
  const w = map.clientWidth, h = map.clientHeight, k = h / (data.height * view.zoom);
  mapPen.setTransform(1, 0, 0, 1, 0, 0);
  mapPen.drawImage(mapImage, 0, 0);
  mapPen.setTransform(ratio(), 0, 0, ratio(), 0, 0);
  mapPen.strokeStyle = ink.ink;
  mapPen.lineWidth = 1.5;
  mapPen.strokeRect(1.5, scroll.scrollTop * k + 1, w - 3, Math.max(8, view.height * k - 2));
  if (!view.ended) {
    mapPen.fillStyle = ink.now;
    mapPen.fillRect(0, view.now.y * view.zoom * k - 1, w, 2);
  }
}

function mapTo(event) {
  const y = (event.clientY - map.getBoundingClientRect().top) / map.clientHeight * data.height * view.zoom;
  scroll.scrollTop = y - view.height / 2;
}
map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); mapTo(event); });
map.addEventListener("pointermove", (event) => { if (event.buttons) mapTo(event); });
