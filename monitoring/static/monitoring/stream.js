// A stream in a table and in its drawer: what it keeps, and how near its limits it is.

import { bar, moment, nothingKept, toAccount, toServer, toStream, useColumn, when } from "./cells.js";
import { facts, factList, openDrawer, section, ways } from "./drawer.js";
import { chip, el } from "./dom.js";
import { bytes, count, limited, rate } from "./format.js";
import * as links from "./links.js";

const COLUMNS = {
  stream: { title: "Stream", type: "text", width: 100, always: true, paint: (row) => el("b", {}, toStream(row)) },
  account: { title: "Account", type: "text", width: 92, paint: toAccount },
  state: { title: "State", type: "text", width: 98, paint: (row) => chip(row.state) },
  messages: { title: "Messages", type: "count", width: 72, text: (value, row) => (limited(row.max_messages) ? `${count(value)} / ${count(row.max_messages)}` : count(value)) },
  bytes: useColumn("bytes", "max_bytes", "Size", bytes, { width: 156 }),
  in_msgs_rate: { title: "In", name: "Messages in", type: "rate", width: 58, help: "Messages stored a second" },
  consumers: { title: "Consumers", type: "count", width: 74 },
  last_at: { title: "Last", name: "Last message", type: "time", width: 76, hint: moment("last_at") },
  first_at: { title: "First message", type: "time", width: 104, hint: moment("first_at") },
  subjects: { title: "Subjects", type: "texts", width: 80, sort: false, hint: (row) => (row.subjects ?? []).join("\n"), paint: (row, text) => el("code", {}, text) },
  storage: { title: "Storage", type: "text", width: 76 },
  retention: { title: "Retention", type: "text", width: 92 },
  replicas: { title: "Replicas", type: "count", width: 80 },
  leader: { title: "Leader", type: "text", width: 96 },
  server: { title: "Server", type: "text", width: 96, paint: toServer },
};

function open(row, { now, closed }) {
  const figures = factList("nt-figures");
  const limits = factList("nt-limits");
  const list = factList();
  const draw = () => {
    const fresh = now();
    facts(figures, [
      ["Messages", count(fresh.messages)],
      ["Messages in", rate(fresh.in_msgs_rate)],
      ["Consumers", count(fresh.consumers)],
    ]);
    facts(limits, [
      ["Size", bar(fresh.bytes, fresh.max_bytes, bytes)],
      ["Messages", bar(fresh.messages, fresh.max_messages)],
    ]);
    facts(list, [
      ["Account", toAccount(fresh)],
      ["Subjects", el("code", {}, (fresh.subjects ?? []).join(", "))],
      ["Storage", fresh.storage],
      ["Retention", fresh.retention],
      ["Replicas", count(fresh.replicas)],
      ["Leader", fresh.leader],
      ["First message", when(fresh.first_at)],
      ["Last message", when(fresh.last_at)],
      ["Server", toServer(fresh)],
    ]);
  };
  const drawer = openDrawer({ title: row.stream, about: [el("span", {}, `stream in ${row.account}`), chip(row.state)], closed, again: draw });
  drawer.body.append(
    figures,
    ways([
      [links.stream(row.account, row.stream), "Its settings", "tune"],
      [links.live("jetstream", { tab: "consumers", account: row.account, stream: row.stream }), "Its consumers", "group_work"],
      [links.account(row.account_pk, row.account), "Account", "domain"],
    ]),
    section("Use against limits", limits),
    list,
  );
  draw();
}

export const STREAMS = {
  name: "streams",
  one: "stream",
  many: "streams",
  columns: COLUMNS,
  defaults: ["stream", "account", "state", "messages", "bytes", "in_msgs_rate", "consumers", "last_at", "subjects"],
  wide: ["replicas", "leader", "retention"],
  ordering: "-bytes",
  filters: ["account", "stream", "state", "storage", "server"],
  values: { state: ["ok", "no_leader", "lagging"], storage: ["file", "memory"] },
  rowHeight: 44,
  key: (row) => `${row.account}/${row.stream}`,
  card: { title: "stream", mark: "state", about: ["account", "subjects"], figures: ["messages", "bytes", "in_msgs_rate", "consumers"] },
  open,
  empty: nothingKept('nats stream add ORDERS --subjects "orders.>" --defaults'),
};
