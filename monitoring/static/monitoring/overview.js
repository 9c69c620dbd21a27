// The overview: six figures, servers, message rates, the busiest accounts, what happens.

import { chart } from "./chart.js";
import { chip, el, keyed, put } from "./dom.js";
import { line } from "./feed.js";
import { bytes, bytesRate, count, limited, percent, rate } from "./format.js";
import * as links from "./links.js";
import { page } from "./page.js";
import { live } from "./socket.js";
import { spark } from "./sparkline.js";

const LINES = 10;
const find = (name) => document.querySelector(`[data-nu-${name}]`);

// --- figures -----------------------------------------------------------------------------------

const sum = (some, others) => (some ?? []).map((value, at) => value + (others?.[at] ?? 0));

const FIGURES = {
  connections: (f) => [[count(f.connections)], `${count(f.subscriptions)} subscriptions`, (s) => s.connections],
  messages: (f) => [[rate(f.in_msgs_rate), rate(f.out_msgs_rate)], "", (s) => sum(s.in_msgs_rate, s.out_msgs_rate)],
  bytes: (f) => [[bytesRate(f.in_bytes_rate), bytesRate(f.out_bytes_rate)], "", (s) => sum(s.in_bytes_rate, s.out_bytes_rate)],
  jetstream: (f) => [
    [bytes(f.js_storage)],
    f.js_max_storage > 0 ? `${percent((100 * f.js_storage) / f.js_max_storage)} of ${bytes(f.js_max_storage)}` : "no limit known",
    (s) => s.js_storage,
    f.js_max_storage > 0 && f.js_storage / f.js_max_storage > 0.9,
  ],
  refused: (f) => [[count(f.auth_failures)], null, (s) => s.auth_failures, f.auth_failures > 0],
  slow: (f) => [[count(f.slow_consumers)], null, (s) => s.slow_consumers, f.slow_consumers > 0],
};

function figures(data) {
  for (const [name, of] of Object.entries(FIGURES)) {
    const box = document.querySelector(`[data-nu-figure="${name}"]`);
    if (!box) continue;
    const [values, small, line, alarm] = of(data.figures);
    box.querySelectorAll("[data-nu-value]").forEach((place, at) => put(place, values[at]));
    if (small !== null) put(box.querySelector("small"), small);
    box.classList.toggle("nu-alarm", Boolean(alarm));
    spark(box.querySelector("svg"), line(data.spark ?? {}));
  }
}

// --- servers and accounts ----------------------------------------------------------------------

function about(row) {
  if (row.state === "in_sync") return `${rate((row.in_msgs_rate ?? 0) + (row.out_msgs_rate ?? 0))} · CPU ${percent(row.cpu)}`;
  return row.detail || (row.revision && row.revision !== row.intended ? `r${row.revision} of r${row.intended}` : "");
}

function servers(list, rows) {
  const sorted = [...rows].sort((a, b) => a.server.localeCompare(b.server));
  put(find("servers-none"), sorted.length ? "" : "The relay has seen no server yet.");
  keyed(list, sorted, (row) => row.server, serverLine, (item, row) => {
    const now = item.querySelector(".nu-chip");
    if (item.dataset.state !== row.state) {
      now.replaceWith(chip(row.state));
      item.dataset.state = row.state;
    }
    put(item.querySelector("[data-nu-about]"), about(row));
    const first = item.firstElementChild;
    if (first.title !== (row.detail ?? "")) first.title = row.detail ?? "";
  });
}

function serverLine(row) {
  const href = links.live("servers", { server: row.server }) ?? links.server(row.server);
  return el("li", {}, el(href ? "a" : "span", { class: "nu-server", href }, chip(row.state), el("b", {}, row.server), el("span", { class: "nu-muted", "data-nu-about": true })));
}

/** Rows keep their places while somebody points at them or has the focus in them */
function accounts(body, rows) {
  let shown = rows;
  if (body.matches(":hover") || body.contains(document.activeElement)) {
    const places = new Map([...body.children].map((child, at) => [child.dataset.key, at]));
    shown = [...rows].sort((a, b) => (places.get(a.account) ?? 99) - (places.get(b.account) ?? 99));
  }
  keyed(body, shown, (row) => row.account, accountRow, (item, row) => {
    const cells = item.children;
    bar(cells[1], count(row.connections), row.connections, row.max_connections, count);
    put(cells[2], rate(row.in_msgs_rate));
    put(cells[3], rate(row.out_msgs_rate));
    bar(cells[4], bytes(row.js_storage), row.js_storage, row.js_max_storage, bytes);
  });
  find("accounts-none").hidden = rows.length > 0;
}

