// Who is connected, and what can be done about it.

import { firstStep, link, moment, NONE, quiet, toAccount, toRevision, toServer, toUser, when } from "./cells.js";
import { facts, factList, openDrawer, recent, section, send, ways } from "./drawer.js";
import { el, icon, put } from "./dom.js";
import { bytes, bytesRate, count, duration, milliseconds, rate } from "./format.js";
import * as links from "./links.js";
import { get, page } from "./page.js";
import { API, Table } from "./table.js";

const root = document.getElementById("nt-table");
const { kick: mayKick, disable: mayDisable, url } = root.dataset;
const SHOWN = 200; // subscriptions

const app = (row) => row.app || (row.lang ? `${row.lang} client` : "no name");
const key = (row) => `${row.server_id}/${row.cid}`;

const COLUMNS = {
  app: {
    title: "App",
    type: "text",
    width: 118,
    always: true,
    help: "The name that the client gave itself",
    text: (_, row) => app(row),
    hint: (row) => `${app(row)} · cid ${row.cid} on ${row.server_id}`,
    paint: (row) => [row.app ? el("b", {}, row.app) : quiet(app(row)), row.own ? own() : ""],
  },
  user: { title: "User", type: "text", width: 118, text: (value) => value || "no login", paint: toUser },
  account: { title: "Account", type: "text", width: 84, paint: toAccount },
  owner: { title: "Owner", type: "text", width: 90 },
  server: { title: "Server", type: "text", width: 72, hint: (row) => `${row.server} · ${row.server_id}` },
  address: { title: "Address", type: "text", width: 92, grow: 60 },
  kind: { title: "Kind", type: "text", width: 88 },
  lang: { title: "Client", type: "text", width: 96, text: (_, row) => [row.lang, row.version].filter(Boolean).join(" ") || NONE },
  in_msgs_rate: { title: "In", name: "Messages in", type: "rate", width: 62, help: "Messages a second from this client" },
  out_msgs_rate: { title: "Out", name: "Messages out", type: "rate", width: 62, help: "Messages a second to this client" },
  in_bytes_rate: { title: "Bytes in", type: "bytes_rate", width: 94 },
  out_bytes_rate: { title: "Bytes out", type: "bytes_rate", width: 94 },
  in_msgs: { title: "Total in", type: "count", width: 96 },
  out_msgs: { title: "Total out", type: "count", width: 96 },
  pending_bytes: {
    title: "Pending",
    type: "bytes",
    width: 70,
    help: "Bytes that the server holds for a client that is too slow to take them",
    paint: (row, text) => (row.pending_bytes > 1048576 ? el("span", { class: "nt-near", title: "This client is slow" }, icon("warning"), text) : text),
  },
  subscriptions: { title: "Subs", name: "Subscriptions", type: "count", width: 46 },
  rtt_ms: { title: "RTT", type: "milliseconds", width: 70, help: "Time to the client and back" },
  idle_s: { title: "Idle", type: "seconds", width: 90 },
  started_at: { title: "Since", type: "time", width: 96, hint: moment("started_at") },
  cid: { title: "Id", type: "count", width: 70, text: (value) => String(value), hint: (row) => `cid ${row.cid} on ${row.server_id}` },
  revision: { title: "Change", name: "Last change", type: "count", width: 58, text: (value) => (value ? `r${value}` : NONE), help: "The last revision that changed its account", paint: toRevision },
};

const own = () => el("span", { class: "nt-tag", title: "nunect's own connection: it can't be kicked" }, "nunect");

let table = null;

