// Makes a report interactive: it switches axes, isolates methods, shows values under the pointer and sorts tables.
// Without it the page shows the first axis of each panel. How panels are drawn is said in drawing.py, and repeated here.
"use strict";

const { methods, panels, box } = JSON.parse(document.getElementById("data").textContent);
const FRAME_RIGHT = box.width - box.right, FLOOR = box.height - box.bottom;
const chosen = { x: null, y: null, scale: null };
const picked = new Set();

document.documentElement.classList.add("scripted");
for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;

// ---- places of values

const inUnits = (scale, value) => (scale.log ? Math.log10(value) : value);

function at(scale, value) {
  if (value === null || value > scale.high * (1 + 1e-9)) return scale.above || value === null ? 2 : 1;
  if (value < scale.low) return scale.below ? -1 : 0;
  const low = inUnits(scale, scale.low), high = inUnits(scale, scale.high);
  return high > low ? (inUnits(scale, value) - low) / (high - low) : 0.5;
}

const left = (scale, value) => box.left + at(scale, value) * (FRAME_RIGHT - box.left);

function top_(scale, value) {
  const place = at(scale, value);
  const first = FLOOR - (scale.below ? box.band : 0), last = box.top + (scale.above ? box.band : 0);
  if (place < 0) return first + box.inBand;
  if (place > 1) return last - box.inBand;
  return first + place * (last - first);
}

function view(panel) {
  const x = Math.max(0, panel.xs.findIndex((axis) => axis.name === chosen.x));
  // Profiles have a y axis for each of their x axes.
  const wanted = panel.paired ? panel.xs[x].name : chosen.y;
  const y = Math.max(0, panel.ys.findIndex((axis) => axis.name === wanted));
  const scales = panel.ys[y].scales;
  const scale = scales.find((each) => chosen.scale && each.log === (chosen.scale === "log")) || scales[0];
  return { x, y, xAxis: panel.xs[x], yAxis: panel.ys[y], xScale: panel.xs[x].scales[0], yScale: scale };
}

// ---- drawing

const pathOf = (points) => "M" + points.map(([x, y]) => x.toFixed(1) + "," + y.toFixed(1)).join("L");

function pointsOf(panel, series, seen, which) {
  const points = series.xs[seen.x].map((x, i) => [left(seen.xScale, x), top_(seen.yScale, series.ys[seen.y][which][i])]);
  if (!panel.step) return points;
  return points.flatMap((point, i) => (i ? [[point[0], points[i - 1][1]], point] : [point]));
}

