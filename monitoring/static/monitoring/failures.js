// Who was refused, from where, why, and what to do about it.

import { link, moment, NONE, quiet, toAccount, toServer, toUser, when } from "./cells.js";
import { facts, factList, openDrawer, recent, section, ways } from "./drawer.js";
import { el, icon, sentence } from "./dom.js";
import { count } from "./format.js";
import * as links from "./links.js";
import { Table } from "./table.js";

const words = (key) => (row) => el("span", { class: "nt-lines" }, ...(row[key] ? sentence(row[key]) : [quiet(NONE)]));
const below = (above, under) => el("span", { class: "nt-two" }, el("span", {}, above), el("span", { class: "nu-muted" }, under || ""));
const who = (row) => row.user || "no login";

const COLUMNS = {
  user: {
    title: "Who",
    type: "text",
    width: 130,
    always: true,
    text: (_, row) => [who(row), row.account].filter(Boolean).join(" in "),
    paint: (row) => below(toUser(row), row.account ? `in ${row.account}` : row.user ? "no such user in nunect" : ""),
  },
  address: { title: "From where", type: "text", width: 120, text: (value, row) => [value, row.app].filter(Boolean).join(" · ") || NONE, paint: (row) => below(row.address || NONE, row.app) },
  why: { title: "Why", type: "text", width: 210, grow: 420, paint: words("why"), hint: (row) => `${row.why ?? ""}\nThe server said: ${row.reason}` },
  remedy: { title: "What to do", type: "text", width: 210, grow: 420, paint: words("remedy") },
  count: { title: "Times", type: "count", width: 70 },
  last_at: { title: "Last", type: "time", width: 92, hint: moment("last_at") },
  first_at: { title: "First", type: "time", width: 92, hint: moment("first_at") },
  account: { title: "Account", type: "text", width: 100, paint: toAccount },
  owner: { title: "Owner", type: "text", width: 90 },
  app: { title: "App", type: "text", width: 110 },
  server: { title: "Server", type: "text", width: 90, paint: toServer },
  code: { title: "Code", type: "text", width: 120 },
  reason: { title: "Server's words", type: "text", width: 170 },
};

function open(row, { now, closed }) {
  const list = factList();
  const why = el("p", { class: "nt-why" });
  const remedy = el("p", {});
  const events = el("ol", { class: "nt-events" });
  const draw = () => {
    const fresh = now();
    facts(list, [
      ["Times", count(fresh.count)],
      ["Last", when(fresh.last_at) ?? NONE],
      ["First", when(fresh.first_at) ?? NONE],
      ["User", toUser(fresh)],
      ["Account", fresh.account ? toAccount(fresh) : null],
      ["Owner", fresh.owner],
      ["App", fresh.app],
      ["Address", fresh.address],
      ["Server", toServer(fresh)],
      ["The server said", el("code", {}, fresh.reason || NONE)],
    ]);
  };
  const drawer = openDrawer({ title: `${who(row)} was refused`, about: [el("span", {}, row.address ? `from ${row.address}` : "")], closed, again: draw });
  why.append(...sentence(row.why || row.reason));
  remedy.append(...sentence(row.remedy || "Look at the login that the client uses."));
  drawer.body.append(
    section("Why", why),
    section("What to do", el("div", { class: "nt-remedy" }, icon("build"), remedy)),
    ways([
      [links.user(row.user_pk), `User ${row.user}`, "person"],
      [row.account && links.account(null, row.account), `Account ${row.account}`, "domain"],
      [row.user && links.live("connections", { user: row.user }), "Its connections", "cable"],
      [row.address && links.live("failures", { address: row.address }), "All from there", "travel_explore"],
    ]),
    list,
    section("What happened", events),
  );
  draw();
  const asked = row.account && row.user ? { account: row.account, user: row.user } : { search: row.address };
  recent(events, { kind: "auth_error", ...asked }, drawer.signal);
}

new Table(document.getElementById("nt-table"), {
  name: "failures",
  label: "Refused logins",
  one: "refused login",
  many: "refused logins",
  columns: COLUMNS,
  defaults: ["user", "address", "why", "remedy", "count", "last_at"],
  wide: ["first_at", "server", "reason"],
  ordering: "-last_at",
  filters: ["user", "account", "address", "code", "server", "app"],
  rowHeight: 56,
  cardHeight: 160,
  key: (row) => [row.user, row.address, row.reason].join("\n"),
  card: { title: "user", about: ["why", "remedy"], stacked: true, figures: ["address", "count", "last_at"] },
  open,
  empty: () => [
    icon("verified_user"),
    el("p", {}, el("b", {}, "Nobody has been refused.")),
    el("p", { class: "nu-muted" }, "When a server refuses a login, it stands here: who, from where, why, and what to do about it. ", link(links.live("connections"), "Who is connected")),
  ],
});