function open(row, { now, closed }) {
  const place = `${API}connections/${encodeURIComponent(row.server_id)}/${row.cid}/`;
  const list = factList();
  const figures = factList("nt-figures");
  const heard = el("ul", { class: "nt-subjects" });
  const heardTitle = el("h3", {}, "Subscriptions");
  const events = el("ol", { class: "nt-events" });
  const gone = el("p", { class: "nt-note", hidden: true }, icon("link_off"), el("span", {}, "This connection is closed. What you see is the last that was known of it."));
  let over = false;
  let subjects = null;
  const drawer = openDrawer({ title: app(row), about: [about(row), row.own ? own() : ""], closed, again: read });

  function draw(fresh) {
    facts(figures, [
      ["Messages in", rate(fresh.in_msgs_rate), `${count(fresh.in_msgs)} since it connected`],
      ["Messages out", rate(fresh.out_msgs_rate), `${count(fresh.out_msgs)} since it connected`],
      ["Bytes in", bytesRate(fresh.in_bytes_rate)],
      ["Bytes out", bytesRate(fresh.out_bytes_rate)],
      ["Pending", bytes(fresh.pending_bytes)],
      ["Round trip", milliseconds(fresh.rtt_ms)],
    ]);
    facts(list, [
      ["User", toUser(fresh)],
      ["Account", toAccount(fresh)],
      ["Owner", fresh.owner],
      ["Server", toServer(fresh)],
      ["Address", fresh.address],
      ["Client", [fresh.lang, fresh.version].filter(Boolean).join(" ")],
      ["Kind", fresh.kind],
      ["Connected", when(fresh.started_at, `for ${duration((page.now() - Date.parse(fresh.started_at)) / 1000)}`) ?? NONE],
      ["Idle", fresh.idle_s === null ? null : `for ${duration(fresh.idle_s)}`],
      ["Sent since then", `${count(fresh.in_msgs)} messages`],
      ["Received since then", `${count(fresh.out_msgs)} messages`],
      ["Last change", toRevision(fresh)],
      ["Id", el("code", {}, `cid ${fresh.cid} on ${fresh.server_id}`)],
    ]);
    if (fresh.subscriptions_list) subjects = fresh.subscriptions_list;
    put(heardTitle, `Subscriptions (${count(subjects?.length ?? fresh.subscriptions)})`);
    listen(heard, subjects);
  }

  async function read() {
    if (over) return;
    try {
      draw(await get(place, {}, drawer.signal));
    } catch (error) {
      if (error.status === 404) end();
      else if (error.name !== "AbortError" && !subjects) heard.replaceChildren(el("li", { class: "nu-muted" }, error.message));
    }
  }

  /** It is closed: nothing more is asked about it, and nothing more can be done to it */
  function end() {
    over = true;
    gone.hidden = false;
    buttons.get("kick")?.setAttribute("disabled", "");
  }

  drawer.body.append(
    gone,
    figures,
    ways([
      [links.user(row.user_pk), "User", "person"],
      [links.account(row.account_pk, row.account), "Account", "domain"],
      [row.user && links.live("connections", { user: row.user, account: row.account }), "All of this user", "cable"],
      [row.user && links.live("failures", { user: row.user }), "Its refusals", "gpp_bad"],
    ]),
    list,
    el("section", {}, heardTitle, heard),
    section("What happened", events),
  );
  const buttons = actions(row, drawer, end);
  draw(now());
  read();
  const mine = row.account && row.user ? { account: row.account, user: row.user } : { search: row.address };
  recent(events, { server: row.server, ...mine }, drawer.signal, (event) => event.cid === row.cid);
}

const about = (row) => el("span", {}, row.user ? `as ${row.user}` : "without a login", row.account ? ` in ${row.account}` : "", ` on ${row.server}`);

function listen(list, subjects) {
  if (!subjects) return list.childElementCount || list.append(el("li", { class: "nu-muted" }, "Reading…"));
  const told = JSON.stringify(subjects);
  if (list.told === told) return;
  list.told = told;
  const lines = subjects.slice(0, SHOWN).map((one) => {
    const { subject, queue, queue_group: group } = typeof one === "string" ? { subject: one } : one;
    const queued = queue || group;
    return el("li", {}, el("code", {}, subject), queued ? el("span", { class: "nu-muted" }, ` in the queue ${queued}`) : "");
  });
  const more = subjects.length - SHOWN;
  list.replaceChildren(...(lines.length ? lines : [el("li", { class: "nu-muted" }, "It listens to nothing.")]), more > 0 ? el("li", { class: "nu-muted" }, `and ${count(more)} more`) : "");
}