function made(parent, tag, attributes, words) {
  const element = document.createElementNS(parent.namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (words !== undefined) element.textContent = words;
  parent.append(element);
}

function drawFrame(group, seen) {
  const { xAxis, yAxis, xScale, yScale } = seen;
  const text = (words, x, y, kind) => made(group, "text", { class: kind, x: x.toFixed(1), y: y.toFixed(1) }, words);
  group.replaceChildren();
  for (const [there, y, words, place] of [
    [yScale.above, box.top, yAxis.above, box.top + 11], [yScale.below, FLOOR - box.band, yAxis.below, FLOOR - 4],
  ]) {
    if (!there) continue;
    made(group, "rect", { class: "beyond", x: box.left, y, width: FRAME_RIGHT - box.left, height: box.band });
    text(words, box.left + 4, place, "within");
  }
  yScale.ticks.forEach((tick, i) => {
    const y = top_(yScale, tick);
    made(group, "path", { class: "grid", d: `M${box.left},${y}H${FRAME_RIGHT}` });
    text(yScale.labels[i], box.left - 5, y + 4, "tick end-of");
  });
  xScale.ticks.forEach((tick, i) => {
    const x = left(xScale, tick);
    made(group, "path", { class: "grid", d: `M${x},${box.top}V${FLOOR}` });
    text(xScale.labels[i], x, FLOOR + 15, "tick middle");
  });
  made(group, "path", { class: "axis", d: `M${box.left},${box.top}V${FLOOR}H${FRAME_RIGHT}` });
  text(yAxis.label, 2, 14, "label");
  text(xAxis.label, (box.left + FRAME_RIGHT) / 2, FLOOR + 34, "label middle");
  if (yAxis.guide !== null && yScale.low <= yAxis.guide && yAxis.guide <= yScale.high) {
    const y = top_(yScale, yAxis.guide);
    made(group, "path", { class: "guide", d: `M${box.left},${y}H${FRAME_RIGHT}` });
    text(yAxis.guided, box.left + 4, y - 3, "within");
  }
}

// Heights in rising order, moved apart to steps of at least `step`, each group around its mean.
function apart(heights, step) {
  const lowest = (group) => {
    const room = step * (group.length - 1), mean = group.reduce((a, b) => a + b, 0) / group.length;
    return Math.max(0, Math.min(mean - room / 2, 1 - room));
  };
  const groups = [];
  for (const height of heights) {
    groups.push([height]);
    while (groups.length > 1) {
      const last = groups.at(-1), before = groups.at(-2);
      if (lowest(last) >= lowest(before) + step * before.length) break;
      groups.splice(-2, 2, before.concat(last));
    }
  }
  return groups.flatMap((group) => group.map((_, i) => lowest(group) + step * i));
}

function draw(svg, panel) {
  const seen = view(panel), room = FLOOR - box.top;
  drawFrame(svg.querySelector(".frame"), seen);
  const ends = panel.series.map((series) => pointsOf(panel, series, seen, 1).at(-1));
  const order = ends.map((_, i) => i).sort((a, b) => ends[a][1] - ends[b][1] || a - b);
  const moved = apart(order.map((i) => (ends[i][1] - box.top) / room), Math.min(1, box.step / room));
  panel.series.forEach((series, i) => {
    const group = svg.querySelector(`[data-method="${series.method}"]`);
    const set = (kind, name, value) => group.querySelector(kind)?.setAttribute(name, value);
    set(".line", "d", pathOf(pointsOf(panel, series, seen, 1)));
    const band = [...pointsOf(panel, series, seen, 0), ...pointsOf(panel, series, seen, 2).reverse()];
    set(".spread", "d", pathOf(band) + "Z");
    let marked = ends[i];
    if (panel.key && !panel.step) {
      const middle = series.ys[seen.y][1].map((y) => (y === null ? Infinity : y));
      const most = seen.yAxis.name === "score" ? middle.map((y) => (isFinite(y) ? -y : Infinity)) : middle;
      const best = most.indexOf(Math.min(...most));
      marked = [left(seen.xScale, series.xs[seen.x][best]), top_(seen.yScale, series.ys[seen.y][1][best])];
    } else if (!panel.key) {
      const height = box.top + moved[order.indexOf(i)] * room;
      set(".lead", "d", `M${ends[i][0] + 4},${ends[i][1]}L${FRAME_RIGHT + 12},${height}`);
      set(".name", "y", height + 4);
    }
    set(".mark", "transform", `translate(${marked[0]},${marked[1]})`);
  });
}

const drawings = [...document.querySelectorAll("svg.panel")].map((svg) => [svg, panels[svg.dataset.panel]]);

for (const input of document.querySelectorAll(".bar input")) {
  if (input.checked) chosen[input.name] = input.value;
  input.addEventListener("change", () => {
    chosen[input.name] = input.value;
    for (const [svg, panel] of drawings) draw(svg, panel);
  });
}

// ---- isolating methods

function pick(method) {
  if (picked.has(method)) picked.delete(method);
  else picked.add(method);
  for (const chip of document.querySelectorAll(".chip[data-pick]")) {
    chip.setAttribute("aria-pressed", picked.has(Number(chip.dataset.pick)));
  }
  for (const curve of document.querySelectorAll(".curve")) {
    const here = picked.has(Number(curve.dataset.method));
    curve.classList.toggle("picked", here);
    curve.classList.toggle("hushed", picked.size > 0 && !here);
  }
  document.getElementById("all").hidden = picked.size === 0;
}

for (const chip of document.querySelectorAll(".chip[data-pick]")) {
  chip.addEventListener("click", () => pick(Number(chip.dataset.pick)));
}
document.getElementById("all").addEventListener("click", () => [...picked].forEach(pick));

// ---- values under the pointer

const shown = (value, above) => (value === null ? above : Number(value.toPrecision(4)).toString().replace("e+", "e"));

function nearest(panel, seen, x, y) {
  let found = null;
  panel.series.forEach((series) => {
    if (picked.size && !picked.has(series.method)) return;
    series.xs[seen.x].forEach((value, i) => {
      const [px, py] = [left(seen.xScale, value), top_(seen.yScale, series.ys[seen.y][1][i])];
      const far = 4 * Math.abs(px - x) + Math.abs(py - y);
      if (found === null || far < found.far) found = { far, series, i, px, py };
    });
  });
  return found;
}

for (const [svg, panel] of drawings) {
  const tip = document.createElement("div"), cursor = svg.querySelector(".cursor");
  tip.className = "tip";
  tip.hidden = true;
  svg.after(tip);
  const leave = () => {
    tip.hidden = true;
    cursor.setAttribute("hidden", "hidden");
    svg.querySelector(".near")?.classList.remove("near");
  };
  const move = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    svg.querySelector(".near")?.classList.remove("near");
    if (place.x < box.left - 8 || place.x > FRAME_RIGHT + 8 || place.y < box.top || place.y > FLOOR) {
      const curve = event.target.closest?.(".curve");
      leave();
      curve?.classList.add("near");
      return;
    }
    const seen = view(panel), found = nearest(panel, seen, place.x, place.y);
    if (found === null) return;
    svg.querySelector(`[data-method="${found.series.method}"]`).classList.add("near");
    for (const [name, value] of [["x1", found.px], ["x2", found.px], ["y1", box.top], ["y2", FLOOR]]) {
      cursor.setAttribute(name, value);
    }
    cursor.removeAttribute("hidden");
    const [low, middle, high] = found.series.ys[seen.y].map((line) => line[found.i]);
    const strong = document.createElement("strong");
    strong.textContent = methods[found.series.method];
    const many = low !== middle || middle !== high, none = "diverged";
    tip.replaceChildren(
      strong, `, ${found.series.note}`, document.createElement("br"),
      `${seen.xAxis.short} ${shown(found.series.xs[seen.x][found.i])}: ${seen.yAxis.short} ${shown(middle, none)}`,
      many ? ` (${shown(low, none)} to ${shown(high, none)})` : "",
    );
    tip.hidden = false;
    const figure = svg.parentElement.getBoundingClientRect();
    const x = event.clientX - figure.left + 14, y = event.clientY - figure.top + 14;
    tip.style.left = `${Math.max(0, Math.min(x, figure.width - tip.offsetWidth))}px`;
    tip.style.top = `${y}px`;
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("click", (event) => {
    const curve = event.target.closest(".curve");
    if (curve && event.target.matches(".name, .lead, .end")) pick(Number(curve.dataset.method));
  });
}

// ---- sorting tables

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
      const numeric = [...table.tBodies[0].rows].every((row) => row.cells[column].dataset.key !== undefined);
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (!numeric) return x.localeCompare(y);
        return Number(x) === Number(y) ? 0 : Number(x) - Number(y);
      });
      table.tBodies[0].append(...(falling ? rows.reverse() : rows));
    });
  });
}
