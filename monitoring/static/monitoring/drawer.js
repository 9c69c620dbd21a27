// What one row opens: everything about it, beside the table. A dialog: Esc closes it, the focus stays inside and goes back.

import { el, icon, keyed, put, sentence } from "./dom.js";
import { KINDS } from "./feed.js";
import { ago, exact } from "./format.js";
import * as links from "./links.js";
import { get, page } from "./page.js";

const SHOWN = 10; // events
const AGAIN = 2000; // ms between two readings of what is open

/**
 * Open a drawer. title: string; about: nodes below it; closed: called when it is closed; again: called every two
 * seconds while it is open and looked at. Answers {body, foot, signal, say, ask, close}.
 */
export function openDrawer({ title, about = [], closed, again }) {
  document.querySelector("dialog.nt-drawer")?.close();
  const end = new AbortController();
  const name = el("h2", { id: "nt-drawer-title" }, title);
  const shut = el("button", { type: "button", class: "nt-shut", "aria-label": "Close" }, icon("close"));
  const body = el("div", { class: "nt-drawer-body" });
  const said = el("div", { class: "nt-said", role: "status" });
  const foot = el("div", { class: "nt-drawer-foot" });
  const dialog = el(
    "dialog",
    { class: "nt-drawer", "aria-labelledby": "nt-drawer-title" },
    el("header", {}, el("div", { class: "nt-drawer-name" }, name, el("div", { class: "nt-drawer-about" }, ...about)), shut),
    body,
    said,
    foot,
  );
  shut.addEventListener("click", () => dialog.close());
  dialog.addEventListener("pointerdown", (event) => event.target === dialog && beyond(event, dialog) && dialog.close());
  dialog.addEventListener("close", () => {
    end.abort();
    dialog.remove();
    closed?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  if (again) {
    const timer = setInterval(() => document.hidden || again(), AGAIN);
    end.signal.addEventListener("abort", () => clearInterval(timer));
  }
  const drawer = {
    body,
    foot,
    signal: end.signal,
    close: () => dialog.close(),
    /** Tell how an act went. level: ok or bad */
    say(level, ...words) {
      said.replaceChildren(el("p", { class: `nt-${level}` }, icon(level === "ok" ? "check_circle" : "error"), el("span", {}, ...words)));
    },
    /** Ask before an act: what it does, its word, and what to do then. The answer is told in the drawer. */
    ask(button, { what, word, danger = true, act }) {
      button.addEventListener("click", () => {
        const yes = el("button", { type: "button", class: `nu-button ${danger ? "nu-danger" : "nu-main"}` }, word);
        const no = el("button", { type: "button", class: "nu-button" }, "Cancel");
        const box = el("div", { class: "nt-ask", role: "group", "aria-label": word }, el("p", {}, ...sentence(what)), el("div", { class: "nu-buttons" }, yes, no));
        const back = () => {
          box.remove();
          foot.hidden = false;
          if (button.isConnected && !button.disabled) button.focus();
          else shut.focus();
        };
        no.addEventListener("click", back);
        box.addEventListener("keydown", (event) => {
          if (event.key !== "Escape") return;
          event.preventDefault(); // leaves the question, not the drawer
          event.stopPropagation();
          back();
        });
        yes.addEventListener("click", async () => {
          yes.disabled = no.disabled = true;
          put(yes, "…");
          try {
            const words = await act();
            drawer.say("ok", ...sentence(words));
          } catch (error) {
            drawer.say("bad", ...sentence(error.message));
          }
          back();
        });
        said.replaceChildren();
        foot.hidden = true;
        foot.before(box);
        no.focus();
      });
    },
  };
  return drawer;
}

function beyond(event, dialog) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

/** Name and value, one below the other; what stays the same is left alone. pairs: [[label, text or node, title]] */
export function facts(list, pairs) {
  keyed(
    list,
    pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== ""),
    ([label]) => label,
    ([label]) => el("div", {}, el("dt", {}, label), el("dd", {})),
    (item, [, value, title]) => {
      const cell = item.lastChild;
      const text = value instanceof Node ? value.outerHTML : String(value);
      if (cell.said === text) return;
      cell.said = text;
      cell.replaceChildren(value);
      cell.querySelectorAll("a[tabindex]").forEach((link) => link.removeAttribute("tabindex"));
      if (title) cell.title = title;
    },
  );
}

/** kind: "", "nt-figures" or "nt-limits" */
export const factList = (kind = "") => el("dl", { class: `nt-facts ${kind}` });

/** A state and why it is so, drawn anew only when they differ. made: the state's chip */
export function tellState(box, made, why) {
  const told = `${made.outerHTML} ${why}`;
  if (box.told !== told) box.replaceChildren(made, why ? el("span", {}, why) : "");
  box.told = told;
}

export function section(title, ...inside) {
  return el("section", {}, el("h3", {}, title), ...inside);
}

/** Links to the other side, as buttons; "" when none may be opened. pairs: [[address or null, words, symbol]] */
export function ways(pairs) {
  const open = pairs.filter(([href]) => href);
  return open.length ? el("nav", { class: "nt-ways", "aria-label": "Elsewhere" }, ...open.map(([href, words, symbol]) => el("a", { class: "nu-button", href }, icon(symbol), words))) : "";
}

/** The last events of something, newest first; what preceded them stands below where the archive knows it */
export function eventList(list, events, none) {
  if (!events?.length) {
    if (list.dataset.none !== none) list.replaceChildren(el("li", { class: "nu-muted" }, none));
    list.dataset.none = none;
    return;
  }
  if (list.dataset.none) list.replaceChildren();
  delete list.dataset.none;
  keyed(list, events, (event) => event.id, eventLine, (item, event) => put(item.querySelector("time"), ago(event.at, page.now())));
}

function eventLine(event) {
  const before = event.preceded_by;
  const number = before?.number ?? event.revision;
  const mark = number ? el(links.revision(number) ? "a" : "span", { class: "nu-link", href: links.revision(number) }, `r${number}`) : null;
  return el(
    "li",
    { class: `nt-event nt-event-${event.level}` },
    icon(KINDS[event.kind]?.[0] ?? "info"),
    el("span", {}, ...sentence(event.text), before ? el("span", { class: "nt-before" }, "the change before it: ", mark, " ", ...sentence(before.text)) : mark && [" ", mark]),
    el("time", { datetime: event.at, title: exact(event.at) }),
  );
}

/** Fill a list with the last events that the archive has. asked: its filters; only: which of them are meant */
export async function recent(list, asked, signal, only) {
  try {
    const { results } = await get(page.events, { limit: only ? 100 : SHOWN, ...asked }, signal);
    eventList(list, (only ? results.filter(only) : results).slice(0, SHOWN), "Nothing is kept of it.");
  } catch (error) {
    if (error.name !== "AbortError") eventList(list, [], error.status === 403 ? error.message : "What happened can't be read now.");
  }
}

/** Change something by REST. Throws an Error with a sentence for people, and the status */
export async function send(method, address, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(address, {
      method,
      body: JSON.stringify(body),
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token(), ...headers },
    });
  } catch {
    throw Object.assign(new Error("nunect does not answer, so it is not known whether that was done: look again in a moment."), { status: 0 });
  }
  const told = await answer.json().catch(() => null);
  if (answer.ok) return told ?? {};
  throw Object.assign(new Error(told?.detail ?? `nunect answered ${answer.status}; nothing is known to have been done.`), { status: answer.status });
}

const token = () => /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
