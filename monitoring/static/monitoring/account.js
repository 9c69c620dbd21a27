// An account in a table and in its drawer: what it uses of what it may.

import { bar, firstStep, NONE, pressure, toAccount, toRevision, useColumn } from "./cells.js";
import { eventList, facts, factList, openDrawer, section, ways } from "./drawer.js";
import { el } from "./dom.js";
import { bytes, bytesRate, count, rate } from "./format.js";
import * as links from "./links.js";
import { live } from "./socket.js";
import { traffic } from "./traffic.js";

const COLUMNS = {
  account: { title: "Account", type: "text", width: 104, always: true, paint: (row) => el("b", {}, toAccount(row)) },
  owner: { title: "Owner", type: "text", width: 64, grow: 40 },
  connections: useColumn("connections", "max_connections", "Connections"),
  subscriptions: useColumn("subscriptions", "max_subscriptions", "Subscriptions"),
  in_msgs_rate: { title: "In", name: "Messages in", type: "rate", width: 62, help: "Messages a second from its clients" },
  out_msgs_rate: { title: "Out", name: "Messages out", type: "rate", width: 62, help: "Messages a second to its clients" },
  in_bytes_rate: { title: "Bytes in", type: "bytes_rate", width: 94 },
  out_bytes_rate: { title: "Bytes out", type: "bytes_rate", width: 94 },
  streams: useColumn("streams", "max_streams", "Streams", count, { width: 80 }),
  consumers: useColumn("consumers", "max_consumers", "Consumers", count, { width: 96 }),
  js_storage: useColumn("js_storage", "js_max_storage", "Storage", bytes),
  js_memory: useColumn("js_memory", "js_max_memory", "Memory", bytes),
  leafnodes: { title: "Leaf nodes", type: "count", width: 90 },
  slow_consumers: { title: "Slow", name: "Slow consumers", type: "count", width: 66, help: "Clients that were cut off for being too slow" },
  in_msgs: { title: "Total in", type: "count", width: 100 },
  out_msgs: { title: "Total out", type: "count", width: 100 },
  revision: { title: "Change", name: "Last change", type: "count", width: 56, text: (value) => (value ? `r${value}` : NONE), paint: toRevision },
};
const LIMITS = [
  ["connections", "max_connections", "Connections", count],
  ["subscriptions", "max_subscriptions", "Subscriptions", count],
  ["streams", "max_streams", "Streams", count],
  ["consumers", "max_consumers", "Consumers", count],
  ["js_storage", "js_max_storage", "Storage", bytes],
  ["js_memory", "js_max_memory", "Memory", bytes],
];

function open(row, { now, closed }) {
  const limits = factList("nt-limits");
  const figures = factList("nt-figures");
  const list = factList();
  const events = el("ol", { class: "nt-events" });
  const draw = (fresh) => {
    facts(figures, [
      ["Messages in", rate(fresh.in_msgs_rate)],
      ["Messages out", rate(fresh.out_msgs_rate)],
      ["Bytes in", bytesRate(fresh.in_bytes_rate)],
      ["Bytes out", bytesRate(fresh.out_bytes_rate)],
    ]);
    facts(limits, LIMITS.map(([used, most, title, of]) => [title, bar(fresh[used], fresh[most], of)]));
    const near = LIMITS.filter(([used, most]) => pressure(fresh[used], fresh[most]));
    facts(list, [
      near.length && ["Near its limit", near.map(([, , title]) => title.toLowerCase()).join(", ")],
      ["Owner", fresh.owner],
      ["Leaf nodes", count(fresh.leafnodes)],
      ["Slow consumers", count(fresh.slow_consumers)],
      ["Sent in all", `${count(fresh.in_msgs)} messages`],
      ["Received in all", `${count(fresh.out_msgs)} messages`],
      ["Last change", toRevision(fresh)],
    ]);
  };
  const drawer = openDrawer({ title: row.account, about: [el("span", {}, row.owner ? `account of ${row.owner}` : "account")], closed, again: () => draw(now()) });
  const picture = el("div", { class: "nt-chart" });
  drawer.body.append(
    figures,
    ways([
      [links.account(row.account_pk, row.account), "Account", "domain"],
      [links.live("connections", { account: row.account }), "Its connections", "cable"],
      [links.live("jetstream", { account: row.account }), "Its streams", "database"],
      [links.live("failures", { account: row.account }), "Its refusals", "gpp_bad"],
    ]),
    section("Use against limits", limits),
    picture,
    list,
    section("What happened", events),
  );
  draw(now());
  eventList(events, [], "Nothing has happened since the relay began.");
  traffic(drawer, picture, `account:${row.account}`);
  const stop = live.on(`account:${row.account}`, (data) => {
    draw({ ...now(), ...data.row });
    eventList(events, data.events?.slice(0, 10), "Nothing has happened since the relay began.");
  });
  drawer.signal.addEventListener("abort", stop);
}

export const ACCOUNTS = {
  name: "accounts",
  one: "account",
  many: "accounts",
  columns: COLUMNS,
  defaults: ["account", "owner", "connections", "subscriptions", "in_msgs_rate", "out_msgs_rate", "streams", "js_storage", "revision"],
  wide: ["in_bytes_rate", "out_bytes_rate", "consumers", "slow_consumers"],
  ordering: "-in_msgs_rate",
  filters: ["account", "owner"],
  rowHeight: 44,
  key: (row) => row.account,
  card: { title: "account", about: ["owner"], figures: ["connections", "in_msgs_rate", "out_msgs_rate", "js_storage"] },
  open,
  empty: () => firstStep("domain", "No account is in use.", "An account is where apps talk to each other and to nobody else. One is made in the admin, or a conf is taken over:", "nunect import /etc/nats/nats-server.conf --dry-run"),
};
