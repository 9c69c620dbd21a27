// What stands in the cells of the tables and in their drawers: words, links, use against limits.

import { chip, el, icon } from "./dom.js";
import { ago, BY_TYPE, bytes, count, exact, limited, NONE } from "./format.js";
import * as links from "./links.js";
import { page } from "./page.js";

export { NONE };
const NEAR = 80; // % of a limit
const FULL = 95;

/** A column's value as text */
export function show(column, key, row) {
  if (column.text) return String(column.text(row[key], row));
  if (column.type === "time") return ago(row[key], page.now());
  if (column.type === "text" || column.type === "texts") return BY_TYPE[column.type](row[key]) || NONE;
  return (BY_TYPE[column.type] ?? String)(row[key]);
}

/** A link that the mouse takes from a row; the keyboard has the same in the row's drawer */
export function link(href, text, title) {
  if (!text) return quiet(NONE);
  return href ? el("a", { class: "nu-link", href, title, tabindex: "-1" }, text) : el("span", { title }, text);
}

export const quiet = (text, title) => el("span", { class: "nu-muted", title }, text);
export const toUser = (row) => (row.user ? link(links.user(row.user_pk), row.user) : quiet("no login"));
export const toAccount = (row) => link(links.account(row.account_pk, row.account), row.account);
export const toStream = (row) => link(links.stream(row.account, row.stream), row.stream);
export const toConsumer = (row) => link(row.durable ? links.consumer(row.account, row.stream, row.consumer) : null, row.consumer);
export const toServer = (row) => link(links.live("servers", { open: row.server }) ?? links.server(row.server), row.server);
export const toRevision = (row) => (row.revision ? link(links.revision(row.revision), `r${row.revision}`) : quiet(NONE));
export const moment = (key) => (row) => exact(row[key]);

/** A moment in words, with the whole of it as title; null when there was none */
export const when = (iso, words = ago(iso, page.now())) => (iso ? el("time", { datetime: iso, title: exact(iso) }, words) : null);

/** How much of a limit is used, in %; null without a limit */
export const share = (used, limit) => (limited(limit) && used !== null && used !== undefined ? (limit > 0 ? (used / limit) * 100 : used > 0 ? 100 : 0) : null);

/** "" below 80 % of a limit, "near" from there, "full" from 95 % on */
export function pressure(used, limit) {
  const part = share(used, limit);
  return part === null || part < NEAR ? "" : part < FULL ? "near" : "full";
}

const percents = (part) => `${part > 0 && part < 1 ? "< 1" : Math.floor(part)} %`;

/** "12 of 100, 12 %" */
export function inUse(used, limit, of = count) {
  const part = share(used, limit);
  return part === null ? of(used) : `${of(used)} of ${of(limit)}, ${percents(part)}`;
}

/** "505 MiB", whose unit is for cards only where the limit beside it has the same */
function value(used, limit, of) {
  const [number, unit] = of(used).split(" ");
  return unit && of(limit).endsWith(` ${unit}`) ? [number, el("span", { class: "nt-unit" }, ` ${unit}`)] : [of(used)];
}

/** A value against its limit: number, limit and share in words, and a bar that repeats them */
export function bar(used, limit, of = count) {
  const part = share(used, limit);
  if (part === null) return el("span", { class: "nt-use" }, el("span", { class: "nt-use-text" }, of(used)));
  const level = pressure(used, limit);
  const track = el("span", { class: "nt-track", "aria-hidden": "true" }, el("span", { class: "nt-level" }));
  track.firstChild.style.width = `${Math.min(100, Math.max(part > 0 ? 2 : 0, part))}%`;
  return el(
    "span",
    { class: `nt-use ${of === bytes ? "nt-bytes" : ""} ${level && `nt-${level}`}` },
    el("span", { class: "nt-use-text" }, value(used, limit, of), el("span", { class: "nu-muted nt-limit" }, ` / ${of(limit)}`)),
    el("span", { class: "nt-use-share" }, level && icon(level === "full" ? "error" : "warning"), percents(part)),
    track,
  );
}

/** A column that shows a value against its limit */
export function useColumn(key, most, title, of = count, more = {}) {
  const words = { near: "near its limit", full: "at its limit" };
  return {
    title,
    type: of === bytes ? "bytes" : "count",
    width: of === bytes ? 144 : 104,
    text: (value, row) => inUse(value, row[most], of),
    hint: (row) => {
      const level = pressure(row[key], row[most]);
      return limited(row[most]) ? `${inUse(row[key], row[most], of)}${level && `: ${words[level]}`}` : `${of(row[key])}; it has no limit of its own`;
    },
    paint: (row) => bar(row[key], row[most], of),
    ...more,
  };
}

export function stateChip(state, detail, word) {
  const made = chip(state, word);
  if (detail) made.title = detail;
  return made;
}

/** An empty page: what it is for, and the first step */
export function firstStep(symbol, sentence, step, ...commands) {
  return [icon(symbol), el("p", {}, el("b", {}, sentence)), el("p", { class: "nu-muted" }, step), ...commands.map((line) => el("pre", { class: "nu-pre" }, line))];
}

/** An empty page of JetStream: the command that makes the first of what it shows */
export const nothingKept = (line) => () => firstStep("database", "Nothing is kept by JetStream yet.", "A stream keeps the messages of its subjects, a consumer reads them at its own pace. In an account with JetStream:", line);