function accountRow(row) {
  const href = links.account(row.account_pk, row.account);
  const to = links.live("connections", { account: row.account });
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, href ? el("a", { class: "nu-link", href }, row.account) : row.account, row.owner ? el("span", { class: "nu-muted nu-owner" }, row.owner) : null),
    ...["", "", "", " nu-wideonly"].map((more) => el("td", { class: `nu-num${more}` })),
    el("td", { class: "nu-num" }, to ? el("a", { class: "nu-link", href: to, "aria-label": `Connections of ${row.account} now` }, "live") : null),
  );
}

function bar(cell, text, used, limit, say) {
  let [words, of, line] = cell.children;
  if (!words) {
    words = cell.appendChild(el("span", {}));
    of = cell.appendChild(el("span", { class: "nu-of" }));
    line = cell.appendChild(el("span", { class: "nu-bar", "aria-hidden": "true" }, el("i", {})));
  }
  const share = limited(limit) && limit > 0 ? (100 * (used ?? 0)) / limit : null;
  put(words, text);
  put(of, share === null ? "" : ` of ${say(limit)}`);
  line.hidden = share === null;
  if (share === null) return;
  line.firstElementChild.style.width = `${Math.min(100, share)}%`;
  line.classList.toggle("nu-near", share >= 80 && share < 95);
  line.classList.toggle("nu-full", share >= 95);
}

// --- the page ----------------------------------------------------------------------------------

if (page.watch.has("overview") && find("figures")) {
  const whole = { entity: "system", span: "10m" };
  const charts = [
    chart(find("chart-messages"), {
      ...whole,
      title: "Messages",
      metrics: [
        { name: "in_msgs_rate", label: "in", type: "rate" },
        { name: "out_msgs_rate", label: "out", type: "rate" },
      ],
    }),
    chart(find("chart-connections"), { ...whole, title: "Connections", metrics: [{ name: "connections", label: "open", type: "count" }], listed: false }),
  ];
  live.on("overview", (data, frame) => {
    figures(data);
    servers(find("servers"), data.servers ?? []);
    accounts(find("accounts"), data.accounts ?? []);
    for (const one of charts) one.append(Date.parse(frame.at) / 1000, data.figures);
    document.querySelectorAll("[data-nu-begun]").forEach((part) => (part.hidden = false));
    document.querySelectorAll("[data-nu-unbegun]").forEach((part) => (part.hidden = true));
  });
  if (page.watch.has("changes")) live.on("changes", (data) => charts.forEach((one) => one.mark(data.marks)));
}

function repeated(event) {
  const item = line(event, { brief: true });
  if (event.times > 1) item.querySelector("p").append(el("b", { class: "nu-times" }, `${count(event.times)} times`));
  Object.assign(item.dataset, { id: event.id, times: event.times });
  return item;
}

const feed = find("feed");
if (page.watch.has("events") && feed) {
  const same = (event) => `${event.kind} ${event.text}`;
  live.on("events", (data) => {
    if (feed.matches(":hover") || (feed.contains(document.activeElement) && document.activeElement !== document.body)) return; // nothing moves below the pointer
    const groups = new Map(); // the same again and again is one line
    for (const event of data.events ?? []) {
      const group = groups.get(same(event));
      if (group) group.times += 1;
      else if (groups.size < LINES) groups.set(same(event), { ...event, times: 1 });
    }
    const rows = [...groups.values()];
    feed.querySelectorAll("[data-painted]").forEach((item) => item.remove()); // ours have links, and the reader's clock
    keyed(feed, rows, same, repeated, (item, event) => {
      if (item.dataset.id !== event.id || item.dataset.times !== String(event.times)) item.replaceChildren(...repeated(event).children);
      Object.assign(item.dataset, { id: event.id, times: event.times });
    });
    find("feed-none").hidden = rows.length > 0;
  });
}
