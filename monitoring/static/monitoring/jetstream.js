// The tabs of JetStream: streams, consumers, and what each account uses of its storage.

import { ACCOUNTS } from "./account.js";
import { CONSUMERS } from "./consumer.js";
import { STREAMS } from "./stream.js";
import { Table } from "./table.js";

const root = document.getElementById("nt-table");
const tabs = document.getElementById("nt-tabs");

const TABS = {
  streams: STREAMS,
  consumers: CONSUMERS,
  accounts: {
    ...ACCOUNTS,
    view: ".jetstream",
    defaults: ["account", "owner", "js_storage", "js_memory", "streams", "consumers"],
    wide: [],
    ordering: "-js_storage",
    card: { ...ACCOUNTS.card, figures: ["js_storage", "js_memory", "streams", "consumers"] },
    empty: STREAMS.empty,
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
