// Which columns a person sees, how wide they are, and the menu to choose them.

import { el } from "../dom.js";
import { menu } from "./menu.js";

const WIDE = matchMedia("(min-width: 1680px)");

export const isNumber = (column) => !["text", "texts", "time", "yes"].includes(column.type);

export class Columns {
  /** person: for whom the choice is remembered; changed: called after another choice */
  constructor(spec, person, changed) {
    this.spec = spec;
    this.changed = changed;
    this.memory = `nunect.columns.${person}.${spec.name}${spec.view ?? ""}`;
    this.chosen = this.remembered();
  }

  /** The keys of those that are seen */
  get keys() {
    return this.chosen.filter((key) => this.spec.columns[key]);
  }

  /** [[least pixels, share of what is left]] of those that are seen */
  widths() {
    return this.keys.map((key) => {
      const { width = 100, grow, type } = this.spec.columns[key];
      return [width, grow ?? (type === "text" ? width : width / 2)];
    });
  }

  remembered() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.memory));
      if (Array.isArray(kept) && kept.some((key) => this.spec.columns[key])) return kept;
    } catch {
      // what can't be read is as if nothing was kept
    }
    return this.defaults();
  }

  /** Those that everybody begins with; on a wide screen some more */
  defaults() {
    const { columns, defaults, wide = [] } = this.spec;
    return WIDE.matches ? Object.keys(columns).filter((key) => defaults.includes(key) || wide.includes(key)) : defaults;
  }

  choose(keys) {
    this.chosen = keys;
    try {
      localStorage.setItem(this.memory, JSON.stringify(keys));
    } catch {
      // kept for this page only
    }
    this.changed();
  }

  menu() {
    const { columns } = this.spec;
    const list = el("div", { class: "nt-checks" });
    const draw = () => {
      list.replaceChildren(
        ...Object.entries(columns).map(([key, column]) => {
          const box = el("input", { type: "checkbox", value: key });
          box.checked = this.chosen.includes(key);
          box.disabled = Boolean(column.always);
          return el("label", { class: "nt-check" }, box, el("span", {}, column.name ?? column.title));
        }),
      );
    };
    draw();
    list.addEventListener("change", () => {
      const ticked = new Set([...list.querySelectorAll("input:checked")].map((box) => box.value));
      this.choose(Object.keys(columns).filter((key) => ticked.has(key)));
    });
    const back = el("button", { type: "button", class: "nu-button nu-small" }, "As at first");
    back.addEventListener("click", () => {
      this.choose(this.defaults());
      draw();
    });
    return menu("view_column", "Columns", "nt-columns-menu", list, back);
  }
}
