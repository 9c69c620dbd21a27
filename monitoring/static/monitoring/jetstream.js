// Streams and consumers: what is kept, who lags, and how much of each account's storage is used.

import { COLUMNS as ACCOUNT_COLUMNS, open as openAccount } from "./accounts.js";
import { bar, firstStep, moment, NONE, toAccount, toServer, useColumn } from "./cells.js";
import { facts, factList, openDrawer, section, ways } from "./drawer.js";
import { chip, el } from "./dom.js";
import { ago, bytes, count, exact, limited, rate } from "./format.js";
import * as links from "./links.js";
import { page } from "./page.js";
import { Table } from "./table.js";

const BEHIND_S = 10; // seconds of delivery that wait, before a consumer is said to be behind
const root = document.getElementById("nt-table");
const tabs = document.getElementById("nt-tabs");

const STREAM = {
  stream: { title: "Stream", type: "text", width: 100, always: true, paint: (row) => el("b", {}, row.stream) },
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

/** What a consumer suffers from, [state, word, sentence] */
function health(row) {
  if (row.paused) return ["held", "paused", "It is paused: nothing is delivered until it is resumed."];
  if (limited(row.max_ack_pending) && row.max_ack_pending > 0 && row.ack_pending >= row.max_ack_pending) return ["failed", "waits for acks", "As many messages as it may have are unacknowledged: nothing more is delivered until some are."];
  if (row.pull && row.pending > 0 && row.waiting === 0 && !(row.delivered_rate > 0)) return ["held", "nobody pulls", "Messages wait and nobody asks for them: is the app that reads them alive?"];
  if (row.delivered_rate > 0 && row.pending > BEHIND_S * row.delivered_rate) return ["pending", "catching up", "It is behind by more than ten seconds of what it takes."];
  return ["ok", "ok", ""];
}

const CONSUMER = {
  consumer: { title: "Consumer", type: "text", width: 100, always: true, paint: (row) => el("b", {}, row.consumer) },
  stream: { title: "Stream", type: "text", width: 84, paint: (row) => el("span", {}, row.stream) },
  account: { title: "Account", type: "text", width: 84, paint: toAccount },
  health: { title: "State", type: "text", width: 116, sort: false, text: (_, row) => health(row)[1], hint: (row) => health(row)[2], paint: (row) => chip(health(row)[0], health(row)[1]) },
  pending: { title: "Lag", type: "count", width: 64, help: "Messages in the stream that were not delivered yet" },
  ack_pending: useColumn("ack_pending", "max_ack_pending", "Unacked", count, { width: 140, help: "Delivered and not acknowledged yet" }),
  redelivered: { title: "Redelivered", type: "count", width: 84, help: "Messages that were delivered more than once" },
  delivered_rate: { title: "Out", name: "Delivered", type: "rate", width: 58, help: "Messages delivered a second" },
  acked_at: { title: "Last ack", type: "time", width: 76, hint: moment("acked_at") },
  waiting: { title: "Pulls", name: "Waiting pulls", type: "count", width: 70 },
  delivered: { title: "Delivered", type: "count", width: 92 },
  pull: { title: "Pull", type: "yes", width: 64 },
  durable: { title: "Durable", type: "yes", width: 76 },
  filter: { title: "Filter", type: "texts", width: 116, sort: false, paint: (row, text) => el("code", {}, text) },
  server: { title: "Server", type: "text", width: 96, paint: toServer },
};

const when = (iso) => (iso ? el("time", { datetime: iso, title: exact(iso) }, ago(iso, page.now())) : null);

function openStream(row, { now, closed }) {
  const figures = factList();
  figures.classList.add("nt-figures");
  const limits = factList();
  limits.classList.add("nt-limits");
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
      [links.live("jetstream", { tab: "consumers", account: row.account, stream: row.stream }), "Its consumers", "group_work"],
      [links.account(row.account_pk, row.account), "Account", "domain"],
    ]) ?? "",
    section("Use against limits", limits),
    list,
  );
  draw();
}

