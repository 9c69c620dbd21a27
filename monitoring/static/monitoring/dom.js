// Elements without markup in strings: what a client calls itself never becomes HTML.

/** el("a", {class: "nu-link", href, title}, "text", child …); null and undefined attributes and children are left out */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Change the text only when it differs: nothing flickers, and a selection stays */
export function put(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

export const icon = (name) => el("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, name);

const STATES = {
  in_sync: ["check_circle", "in sync"],
  applied: ["check_circle", "applied"],
  ok: ["check_circle", "ok"],
  pending: ["schedule", "pending"],
  reloading: ["autorenew", "reloading"],
  failed: ["error", "failed"],
  held: ["front_hand", "held"],
  unreachable: ["cloud_off", "unreachable"],
  foreign: ["warning", "foreign configuration"],
  too_old: ["warning", "too old"],
  lame_duck: ["logout", "shutting down"],
  no_leader: ["error", "no leader"],
  lagging: ["schedule", "lagging"],
};

/** A state as icon and word, never as a colour alone */
export function chip(state, word) {
  const [symbol, known] = STATES[state] ?? ["help", String(state)];
  return el("span", { class: `nu-chip nu-${state}` }, icon(symbol), el("span", { class: "nu-word" }, word ?? known));
}

/** A sentence whose `names` stand between backticks */
export function sentence(text) {
  return String(text ?? "")
    .split("`")
    .map((part, at, all) => (at % 2 && at < all.length - 1 ? el("code", {}, part) : part));
}

/** Keep a list's elements by key, in the order of `rows`; what is the same keeps its element */
export function keyed(list, rows, key, make, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const kept = new Set();
  let before = list.firstElementChild;
  for (const row of rows) {
    const name = String(key(row));
    let item = old.get(name);
    if (!item) {
      item = make(row);
      item.dataset.key = name;
    }
    update?.(item, row);
    kept.add(item);
    if (item === before) before = before.nextElementSibling;
    else list.insertBefore(item, before);
  }
  for (const child of [...list.children]) if (!kept.has(child)) child.remove();
}
