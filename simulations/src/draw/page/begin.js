// Begins, when all the rest is there.

// For scripts/check-page.mjs: what is shown, and where a message is in the window.
window.drawing = {
  shown: () => messages.filter(shown).length,
  locate: (id) => {
    const m = messages.find((one) => one.id === id), box = scroll.getBoundingClientRect();
    scroll.scrollTop = (m.y + m.y2) / 2 * view.zoom - view.height / 2;
    scroll.scrollLeft = laneX((m.from + m.ends) / 2) - view.width / 2;
    // Off the middle, where lines of an exchange cross.
    const share = 0.3, x = laneX(m.from) + (laneX(m.ends) - laneX(m.from)) * share, y = m.y * view.zoom + (endY(m) - m.y * view.zoom) * share;
    return { x: box.left + x - scroll.scrollLeft, y: box.top + y - scroll.scrollTop };
  },
  zoom: zoomTo,
};

if (matchMedia("(max-width: 760px)").matches) $("legend").open = false;
readInk();
makeNames();
collectMoments();
// A huge run begins a little out: about sixty windows of paper.
view.zoom = Math.min(1, 60 * Math.max(400, scroll.clientHeight) / data.height);
measure();
collectRows();
setNow({ at: data.until }, false);
new ResizeObserver(() => { measure(); paintList(false, true); }).observe($("stage"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readInk(); paintMap(); repaint(); });
