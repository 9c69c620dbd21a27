// The feed of events: live, with pause and filters; older ones from the archive, by the same filters.

import { el, keyed, put } from "./dom.js";
import { KINDS, line, wanted } from "./feed.js";
import { count } from "./format.js";
import { get, page } from "./page.js";
import { live } from "./socket.js";

const KEPT = 500; // live events of this page
const MOST_PAGES = 5; // of the archive for one press of the button
const DAY_MS = 86_400_000;
const find = (name) => document.querySelector(`[data-nu-${name}]`);
const feed = find("feed");
const older = find("older");
const form = find("filters");
const FIELDS = ["search", "account", "user", "server"];

const filters = { kinds: new Set(), search: "", account: "", user: "", server: "" };
let events = []; // newest first, of this epoch and the ones before
const known = new Set();
let paused = false;
let held = 0; // came while paused
let shownTo = []; // what stood there when the pause began
let cursor = null;
let archive = []; // what the archive has answered
let exhausted = false;
let asking = null;

// --- live --------------------------------------------------------------------------------------

function take(data) {
  let came = 0;
  for (const event of [...(data.events ?? [])].reverse()) {
    if (known.has(event.id)) continue;
    known.add(event.id);
    events.unshift(event);
    if (wanted(event, filters)) came += 1;
  }
  suggest();
  for (const gone of events.splice(KEPT)) known.delete(gone.id);
  for (const button of form.querySelectorAll("[data-kind]")) {
    const number = data.counts?.[button.dataset.kind];
    put(button.querySelector("[data-nu-count]"), number ? count(number) : "");
  }
  const lost = [];
  if (data.malformed) lost.push(`${count(data.malformed)} could not be read`);
  if (data.unarchived) lost.push(`${count(data.unarchived)} came too fast for the archive`);
  put(find("note"), lost.join(", "));
  if (paused) {
    held += came;
    tellPause();
  } else draw();
}

function draw() {
  feed.querySelectorAll("[data-painted]").forEach((item) => item.remove()); // ours have links, and the reader's clock
  const rows = (paused ? shownTo : events).filter((event) => wanted(event, filters));
  keyed(feed, rows, (event) => event.id, (event) => line(event), null);
  find("none").hidden = rows.length > 0 || archive.length > 0;
  if (events.length && !rows.length) put(find("none"), "None of the last events is what the filters ask for. Older ones may be in the archive.");
}

function tellPause() {
  put(find("paused"), paused ? (held ? `${count(held)} new` : "Paused") : "");
  const button = find("pause");
  button.setAttribute("aria-pressed", String(paused));
  put(button, paused ? "Go on" : "Pause");
}

find("pause").addEventListener("click", () => {
  paused = !paused;
  held = 0;
  shownTo = [...events];
  tellPause();
  draw();
});

// --- filters: in the address, so that a view can be sent to somebody ----------------------------

function fromAddress() {
  const asked = new URLSearchParams(location.search);
  filters.kinds = new Set((asked.get("kind") ?? "").split(",").filter((kind) => kind in KINDS));
  for (const name of FIELDS) form.elements[name].value = filters[name] = asked.get(name) ?? "";
  show();
}

function show() {
  for (const button of form.querySelectorAll("[data-kind]")) button.setAttribute("aria-pressed", String(filters.kinds.has(button.dataset.kind)));
  find("clear").hidden = !filters.kinds.size && FIELDS.every((name) => !filters[name]);
}

function changed() {
  const asked = new URLSearchParams(location.search);
  for (const [name, value] of [["kind", [...filters.kinds].join(",")], ...FIELDS.map((field) => [field, filters[field]])]) {
    if (value) asked.set(name, value);
    else asked.delete(name);
  }
  history.replaceState(null, "", asked.size ? `?${asked}` : location.pathname);
  held = 0;
  tellPause();
  show();
  draw();
  const again = archive.length > 0 || exhausted;
  forgetArchive();
  if (again) more();
}

let typed = 0;

function read() {
  clearTimeout(typed);
  const now = FIELDS.map((name) => form.elements[name].value.trim());
  if (FIELDS.every((name, at) => filters[name] === now[at])) return;
  FIELDS.forEach((name, at) => (filters[name] = now[at]));
  changed();
}

