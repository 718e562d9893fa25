"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const plot = document.getElementById("plot"), time = document.getElementById("time");
const ticks = document.getElementById("ticks"), tip = document.getElementById("tip");
const height = time.viewBox.baseVal.height, narrowest = Math.min(data.cycles, 64);
let first = 0, span = data.cycles, drag = null;

const grouped = n => Math.round(n).toLocaleString("en-US");

function show(begin, length) {
  span = Math.min(data.cycles, Math.max(narrowest, length));
  first = Math.min(data.cycles - span, Math.max(0, begin));
  time.setAttribute("viewBox", `${first} 0 ${span} ${height}`);
  const labels = ticks.children;
  for (let i = 0; i < labels.length; i++) labels[i].textContent = grouped(first + span * i / (labels.length - 1));
}

const share = event => {
  const box = time.getBoundingClientRect();
  return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
};
const zoom = (factor, at) => show(first + span * at * (1 - factor), span * factor);

function columnOf(cycle) {
  let low = 0, high = data.borders.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (data.borders[middle] <= cycle) low = middle; else high = middle - 1;
  }
  return low;
}

function countsAt(runs, column) {
  for (const [columns, ...pairs] of runs) {
    if (column < columns) return pairs;
    column -= columns;
  }
  return [];
}

function describe(cycle) {
  const column = columnOf(cycle), begin = data.borders[column], end = data.borders[column + 1];
  const layer = data.layers.find(([, from, to]) => cycle >= from && cycle < to);
  const lines = [`cycles ${grouped(begin)} to ${grouped(end - 1)}`, layer ? layer[0] : ""];
  for (const [unit, runs] of Object.entries(data.units)) {
    const pairs = countsAt(runs, column), parts = [];
    for (let i = 0; i < pairs.length; i += 2) parts.push([pairs[i + 1], data.causes[pairs[i]]]);
    parts.sort((a, b) => b[0] - a[0]);
    lines.push(`${unit}: ` + parts.map(([n, cause]) => `${cause} ${(100 * n / (end - begin)).toFixed(0)} %`).join(", "));
  }
  for (const [name, rates] of Object.entries(data.bus)) lines.push(`${name}: ${rates[column]} words a cycle`);
  return lines.join("\n");
}

plot.addEventListener("wheel", event => {
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.25 : 0.8, share(event));
}, { passive: false });
plot.addEventListener("pointerdown", event => {
  drag = { x: event.clientX, first };
  plot.setPointerCapture(event.pointerId);
});
plot.addEventListener("pointerup", () => { drag = null; });
plot.addEventListener("pointercancel", () => { drag = null; });
plot.addEventListener("dblclick", () => show(0, data.cycles));
plot.addEventListener("pointerleave", () => { tip.style.display = "none"; });
plot.addEventListener("pointermove", event => {
  if (drag) show(drag.first - (event.clientX - drag.x) / time.getBoundingClientRect().width * span, span);
  tip.textContent = describe(Math.min(data.cycles - 1, first + span * share(event)));
  tip.style.display = "block";
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
});
plot.addEventListener("keydown", event => {
  const moves = {
    "+": () => zoom(0.8, 0.5), "=": () => zoom(0.8, 0.5), "-": () => zoom(1.25, 0.5), "0": () => show(0, data.cycles),
    ArrowLeft: () => show(first - span / 8, span), ArrowRight: () => show(first + span / 8, span),
  };
  if (moves[event.key]) {
    event.preventDefault();
    moves[event.key]();
  }
});
