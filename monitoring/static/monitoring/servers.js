// The servers: whether they hold what the rows say, and how much they carry.

import { bar, firstStep, NONE, stateChip, useColumn, when } from "./cells.js";
import { facts, factList, openDrawer, section, tellState, ways } from "./drawer.js";
import { chip, el } from "./dom.js";
import { bytes, bytesRate, count, duration, exact, percent, rate } from "./format.js";
import * as links from "./links.js";
import { page } from "./page.js";
import { Table } from "./table.js";
import { traffic } from "./traffic.js";

const uptime = (row) => (row.started_at ? duration((page.now() - Date.parse(row.started_at)) / 1000) : NONE);
const holds = (row) => (!row.revision ? NONE : row.revision === row.intended || !row.intended ? `r${row.revision}` : `r${row.revision} of r${row.intended}`);

const SHORT = { foreign: "foreign" };
/** Version and uptime, below a server's name */
const below = (row) => [row.version, row.started_at ? `up ${uptime(row)}` : ""].filter(Boolean).join(", ");

const COLUMNS = {
  server: {
    title: "Server",
    type: "text",
    width: 128,
    always: true,
    text: (value, row) => `${value} ${below(row)}`,
    hint: (row) => `${row.server} · ${row.id}`,
    paint: (row) => el("span", { class: "nt-two" }, el("b", {}, row.server), el("span", { class: "nu-muted" }, below(row))),
  },
  state: { title: "State", type: "text", width: 112, text: (value, row) => `${value} ${row.detail}`, hint: (row) => row.detail, paint: (row) => stateChip(row.state, row.detail, SHORT[row.state]) },
  revision: { title: "Holds", name: "Revision", type: "count", width: 72, text: (_, row) => holds(row), help: "The revision that it runs, and the one that it should" },
  connections: { title: "Connections", type: "count", width: 82 },
  in_msgs_rate: { title: "In", name: "Messages in", type: "rate", width: 60, help: "Messages a second from clients" },
  out_msgs_rate: { title: "Out", name: "Messages out", type: "rate", width: 60, help: "Messages a second to clients" },
  in_bytes_rate: { title: "Bytes in", type: "bytes_rate", width: 96 },
  out_bytes_rate: { title: "Bytes out", type: "bytes_rate", width: 96 },
  cpu: { title: "CPU", type: "percent", width: 46, help: "Of one core", hint: (row) => (row.cores ? `of one core; it has ${row.cores}` : "of one core") },
  rss: { title: "Memory", type: "bytes", width: 62 },
  js_storage: useColumn("js_storage", "js_max_storage", "Storage", bytes, { width: 144, help: "JetStream on disk" }),
  js_memory: useColumn("js_memory", "js_max_memory", "Memory streams", bytes, { width: 144, help: "JetStream in memory" }),
  subscriptions: { title: "Subscriptions", type: "count", width: 112 },
  slow_consumers: { title: "Slow", name: "Slow consumers", type: "count", width: 66, help: "Clients that were cut off for being too slow" },
  total_connections: { title: "Ever connected", type: "count", width: 120 },
  version: { title: "Version", type: "text", width: 80 },
  started_at: { title: "Up for", type: "time", width: 92, text: (_, row) => uptime(row), hint: (row) => `since ${exact(row.started_at)}` },
  seen_at: { title: "Seen", type: "time", width: 86, hint: (row) => exact(row.seen_at) },
  host: { title: "Host", type: "text", width: 110 },
  cluster: { title: "Cluster", type: "text", width: 90 },
  cores: { title: "Cores", type: "count", width: 66 },
  digest: { title: "Digest", type: "text", width: 110 },
};

function open(row, { now, closed }) {
  const figures = factList("nt-figures");
  const limits = factList("nt-limits");
  const list = factList();
  const state = el("div", { class: "nt-state" });
  const draw = () => {
    const fresh = now();
    tellState(state, chip(fresh.state), fresh.detail);
    facts(figures, [
      ["Connections", count(fresh.connections)],
      ["Messages in", rate(fresh.in_msgs_rate)],
      ["Messages out", rate(fresh.out_msgs_rate)],
      ["Bytes in", bytesRate(fresh.in_bytes_rate)],
      ["Bytes out", bytesRate(fresh.out_bytes_rate)],
      ["CPU, of one core", percent(fresh.cpu)],
      ["Memory", bytes(fresh.rss)],
      ["Slow consumers", count(fresh.slow_consumers)],
    ]);
    facts(limits, [
      ["On disk", bar(fresh.js_storage, fresh.js_max_storage, bytes)],
      ["In memory", bar(fresh.js_memory, fresh.js_max_memory, bytes)],
    ]);
    facts(list, [
      ["Holds", el("span", {}, holds(fresh))],
      ["Should hold", fresh.intended ? `r${fresh.intended}` : null],
      ["Version", fresh.version],
      ["Up for", when(fresh.started_at, uptime(fresh)) ?? NONE],
      ["Seen", when(fresh.seen_at) ?? NONE],
      ["Host", fresh.host],
      ["Cluster", fresh.cluster],
      ["Cores", count(fresh.cores)],
      ["Subscriptions", count(fresh.subscriptions)],
      ["Ever connected", count(fresh.total_connections)],
      ["Id", el("code", {}, fresh.id)],
      ["Digest", fresh.digest ? el("code", {}, fresh.digest) : null],
    ]);
  };
  const drawer = openDrawer({ title: row.server, about: [el("span", {}, row.version ? `nats-server ${row.version}` : "")], closed, again: draw });
  const picture = el("div", { class: "nt-chart" });
  drawer.body.append(
    state,
    figures,
    ways([
      [links.live("connections", { server: row.server }), "Its connections", "cable"],
      [links.server(row.server), "Server in the admin", "dns"],
      [links.revision(row.revision), `Revision ${row.revision}`, "flag"],
    ]),
    picture,
    section("JetStream", limits),
    list,
  );
  draw();
  traffic(drawer, picture, `server:${row.server}`);
}

new Table(document.getElementById("nt-table"), {
  name: "servers",
  one: "server",
  many: "servers",
  columns: COLUMNS,
  defaults: ["server", "state", "revision", "connections", "in_msgs_rate", "out_msgs_rate", "cpu", "rss", "js_storage"],
  wide: ["in_bytes_rate", "out_bytes_rate", "js_memory", "slow_consumers"],
  ordering: "server",
  filters: ["server", "state", "cluster", "version", "host"],
  values: { state: ["in_sync", "pending", "failed", "unreachable", "foreign", "too_old", "reloading", "lame_duck"] },
  rowHeight: 44,
  key: (row) => row.server,
  card: { title: "server", mark: "state", about: ["revision", "cluster"], figures: ["connections", "in_msgs_rate", "cpu", "rss"] },
  open,
  empty: () => firstStep("dns", "No server has been seen.", "With the conf in its folder, one starts so:", "scripts/nats-server.sh"),
});