// words are looked for as they are typed; a name when it is whole, or taken from the list of those that were seen
form.addEventListener("input", (event) => {
  clearTimeout(typed);
  const field = event.target;
  const whole = field.name === "search" || !field.value || [...(field.list?.options ?? [])].some((one) => one.value === field.value.trim());
  if (whole) typed = setTimeout(read, 200);
});
form.addEventListener("change", read);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  read();
});

/** Names of the events that were seen, to choose from */
function suggest() {
  for (const name of ["account", "user", "server"]) {
    const list = form.elements[name].list;
    const had = new Set([...list.options].map((one) => one.value));
    for (const event of events) {
      if (had.size >= 200) break;
      if (!event[name] || had.has(event[name])) continue;
      had.add(event[name]);
      list.append(el("option", { value: event[name] }));
    }
  }
}
form.addEventListener("click", (event) => {
  const kind = event.target.closest("[data-kind]")?.dataset.kind;
  if (kind) {
    if (!filters.kinds.delete(kind)) filters.kinds.add(kind);
    changed();
  } else if (event.target.closest("[data-nu-clear]")) {
    filters.kinds = new Set();
    for (const name of FIELDS) form.elements[name].value = filters[name] = "";
    changed();
    form.elements.search.focus();
  }
});

// --- the archive -------------------------------------------------------------------------------

function forgetArchive() {
  asking?.abort();
  asking = null;
  cursor = null;
  archive = [];
  exhausted = false;
  older.replaceChildren();
  find("older-head").hidden = true;
  find("more").hidden = false;
  find("more").disabled = false;
  put(find("more-note"), "");
}

/** The next page of the archive: older than what the feed shows, by the same filters */
async function more() {
  if (asking) return;
  const mine = (asking = new AbortController());
  find("more").disabled = true;
  put(find("more-note"), "Looking…");
  const asked = {};
  if (filters.kinds.size === 1) [asked.kind] = filters.kinds; // the archive takes one; of several we take what fits
  for (const name of FIELDS) if (filters[name]) asked[name] = filters[name];
  if (cursor) asked.cursor = cursor;
  const last = [...feed.querySelectorAll(":scope > li > time")].pop()?.dateTime;
  if (!archive.length && last) until = last;
  if (until && last) asked.until = until;
  try {
    let told = null;
    let fresh = [];
    for (let pages = 0; pages < MOST_PAGES && !fresh.length && (!told || told.next); pages += 1) {
      if (told) asked.cursor = next(told.next);
      told = await get(page.events, asked, mine.signal);
      fresh = told.results.filter((event) => wanted(event, { kinds: filters.kinds }) && !feed.querySelector(`:scope > li[data-key="${CSS.escape(event.id)}"]`));
    }
    archive.push(...fresh);
    let day = older.lastElementChild?.dataset.day;
    for (const event of fresh) {
      const item = line(event);
      item.dataset.key = event.id;
      item.dataset.day = dayOf(event.at);
      if (item.dataset.day !== day && (day || Date.now() - Date.parse(event.at) > DAY_MS)) older.append(el("li", { class: "nu-day", "data-day": item.dataset.day }, item.dataset.day));
      day = item.dataset.day;
      older.append(item);
    }
    cursor = next(told.next);
    exhausted = !cursor;
    find("older-head").hidden = !archive.length;
    find("none").hidden = archive.length > 0 || feed.children.length > 0;
    find("more").hidden = exhausted;
    put(find("more-note"), exhausted ? (archive.length ? "That is all that the archive holds." : "The archive holds nothing older.") : "");
  } catch (error) {
    if (error.name === "AbortError") return;
    put(find("more-note"), `The archive can't be read: ${error.message}`);
  }
  find("more").disabled = false;
  asking = null;
}

let until = "";
const dayOf = (iso) => new Date(iso).toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long" });

/** The cursor of the next page, which may be told as an address */
function next(told) {
  if (!told) return null;
  return /^https?:|^[/?]/.test(told) ? new URL(told, location.href).searchParams.get("cursor") : told;
}

find("more").addEventListener("click", more);

fromAddress();
live.on("events", take);