/** What may be done to it, {act: button}. closed: called when it was kicked */
function actions(row, drawer, closed) {
  const made = new Map();
  if (row.own) {
    drawer.foot.append(el("p", { class: "nu-muted" }, "This is nunect's own connection: it can't be kicked."));
    return made;
  }
  if (mayKick) {
    const kick = el("button", { type: "button", class: "nu-button", "data-act": "kick" }, icon("logout"), "Kick");
    drawer.ask(kick, {
      what: `The server closes this connection. Its credential stays good: a client that reconnects by itself is back at once.`,
      word: "Kick it",
      act: async () => {
        await send("POST", `${API}connections/kick/`, { server_id: row.server_id, cid: row.cid, ...(page.manySystems && { system: page.system }) });
        closed();
        table.read();
        return `Kicked: ${row.server} has closed the connection of ${app(row)}.`;
      },
    });
    made.set("kick", kick);
  }
  if (mayDisable && row.user_pk) {
    const disable = el("button", { type: "button", class: "nu-button nu-danger", "data-act": "disable" }, icon("person_off"), "Disable credential");
    drawer.ask(disable, {
      what: `Every connection of \`${row.user}\` is closed and it can't sign in again, until somebody enables it. Its rows stay as they are.`,
      word: `Disable ${row.user}`,
      act: async () => {
        const told = await send("PATCH", `/api/v1/users/${row.user_pk}/`, { enabled: false }, { Prefer: "wait=5" });
        disable.disabled = true;
        table.read();
        return disabled(row, told.sync);
      },
    });
    made.set("disable", disable);
  }
  drawer.foot.append(...made.values());
  return made;
}

function disabled(row, sync) {
  const done = `\`${row.user}\` is disabled`;
  if (sync?.state === "applied") return `${done}, and the servers enforce it${sync.revision ? ` (r${sync.revision})` : ""}.`;
  if (sync?.state === "held") return `${done} in nunect, but the change is held: somebody must say yes to it under “Held changes”.`;
  if (sync?.state === "failed") return `${done} in nunect, but the servers can't follow: ${sync.problem}`;
  return `${done}; the servers follow in a moment.`;
}

async function lookup(asked) {
  const [server, cid] = asked.split("/");
  try {
    const row = await get(`${API}connections/${encodeURIComponent(server)}/${encodeURIComponent(cid)}/`);
    open(row, { now: () => row, closed: () => {} });
  } catch {
    const drawer = openDrawer({ title: "Not connected any more" });
    drawer.body.append(el("p", {}, "That connection is closed."), link(links.live("connections"), "All connections"));
  }
}

table = new Table(root, {
  name: "connections",
  one: "connection",
  many: "connections",
  columns: COLUMNS,
  defaults: ["app", "user", "account", "server", "address", "in_msgs_rate", "out_msgs_rate", "pending_bytes", "subscriptions", "revision"],
  wide: ["owner", "lang", "in_bytes_rate", "out_bytes_rate", "rtt_ms", "started_at"],
  ordering: "-in_msgs_rate",
  filters: ["account", "user", "server", "app", "address", "owner", "kind"],
  values: { kind: ["nats", "websocket", "mqtt", "leafnode"] },
  key,
  card: { title: "app", about: ["user", "account", "server"], figures: ["in_msgs_rate", "out_msgs_rate", "pending_bytes", "subscriptions"] },
  open,
  lookup,
  empty: () => firstStep("cable", "No client is connected.", "A client is here as soon as it has signed in. With the NATS command line and a user's credentials:", `nats --server ${url} --creds NAME.creds sub ">"`),
});
