// A consumer in a table and in its drawer: how far behind it is, and what it suffers from.

import { bar, moment, NONE, nothingKept, toAccount, toConsumer, toServer, toStream, useColumn, when } from "./cells.js";
import { facts, factList, openDrawer, section, tellState, ways } from "./drawer.js";
import { chip, el } from "./dom.js";
import { count, limited, rate } from "./format.js";
import * as links from "./links.js";

const BEHIND_S = 10; // seconds of delivery that wait, before a consumer is said to be behind

/** What a consumer suffers from, [state, word, sentence] */
function health(row) {
  if (row.paused) return ["held", "paused", "It is paused: nothing is delivered until it is resumed."];
  if (limited(row.max_ack_pending) && row.max_ack_pending > 0 && row.ack_pending >= row.max_ack_pending) return ["failed", "waits for acks", "As many messages as it may have are unacknowledged: nothing more is delivered until some are."];
  if (row.pull && row.pending > 0 && row.waiting === 0 && !(row.delivered_rate > 0)) return ["held", "nobody pulls", "Messages wait and nobody asks for them: is the app that reads them alive?"];
  if (row.delivered_rate > 0 && row.pending > BEHIND_S * row.delivered_rate) return ["pending", "catching up", "It is behind by more than ten seconds of what it takes."];
  return ["ok", "ok", ""];
}

const COLUMNS = {
  consumer: { title: "Consumer", type: "text", width: 100, always: true, paint: (row) => el("b", {}, toConsumer(row)) },
  stream: { title: "Stream", type: "text", width: 84, paint: toStream },
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

function open(row, { now, closed }) {
  const figures = factList("nt-figures");
  const limits = factList("nt-limits");
  const list = factList();
  const state = el("div", { class: "nt-state" });
  const draw = () => {
    const fresh = now();
    const [kind, word, told] = health(fresh);
    tellState(state, chip(kind, word), told);
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
      [row.durable ? links.consumer(row.account, row.stream, row.consumer) : null, "Its settings", "tune"],
      [links.live("jetstream", { account: row.account, stream: row.stream }), "Its stream", "database"],
      [links.account(row.account_pk, row.account), "Account", "domain"],
      [links.live("connections", { account: row.account }), "Connections of the account", "cable"],
    ]),
    section("Use against limits", limits),
    list,
  );
  draw();
}

export const CONSUMERS = {
  name: "consumers",
  one: "consumer",
  many: "consumers",
  columns: COLUMNS,
  defaults: ["consumer", "stream", "account", "health", "pending", "ack_pending", "redelivered", "delivered_rate", "acked_at"],
  wide: ["waiting", "delivered", "filter"],
  ordering: "-pending",
  filters: ["account", "stream", "consumer", "server"],
  rowHeight: 44,
  key: (row) => `${row.account}/${row.stream}/${row.consumer}`,
  card: { title: "consumer", mark: "health", about: ["stream", "account"], figures: ["pending", "ack_pending", "redelivered", "delivered_rate"] },
  open,
  empty: nothingKept("nats consumer add ORDERS worker --pull --defaults"),
};
