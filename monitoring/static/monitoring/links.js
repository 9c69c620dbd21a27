// From what a frame names to its page: only where the person may open it.

import { page } from "./page.js";

const query = () => (page.manySystems ? `?system=${encodeURIComponent(page.system)}` : "");

export const revision = (number) => (page.may("revision") && number ? `${page.pages}revision/${number}/${query()}` : null);
export const server = (name) => (page.may("server") && name ? `${page.pages}server/${encodeURIComponent(name)}/${query()}` : null);
export const user = (pk) => (page.may("user") && pk ? `${page.admin}accounts_app/natsuser/${pk}/change/` : null);

/** By primary key where a frame has it, else by name; names of NATS's own ($SYS, $G) may have no row */
export function account(pk, name) {
  if (!page.may("account")) return null;
  if (pk) return `${page.admin}accounts_app/account/${pk}/change/`;
  return name ? `${page.pages}account/${encodeURIComponent(name)}/${query()}` : null;
}

const path = (kind, ...names) => `${page.pages}${kind}/${names.map(encodeURIComponent).join("/")}/${query()}`;

export const stream = (account, name) => (page.may("stream") ? path("stream", account, name) : null);
export const consumer = (account, of, name) => (page.may("consumer") ? path("consumer", account, of, name) : null);

/** A live page with filters: live("connections", {account: "ACME"}); null where the person may not open it */
export function live(name, filters = {}) {
  if (!page.opens(name)) return null;
  const asked = new URLSearchParams(page.manySystems ? { system: page.system } : {});
  for (const [key, value] of Object.entries(filters)) if (value) asked.set(key, value);
  return `${page.pages}${name}/${asked.size ? `?${asked}` : ""}`;
}
