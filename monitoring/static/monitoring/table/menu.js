// A button that opens a panel: shut by Esc, and by whatever is done outside of it.

import { el, icon } from "../dom.js";

export function menu(symbol, title, cls, ...inside) {
  const box = el("details", { class: `nt-menu ${cls}` }, el("summary", { class: "nu-button" }, icon(symbol), el("span", {}, title)), el("div", { class: "nt-panel" }, ...inside));
  document.addEventListener("pointerdown", (event) => box.contains(event.target) || (box.open = false));
  box.addEventListener("focusout", (event) => event.relatedTarget && !box.contains(event.relatedTarget) && (box.open = false));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !box.open) return;
    box.open = false;
    box.querySelector("summary").focus();
    event.stopPropagation();
  });
  return box;
}
