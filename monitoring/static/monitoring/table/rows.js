// The rows in the document: only those in sight and a few around them, of however many there are; one of them is active.

import { el } from "../dom.js";
import { Painter } from "./painting.js";

const AROUND = 6; // rows rendered above and below those in sight
const BONES = 12; // rows shown before it is known how many there are
const GAP = 16; // pixels between columns
const PHONE = matchMedia("(max-width: 767px)");

export class Rows {
  /**
   * root: takes the sizes; spec: the table's; pages: what there is to show; columns: which of it; seen: called with
   * the first and the last index in sight when they were rendered.
   */
  constructor(root, spec, pages, columns, seen) {
    Object.assign(this, { root, spec, pages, columns, seen });
    this.painter = new Painter(spec);
    this.shown = new Map(); // index: element
    this.active = 0; // the index of the row that Tab leads to
    this.head = el("div", { role: "rowgroup", class: "nt-head" });
    this.body = el("div", { role: "rowgroup", class: "nt-body" });
    this.grid = el("div", { role: "grid", class: "nt-grid", "aria-label": spec.label ?? spec.many, "aria-busy": "true" }, this.head, this.body);
    this.scroller = el("div", { class: "nt-scroller" }, this.grid);
  }

  /** Whether somebody stands in a row */
  get focused() {
    return this.body.contains(document.activeElement);
  }

  /** The index of the row that an element is in; undefined when it is in none */
  indexOf(element) {
    return element.closest(".nt-row")?.index;
  }

  busy(yes) {
    if (yes) this.grid.setAttribute("aria-busy", "true");
    else this.grid.removeAttribute("aria-busy");
  }

  /** changed: called when the width asks for cards instead of cells, or for cells again. scrolled, resized: called often */
  listen(on, { changed, scrolled, resized }) {
    on(this.scroller, "scroll", scrolled, { passive: true });
    on(window, "scroll", scrolled, { passive: true });
    on(window, "resize", () => {
      this.fit();
      resized();
    });
    on(PHONE, "change", changed);
    on(this.body, "focusin", (event) => (this.active = this.indexOf(event.target) ?? this.active));
  }

  /** Take everything down that depends on the width or the chosen columns. heads: the row above all */
  lay(heads) {
    this.narrow = PHONE.matches;
    this.root.classList.toggle("nt-narrow", this.narrow);
    this.height = this.narrow ? this.spec.cardHeight : this.spec.rowHeight;
    this.root.style.setProperty("--nt-row", `${this.height}px`);
    const widths = this.columns.widths();
    this.root.style.setProperty("--nt-columns", widths.map(([least, share]) => `minmax(${least}px, ${share}fr)`).join(" "));
    this.root.style.setProperty("--nt-width", `${widths.reduce((sum, [least]) => sum + least + GAP, 24 - GAP)}px`);
    this.shown.clear();
    this.body.replaceChildren();
    this.grid.setAttribute("aria-colcount", this.narrow ? 1 : widths.length);
    this.top(heads);
    this.fit();
  }

  /** Replace the row of heads; who stands in one stays there */
  top(heads) {
    const focused = document.activeElement?.dataset?.sort;
    this.head.replaceChildren(heads);
    if (focused) this.head.querySelector(`[data-sort="${focused}"]`)?.focus();
  }

  fit() {
    const top = this.scroller.getBoundingClientRect().top + scrollY;
    this.root.style.setProperty("--nt-top", `${Math.round(top) + 24}px`);
  }

  /** [first, last] index */
  inSight() {
    const box = this.body.getBoundingClientRect();
    const frame = this.scroller.getBoundingClientRect();
    const [top, bottom] = this.narrow ? [0, innerHeight] : [Math.max(frame.top, 0), Math.min(frame.bottom, innerHeight)];
    const last = Math.max(0, (this.pages.count ?? 0) - 1);
    const at = (y) => Math.min(last, Math.max(0, Math.floor((y - box.top) / this.height)));
    return [at(top), at(Math.max(top, bottom))];
  }

  /** Put what is in sight into the document. */
  render() {
    const { count } = this.pages;
    const size = count ?? BONES;
    this.scroller.hidden = count === 0;
    this.body.style.height = `${size * this.height}px`;
    this.grid.setAttribute("aria-rowcount", count === null ? -1 : count + 1);
    const [first, last] = count === null ? [0, BONES - 1] : this.inSight();
    const from = Math.max(0, first - AROUND);
    const to = Math.min(size - 1, last + AROUND);
    const wanted = new Set();
    for (let index = from; index <= to; index += 1) wanted.add(index);
    const { focused } = this;
    if (focused && this.active < (count ?? 0)) wanted.add(this.active);
    const free = [];
    for (const [index, row] of this.shown) {
      if (!wanted.has(index)) {
        this.shown.delete(index);
        free.push(row);
      }
    }
    if (count && (this.active < from || this.active > to) && !focused) this.active = Math.min(first, count - 1);
    for (const index of wanted) {
      let row = this.shown.get(index);
      if (!row) {
        row = free.pop() ?? this.painter.row(this.narrow ? ["card"] : this.columns.keys);
        if (!row.isConnected) this.body.append(row);
        this.place(row, index);
        this.shown.set(index, row);
      }
      row.tabIndex = index === this.active ? 0 : -1;
      this.painter.paint(row, this.pages.entry(index));
    }
    free.forEach((row) => row.remove());
    if (count) this.seen(first, last);
  }

  place(row, index) {
    row.index = index;
    row.style.transform = `translateY(${index * this.height}px)`;
    row.setAttribute("aria-rowindex", index + 2);
    row.classList.toggle("nt-odd", index % 2 === 1);
  }

  /** Stand in a row. */
  go(index) {
    const { count } = this.pages;
    if (!count) return;
    this.active = Math.min(count - 1, Math.max(0, index));
    let row = this.shown.get(this.active);
    if (!row) {
      this.scrollNear(this.active);
      this.render();
      row = this.shown.get(this.active);
    }
    for (const other of this.shown.values()) other.tabIndex = other === row ? 0 : -1;
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  }

  scrollNear(index) {
    if (this.narrow) scrollTo(0, this.body.getBoundingClientRect().top + scrollY + index * this.height - innerHeight / 2);
    else this.scroller.scrollTop = index * this.height - this.scroller.clientHeight / 2;
  }

  toTop() {
    if (!this.narrow) this.scroller.scrollTop = 0;
    else if (this.body.getBoundingClientRect().top < 0) this.root.scrollIntoView();
  }
}
