// What changed, and what the servers did after it: revisions as marks on each chart.

import { chart, switcher } from "./chart.js";
import { chip, el, put } from "./dom.js";
import { ago, count, exact } from "./format.js";
import * as links from "./links.js";
import { page } from "./page.js";
import { live } from "./socket.js";
import { MESSAGES } from "./traffic.js";

const find = (name) => document.querySelector(`[data-nu-${name}]`);
const CHARTS = {
  messages: { title: "Messages", metrics: MESSAGES },
  connections: { title: "Connections", metrics: [{ name: "connections", label: "open", type: "count" }] },
  auth_failures: { title: "Refused logins", metrics: [{ name: "auth_failures", label: "refused", type: "count" }] },
  slow_consumers: { title: "Slow consumers", metrics: [{ name: "slow_consumers", label: "slow", type: "count" }] },
};

const charts = [];
if (page.watch.has("overview")) {
  for (const [name, options] of Object.entries(CHARTS)) {
    const place = document.querySelector(`[data-nu-chart="${name}"]`);
    if (place) charts.push(chart(place, { entity: "system", high: 180, spans: [], listed: false, ...options }));
  }
  find("spans").append(switcher("Time shown in the charts", (key) => charts.forEach((one) => one.span(key))));
  live.on("overview", (data, frame) => charts.forEach((one) => one.append(Date.parse(frame.at) / 1000, data.second ?? {})));
}

const list = find("revisions");

function revision(mark) {
  const href = links.revision(mark.number);
  const name = `r${mark.number}`;
  const time = el("time", { class: "nu-muted nu-push", datetime: mark.at, title: exact(mark.at) }, ago(mark.at, page.now()));
  return el("li", {}, el("div", { class: "nu-row" }, href ? el("a", { class: "nu-link", href }, name) : name, el("span", {}, mark.who), time), mark.text ? el("div", { class: "nu-mono nu-two" }, mark.text) : null);
}

let state = "";
live.on("changes", (data) => {
  if (state !== data.state) find("state").replaceChildren(chip(data.state));
  state = data.state;
  put(find("revision"), data.revision ? `r${data.revision}` : "–");
  put(find("behind"), count(Math.max(0, (data.wanted ?? 0) - (data.done ?? 0))));
  put(find("holds"), count(data.holds));
  put(find("drifts"), count(data.drifts));
  find("problem-box").hidden = !data.problem;
  put(find("problem-text"), data.problem ?? "");
  charts.forEach((one) => one.mark(data.marks));
  // what the server painted says more of each revision; new ones come on top of it
  const shown = new Set([...list.children].map((item) => Number(item.dataset.key)));
  const fresh = (data.marks ?? []).filter((mark) => !shown.has(mark.number)).sort((a, b) => a.number - b.number);
  for (const mark of fresh) {
    const item = revision(mark);
    item.dataset.key = mark.number;
    const below = [...list.children].find((other) => Number(other.dataset.key) < mark.number);
    list.insertBefore(item, below ?? null);
  }
  find("revisions-none").hidden = list.children.length > 0;
});

setInterval(() => {
  for (const time of list.querySelectorAll("time")) put(time, ago(time.dateTime, page.now()));
}, 5000);
