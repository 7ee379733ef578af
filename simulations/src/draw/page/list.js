// The list: only the rows in sight are in the document.

const ROW = 44;
let listed = [];
const rowText = (row) => row.lane === null ? row.text : `${place(row.lane)}: ${row.text}`;

function collectRows() {
  listed = rows;
  if ($("talk").checked) {
    const said = messages.filter((m) => !m.chatter && shown(m)).map((m) => ({
      at: m.at, tell: "message", lane: null, message: m,
      text: `${data.names[m.name]} ${place(m.from)} → ${place(m.to)}${m.lost ? ", lost" : ""}${data.details[m.detail] ? ": " + data.details[m.detail] : ""}`,
    }));
    listed = rows.concat(said).sort((a, b) => a.at - b.at);
  }
  list.firstElementChild.style.height = listed.length * ROW + "px";
  paintList(true, true);
}

const SVG = "http://www.w3.org/2000/svg";
function rowIcon(row) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 18 18");
  svg.setAttribute("aria-hidden", "true");
  const add = (tag, attributes) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    svg.append(made);
  };
  if (row.tell === "mark") {
    const glyph = glyphs[row.sign], plain = glyph.tone === "plain", scale = plain ? 0.85 : 0.62;
    if (!plain) add("circle", { cx: 9, cy: 9, r: 8, class: glyph.tone });
    add("path", { d: glyph.path, "fill-rule": "evenodd", class: plain ? "plain" : glyph.tone === "bad" ? "light" : "dark", transform: `translate(${9 - 8 * scale} ${9 - 8 * scale}) scale(${scale})` });
  } else if (row.tell === "parted" || row.tell === "joined") {
    add("rect", { x: 6, y: 1, width: 6, height: 16, class: "wall" });
    if (row.tell === "parted") add("path", { d: "M6 8L12 3M6 14L12 9", class: "hatch" });
    else add("path", { d: "M1 9H17", class: "wire" });
  } else if (row.tell === "message") {
    add("path", { d: row.message.lost ? "M2 6L12 11M10 8L15 14M15 8L10 14" : "M2 5L15 12M15 12L10.5 12.2M15 12L12.2 8.4", class: row.message.lost ? "cross" : "wire" });
  } else if (row.tell === "agreed") {
    add("path", { d: "M3 6.5H15M3 11.5H15", class: "agreedline" });
  } else if (row.tell === "healed") {
    add("path", { d: "M1 9H17", class: "healed" });
  } else {
    add("rect", { x: 1, y: 5, width: 16, height: 8, class: "broken" });
  }
  return svg;
}

let listPainted = "";
function paintList(follow, anew) {
  const here = search(listed, (row) => row.at > view.now.at) - 1;
  const high = list.clientHeight;
  if (follow && !view.ended && here >= 0) {
    const y = here * ROW;
    if (y < list.scrollTop || y + ROW > list.scrollTop + high) list.scrollTop = y - high / 2;
  }
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(listed.length, Math.ceil((list.scrollTop + high) / ROW) + 4);
  const key = `${first} ${last} ${here} ${view.ended}`;
  if (key === listPainted && !anew) return;
  listPainted = key;
  const focused = document.activeElement && document.activeElement.dataset.row;
  list.firstElementChild.replaceChildren(...listed.slice(first, last).map((row, i) => {
    const number = first + i, item = element("li", row.tell), button = element("button");
    item.style.top = number * ROW + "px";
    if (number > here && !view.ended) item.classList.add("later");
    if (number === here && !view.ended) { item.classList.add("here"); button.setAttribute("aria-current", "true"); }
    const words = element("span", "words");
    words.append(element("span", "when", moment(row.at)));
    if (row.lane !== null) words.append(element("b", "", place(row.lane) + " "));
    words.append(row.text);
    button.append(rowIcon(row), words);
    button.title = rowText(row);
    button.dataset.row = number;
    button.addEventListener("click", () => { pause(); setNow({ at: row.at }); });
    item.append(button);
    return item;
  }));
  if (focused !== undefined) { // repainting would lose the place of who goes by keyboard
    const again = list.querySelector(`[data-row="${CSS.escape(focused)}"]`);
    if (again) again.focus({ preventScroll: true });
  }
}
list.addEventListener("scroll", () => paintList(false), { passive: true });
$("talk").addEventListener("change", collectRows);
