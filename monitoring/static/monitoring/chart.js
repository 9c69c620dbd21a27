// A chart of what was and is, with each revision as a mark: "what changed before it broke" is seen, not asked.
//
//   import { chart } from "./chart.js";
//   const one = chart(element, { entity: "system", title: "Messages", metrics: [{ name: "in_msgs_rate", label: "in", type: "rate" }] });
//   one.append(seconds, { in_msgs_rate: 12.5 });   one.mark(marks);   one.show("server:nunect-1");   one.destroy();
//
// All metrics of a chart have one type (of monitoring/tables.py): they share the axis.

import { el, put } from "./dom.js";
import { BY_TYPE, exact, short, bytes } from "./format.js";
import * as links from "./links.js";
import { get, page } from "./page.js";
import { live } from "./socket.js";
import uPlot from "./vendor/uplot/uPlot.esm.js";

const SPANS = [
  { key: "10m", word: "10 min", seconds: 600, step: 1 },
  { key: "1d", word: "1 day", seconds: 86_400, step: 10 },
  { key: "30d", word: "30 days", seconds: 30 * 86_400, step: 60 },
];
const AXIS = { rate: (v) => `${short(v)}/s`, bytes_rate: (v) => `${bytes(v)}/s`, bytes, count: short, percent: (v) => `${short(v)} %` };
const BINARY = new Set(["bytes", "bytes_rate"]);
const BINARY_STEPS = Array.from({ length: 54 }, (_, at) => 2 ** at);
const STEPS = Array.from({ length: 18 }, (_, at) => [1, 2, 5].map((digit) => digit * 10 ** (at - 3))).flat();
const WHOLE_STEPS = STEPS.filter(Number.isInteger);
const MOST_MARKS = 60; // drawn; the list below has them all
const AGAIN_MS = 5000;
const THIN = 32; // pixels between two labels of marks

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const hue = (at) => variable(`--nu-series-${(at % 4) + 1}`);

/** Buttons for the time that charts show: 10 minutes, a day, 30 days. Calls change(key) */
export function switcher(label, change, { span = "10m", spans = SPANS.map((one) => one.key) } = {}) {
  const group = el("div", { class: "nu-spans", role: "group", "aria-label": label });
  for (const one of SPANS.filter((known) => spans.includes(known.key))) {
    const button = el("button", { type: "button", class: "nu-span", "aria-pressed": String(one.key === span) }, one.word);
    button.addEventListener("click", () => {
      for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
      change(one.key);
    });
    group.append(button);
  }
  return group;
}