function openConsumer(row, { now, closed }) {
  const figures = factList();
  figures.classList.add("nt-figures");
  const limits = factList();
  limits.classList.add("nt-limits");
  const list = factList();
  const state = el("div", { class: "nt-state" });
  const draw = () => {
    const fresh = now();
    const [kind, word, told] = health(fresh);
    if (state.told !== word) state.replaceChildren(chip(kind, word), told ? el("span", {}, told) : "");
    state.told = word;
    facts(figures, [
      ["Lag", count(fresh.pending)],
      ["Delivered", rate(fresh.delivered_rate)],
      ["Redelivered", count(fresh.redelivered)],
      ["Waiting pulls", fresh.pull ? count(fresh.waiting) : null],
    ]);
    facts(limits, [["Unacknowledged", bar(fresh.ack_pending, fresh.max_ack_pending)]]);
    facts(list, [
      ["Stream", fresh.stream],
      ["Account", toAccount(fresh)],
      ["Kind", `${fresh.durable ? "durable" : "ephemeral"}, ${fresh.pull ? "pull" : "push"}`],
      ["Filter", (fresh.filter ?? []).length ? el("code", {}, fresh.filter.join(", ")) : null],
      ["Delivered", count(fresh.delivered)],
      ["Last acknowledgement", when(fresh.acked_at) ?? NONE],
      ["Server", toServer(fresh)],
    ]);
  };
  const drawer = openDrawer({ title: row.consumer, about: [el("span", {}, `consumer of ${row.stream} in ${row.account}`)], closed, again: draw });
  drawer.body.append(
    state,
    figures,
    ways([
      [links.live("jetstream", { account: row.account, stream: row.stream }), "Its stream", "database"],
      [links.account(row.account_pk, row.account), "Account", "domain"],
      [links.live("connections", { account: row.account }), "Connections of the account", "cable"],
    ]) ?? "",
    section("Use against limits", limits),
    list,
  );
  draw();
}

const command = (line) => () => firstStep("database", "Nothing is kept by JetStream yet.", "A stream keeps the messages of its subjects, a consumer reads them at its own pace. In an account with JetStream:", line);

const TABS = {
  streams: {
    name: "streams",
    one: "stream",
    many: "streams",
    columns: STREAM,
    defaults: ["stream", "account", "state", "messages", "bytes", "in_msgs_rate", "consumers", "last_at", "subjects"],
    wide: ["replicas", "leader", "retention"],
    ordering: "-bytes",
    filters: ["account", "stream", "state", "storage", "server"],
    values: { state: ["ok", "no_leader", "lagging"], storage: ["file", "memory"] },
    rowHeight: 44,
    key: (row) => `${row.account}/${row.stream}`,
    card: { title: "stream", mark: "state", about: ["account", "subjects"], figures: ["messages", "bytes", "in_msgs_rate", "consumers"] },
    open: openStream,
    empty: command('nats stream add ORDERS --subjects "orders.>" --defaults'),
  },
  consumers: {
    name: "consumers",
    one: "consumer",
    many: "consumers",
    columns: CONSUMER,
    defaults: ["consumer", "stream", "account", "health", "pending", "ack_pending", "redelivered", "delivered_rate", "acked_at"],
    wide: ["waiting", "delivered", "filter"],
    ordering: "-pending",
    filters: ["account", "stream", "consumer", "server"],
    rowHeight: 44,
    key: (row) => `${row.account}/${row.stream}/${row.consumer}`,
    card: { title: "consumer", mark: "health", about: ["stream", "account"], figures: ["pending", "ack_pending", "redelivered", "delivered_rate"] },
    open: openConsumer,
    empty: command("nats consumer add ORDERS worker --pull --defaults"),
  },
  accounts: {
    name: "accounts",
    view: ".jetstream",
    one: "account",
    many: "accounts",
    columns: ACCOUNT_COLUMNS,
    defaults: ["account", "owner", "js_storage", "js_memory", "streams", "consumers"],
    ordering: "-js_storage",
    filters: ["account", "owner"],
    rowHeight: 44,
    key: (row) => row.account,
    card: { title: "account", about: ["owner"], figures: ["js_storage", "js_memory", "streams", "consumers"] },
    open: openAccount,
    empty: command('nats stream add ORDERS --subjects "orders.>" --defaults'),
  },
};

let table = null;

function turn(name) {
  table?.destroy();
  for (const link of tabs.querySelectorAll("a")) {
    if (link.dataset.tab === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  table = new Table(root, TABS[name]);
}

tabs.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const address = new URL(location.href);
  address.searchParams.set("tab", link.dataset.tab);
  for (const name of ["ordering", "search", "open", "state", "storage"]) address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
  turn(link.dataset.tab);
});
const asked = new URLSearchParams(location.search).get("tab");
turn(TABS[asked] ? asked : "streams");
