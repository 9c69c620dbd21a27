// One event as a line: when, what, and the way to each thing that it names.

import { el, icon, sentence } from "./dom.js";
import { clock, exact } from "./format.js";
import * as links from "./links.js";

export const KINDS = {
  connect: ["login", "Connects"],
  disconnect: ["logout", "Disconnects"],
  auth_error: ["gpp_bad", "Refusals"],
  advisory: ["database", "JetStream"],
  server: ["dns", "Servers"],
  reload: ["autorenew", "Reloads"],
  revision: ["flag", "Revisions"],
  drift: ["difference", "Drift"],
};

const word = (label, text, href) => (text || text === 0 ? el("span", {}, label ? `${label} ` : "", href ? el("a", { class: "nu-link", href }, String(text)) : String(text)) : null);

/** An event of a frame or of the archive, as <li>. brief: without what its sentence says anyhow */
export function line(event, { brief = false } = {}) {
  const [symbol, name] = KINDS[event.kind] ?? ["info", event.kind];
  const shown = icon(symbol);
  shown.removeAttribute("aria-hidden");
  shown.setAttribute("role", "img");
  shown.setAttribute("aria-label", name);
  shown.title = name;
  const before = event.preceded_by ?? (event.revision ? { number: event.revision } : null);
  const about = el(
    "div",
    { class: "nu-about" },
    word("account", event.account, links.account(event.account_pk, event.account)),
    word("user", event.user, links.user(event.user_pk) ?? (event.account || event.user_pk ? null : links.live("failures", { search: event.user }))),
    ...(brief ? [] : [word("owner", event.owner), word("at", event.server, links.server(event.server)), word("from", event.address)]),
    ["revision", "reload"].includes(event.kind) && event.revision ? word("", `r${event.revision}`, links.revision(event.revision)) : null,
    before && !["revision", "reload"].includes(event.kind) ? changed(before) : null,
  );
  const time = el("time", { datetime: event.at, title: exact(event.at) }, clock(event.at));
  return el("li", { class: `nu-${event.level ?? "info"}` }, time, shown, el("div", {}, el("p", {}, sentence(event.text)), about));
}

/** "what changed before it broke": the revision before an event */
function changed(before) {
  const made = word("after", `r${before.number}`, links.revision(before.number));
  if (before.text) {
    made.title = before.text;
    made.append(el("span", { class: "nu-before" }, `: ${before.text}`));
  }
  return made;
}

/** Whether an event is what the filters ask for, by the archive's rules: kinds (a Set, empty for all), exact names, words */
export function wanted(event, filters) {
  const named = (name) => !filters[name] || event[name] === filters[name];
  if (filters.kinds?.size && !filters.kinds.has(event.kind)) return false;
  if (!named("account") || !named("user") || !named("server")) return false;
  const all = [event.text, event.app, event.address, event.reason].join(" ").toLowerCase();
  return (filters.search ?? "").toLowerCase().split(/\s+/).every((word) => all.includes(word));
}