/** spans: [] for none of its own switch; listed: whether the revisions stand below it, too */
export function chart(element, { entity, metrics, title, high = 220, span = "10m", spans = SPANS.map((one) => one.key), listed = true }) {
  let now = SPANS.find((one) => one.key === span);
  let step = now.step;
  let points = metrics.map(() => []);
  let times = [];
  let marks = new Map();
  let plot = null;
  let wanted = 0; // of an animation frame
  let again = 0;
  let failures = 0;
  let asking = null;
  let hovered = null;

  // --- around the canvas ---
  const values = metrics.map(() => el("b", {}));
  const legend = el(
    "ul",
    { class: "nu-legend" },
    metrics.map((metric, at) =>
      el("li", {}, el("span", { class: `nu-swatch nu-series-${(at % 4) + 1}`, "aria-hidden": "true" }), `${metric.label} `, values[at]),
    ),
  );
  const when = el("span", { class: "nu-muted nu-when" });
  const group = spans.length ? switcher(`Time shown in ${title}`, (key) => change(key), { span, spans }) : null;
  const heading = el("div", { class: "nu-charthead" }, el("h2", {}, title), legend, when, group);
  const box = el("div", { class: "nu-plot", role: "img" });
  box.style.height = `${high}px`;
  const note = el("p", { class: "nu-muted nu-chartnote", hidden: true });
  const count = el("summary", {});
  const list = el("ul", { class: "nu-list" });
  const below = el("details", { class: "nu-marks", hidden: true }, count, list);
  element.replaceChildren(heading, box, note, below);

  function change(key) {
    now = SPANS.find((one) => one.key === key);
    load();
  }

  // --- data ---
  async function load() {
    asking?.abort();
    asking = new AbortController();
    clearTimeout(again);
    const mine = asking;
    try {
      const told = await get(page.series, { entity, span: now.key, metrics: metrics.map((metric) => metric.name).join(",") }, mine.signal);
      if (mine !== asking) return;
      step = told.step_s || now.step;
      times = told.points.map((point) => point[0]);
      points = metrics.map((_, at) => told.points.map((point) => point[at + 1]));
      for (const mark of told.marks ?? []) marks.set(mark.number, mark);
      failures = 0;
      say("");
    } catch (error) {
      if (error.name === "AbortError" || mine !== asking) return;
      failures += 1;
      say(`The past can't be shown: ${error.message}`);
      again = setTimeout(load, Math.min(60_000, AGAIN_MS * 2 ** (failures - 1)));
      step = now.step;
    }
    listMarks();
    draw();
  }

  function say(text) {
    note.hidden = !text;
    put(note, text);
  }

  function append(seconds, told) {
    const at = Math.floor(seconds);
    const last = times.length ? times[times.length - 1] : 0;
    if (at <= last - step) return; // the clock of another relay
    if (times.length && at < last + step) {
      metrics.forEach((metric, row) => (points[row][times.length - 1] = told[metric.name] ?? null));
    } else {
      times.push(at);
      metrics.forEach((metric, row) => points[row].push(told[metric.name] ?? null));
    }
    const from = at - now.seconds;
    let cut = 0;
    while (cut < times.length && times[cut] < from) cut += 1;
    if (cut) {
      times = times.slice(cut);
      points = points.map((row) => row.slice(cut));
    }
    draw();
  }

  /** Where nothing was seen the line has a gap, not a bridge */
  function withGaps() {
    const wide = step * 3;
    const x = [];
    const rows = metrics.map(() => []);
    times.forEach((at, index) => {
      if (index && at - times[index - 1] > wide) {
        x.push(times[index - 1] + step);
        rows.forEach((row) => row.push(null));
      }
      x.push(at);
      rows.forEach((row, which) => row.push(points[which][index] ?? null));
    });
    return [x, ...rows];
  }

  // --- drawing ---
  function draw() {
    if (wanted) return;
    wanted = requestAnimationFrame(() => {
      wanted = 0;
      if (!box.clientWidth) return;
      if (!plot) plot = new uPlot(options(), withGaps(), box);
      else plot.setData(withGaps());
      speak();
    });
  }

  const type = metrics[0].type;
  const format = BY_TYPE[type];

  function options() {
    const line = () => variable("--nu-line");
    const calm = () => variable("--nu-calm");
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    return {
      width: box.clientWidth,
      height: high,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false, setScale: false } },
      scales: {
        x: { time: true, range: () => [page.now() / 1000 - now.seconds, page.now() / 1000] },
        y: { range: (_, low, top) => [Math.min(0, low ?? 0), (top > 0 ? top : 1) * 1.12] },
      },
      axes: [
        {
          stroke: calm, grid: { show: false }, ticks: { stroke: line, size: 4, width: 1 }, size: 28, font, space: 70,
          values: (_, splits, __, ___, gap) => splits.map((at) => axisTime(at, gap)),
        },
        {
          stroke: calm, grid: { stroke: line, width: 1 }, ticks: { show: false }, font, space: 36,
          size: (_, labels) => 14 + 7 * Math.max(3, ...(labels ?? []).map((label) => label.length)),
          values: (_, splits) => splits.map(AXIS[type]),
          incrs: BINARY.has(type) ? BINARY_STEPS : type === "count" ? WHOLE_STEPS : STEPS,
        },
      ],
      series: [
        {},
        ...metrics.map((metric, at) => ({
          label: metric.label, stroke: () => hue(at), width: 1.5, spanGaps: false, points: { show: false },
          fill: at === 0 ? () => `color-mix(in srgb, ${hue(0)} 10%, transparent)` : undefined,
        })),
      ],
      hooks: {
        setCursor: [
          (one) => {
            hovered = one.cursor.idx ?? null;
            if (one.cursor.left < 0) hovered = null;
            speak();
          },
        ],
        draw: [place],
      },
    };
  }

  /** The legend says the last value; while the pointer is over the chart, the one below it */
  function speak() {
    const data = plot?.data;
    const last = data ? data[0].length - 1 : -1;
    const at = hovered ?? last;
    metrics.forEach((_, row) => put(values[row], at >= 0 ? format(data[row + 1][at]) : "–"));
    put(when, hovered === null || at < 0 ? "" : `at ${moment(data[0][at])}`);
    const told = metrics.map((metric, row) => `${metric.label} ${last >= 0 ? format(data[row + 1][last]) : "unknown"}`);
    const label = `${title}, the last ${now.word}: now ${told.join(", ")}. ${shown().length} revisions marked.`;
    if (hovered === null && box.getAttribute("aria-label") !== label) box.setAttribute("aria-label", label);
  }

  const moment = (seconds) => new Date(seconds * 1000).toLocaleString("en-GB", now.seconds > 86_400 ? { dateStyle: "short", timeStyle: "short" } : { timeStyle: "medium" });

  function axisTime(at, gap) {
    const date = new Date(at * 1000);
    if (gap >= 86_400) return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    const text = date.toLocaleTimeString("en-GB", gap < 60 ? {} : { hour: "2-digit", minute: "2-digit" });
    const midnight = date.getHours() === 0 && date.getMinutes() === 0;
    return midnight && now.seconds > 600 ? date.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) : text;
  }

  // --- marks ---
  function shown() {
    const from = page.now() / 1000 - now.seconds;
    return [...marks.values()].filter((one) => Date.parse(one.at) / 1000 >= from).sort((a, b) => b.number - a.number);
  }

  let layer = null;

  function place(one) {
    layer ??= one.over.appendChild(el("div", { class: "nu-marklayer" }));
    const list = shown().slice(0, MOST_MARKS);
    const width = one.over.clientWidth;
    const old = new Map([...layer.children].map((child) => [child.dataset.number, child]));
    let before = Infinity;
    for (const mark of list) {
      const left = one.valToPos(Date.parse(mark.at) / 1000, "x");
      if (left < 0 || left > width) continue;
      let line = old.get(String(mark.number));
      old.delete(String(mark.number));
      if (!line) {
        const href = mark.url ?? links.revision(mark.number);
        // the list below is for the keyboard and for those who hear the page; this is for the pointer
        line = el(href ? "a" : "span", { class: "nu-mark", href, tabindex: "-1", "aria-hidden": "true" });
        line.dataset.number = mark.number;
        line.append(el("i", {}, `r${mark.number}`), el("span", { class: "nu-marktip" }, el("b", {}, `r${mark.number} · ${mark.who}`), el("br"), mark.text || "Nothing that the conf says has changed.", el("br"), el("span", { class: "nu-muted" }, exact(mark.at))));
        layer.append(line);
      }
      line.style.left = `${left}px`;
      line.classList.toggle("nu-left", left > width / 2);
      const edge = left > width - THIN; // its label stands to the left of its line
      line.classList.toggle("nu-edge", edge);
      const room = before - left > THIN;
      line.classList.toggle("nu-bare", !room);
      if (room) before = edge ? left - THIN : left;
    }
    for (const gone of old.values()) gone.remove();
  }

  function listMarks() {
    const all = shown();
    below.hidden = !listed || !all.length;
    if (!listed) return;
    put(count, all.length === 1 ? "1 revision in this time" : `${all.length} revisions in this time`);
    list.replaceChildren(
      ...all.slice(0, 200).map((mark) => {
        const href = mark.url ?? links.revision(mark.number);
        const name = `r${mark.number}`;
        return el("li", {}, el("div", { class: "nu-row" }, href ? el("a", { class: "nu-link", href }, name) : el("span", {}, name), el("span", {}, mark.who), el("time", { class: "nu-muted nu-push", datetime: mark.at }, exact(mark.at))), el("div", { class: "nu-mono nu-two" }, mark.text));
      }),
    );
  }

  function mark(told) {
    let fresh = false;
    for (const one of told ?? []) {
      fresh ||= !marks.has(one.number);
      if (!marks.has(one.number)) marks.set(one.number, one);
    }
    if (!fresh) return;
    listMarks();
    draw();
  }

  // --- the page around it ---
  const resized = new ResizeObserver(() => {
    if (plot && box.clientWidth) plot.setSize({ width: box.clientWidth, height: high });
    else draw();
  });
  resized.observe(box);
  const themed = new MutationObserver(() => plot?.redraw(false));
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  const slides = setInterval(() => document.hidden || draw(), 1000); // time goes on where no value comes
  let was = "";
  const unwatch = live.onStatus(({ kind }) => {
    const healed = kind === "live" && was && was !== "live";
    was = kind;
    if (healed) load(); // what happened in between
  });
  load();

  return {
    append,
    mark,
    show(other) {
      entity = other;
      times = [];
      points = metrics.map(() => []);
      marks = new Map();
      load();
    },
    span: change,
    reload: load,
    destroy() {
      asking?.abort();
      clearTimeout(again);
      clearInterval(slides);
      cancelAnimationFrame(wanted);
      resized.disconnect();
      themed.disconnect();
      unwatch();
      plot?.destroy();
      element.replaceChildren();
    },
  };
}
