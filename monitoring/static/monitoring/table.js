// One table for everything that is seen: pages of 100 by REST, and only the visible rows in the document.
// Its parts stand in table/; here they are put together, and here it begins and ends.

import { el, icon } from "./dom.js";
import { get } from "./page.js";
import { Columns } from "./table/columns.js";
import { filterChips, filterMenu } from "./table/filters.js";
import { keyboard } from "./table/keyboard.js";
import { Notices } from "./table/notices.js";
import { Pages } from "./table/pages.js";
import { Question } from "./table/question.js";
import { API, Reading } from "./table/reading.js";
import { Rows } from "./table/rows.js";
import { heads, orders, ordersMenu, turned } from "./table/sorting.js";
import { Stillness } from "./table/stillness.js";

export { API };
const SETTLE = 250; // ms after the last key in the search field
const AGES = 5000; // ms between two paintings of what is in sight: "3 s ago" grows old by itself

export class Table {
  /**
   * root: where it stands; spec: {name, view, one, many, label, columns, defaults, wide, ordering, filters, values, key,
   * card, rowHeight, cardHeight, open, empty, fixed, lookup}. columns: {key: {title, name, type, width, grow, text, hint,
   * paint, help, sort, always}}.
   */
  constructor(root, spec) {
    this.root = root;
    this.spec = { rowHeight: 36, cardHeight: 116, filters: [], fixed: {}, ...spec };
    this.end = new AbortController();
    this.question = new Question(this.spec);
    this.pages = new Pages(spec.key);
    this.columns = new Columns(this.spec, root.dataset.person ?? "", () => this.lay());
    this.rows = new Rows(root, this.spec, this.pages, this.columns, (first, last) => this.reading.need(first, last));
    this.still = new Stillness(this.rows, () => this.release());
    this.reading = new Reading({
      name: spec.name,
      question: this.question,
      pages: this.pages,
      rows: this.rows,
      still: this.still,
      signal: this.end.signal,
      read: ({ whole, first }) => {
        this.render(whole);
        if (first) this.openAsked();
      },
    });
    this.notices = new Notices(this.spec, {
      again: () => this.reading.now(this.pages.count === null),
      update: () => this.update(),
      all: () => this.clear({ filters: {} }),
    });
    this.build();
    this.listen();
    this.reading.now(true);
  }

  destroy() {
    this.end.abort();
    this.root.replaceChildren();
  }

  /** Read what is in sight now. */
  read() {
    return this.reading.now();
  }

  /** Ask for something else. change: of the question */
  ask(change) {
    this.question.change(change);
    this.rows.active = 0;
    this.rows.top(this.heads());
    this.chips();
    this.reading.begin();
  }

  clear(more = {}) {
    this.field.value = "";
    this.ask({ search: "", ...more });
  }

  /** Take the order that waits, though somebody points at the rows. */
  update() {
    return this.still.without(() => {
      this.reading.drop();
      return this.reading.now();
    });
  }

  release() {
    if (this.pages.waits && !this.still.held) this.reading.now();
  }

  // --- what stands there -------------------------------------------------------------------------------------------

  build() {
    const { spec, question } = this;
    this.field = el("input", {
      type: "search",
      class: "nt-search",
      placeholder: `Search ${spec.many}`,
      "aria-label": `Search ${spec.many}`,
      "aria-keyshortcuts": "/",
      value: question.search,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.orders = orders(spec.columns, (ordering) => this.ask({ ordering }));
    this.chipsBox = el("div", { class: "nt-chips" });
    const add = (name, value) => this.ask({ filters: { ...question.filters, [name]: value } });
    this.root.replaceChildren(
      el(
        "div",
        { class: "nt-tools" },
        el("label", { class: "nt-find" }, icon("search"), this.field, el("kbd", { "aria-hidden": "true" }, "/")),
        spec.filters.length ? filterMenu(spec, () => this.pages.rows(), add) : "",
        ordersMenu(this.orders),
        this.columns.menu(),
        el("span", { class: "nt-told" }, this.notices.waiting, this.notices.told),
      ),
      this.chipsBox,
      this.notices.notice,
      this.rows.scroller,
      this.notices.blank,
    );
    this.root.classList.add("nt");
    this.lay();
    this.chips();
  }

  /** Take everything down that depends on the width or the chosen columns. */
  lay() {
    this.rows.lay(this.heads());
    this.render();
  }

  /** Put what is in sight into the document. told: say how many there are, too. */
  render(told = false) {
    this.notices.show(this.pages, this.reading, told);
    this.rows.render();
  }

  heads() {
    const { ordering } = this.question;
    this.orders.value = ordering;
    return heads(this.columns.keys.map((key) => [key, this.spec.columns[key]]), ordering);
  }

  chips() {
    const chips = filterChips(this.question.filters, this.spec.columns, (filters) => {
      this.ask({ filters });
      this.field.focus();
    });
    this.chipsBox.replaceChildren(...chips);
    this.chipsBox.hidden = !chips.length;
  }

  // --- people ----------------------------------------------------------------------------------------------------------

  listen() {
    const { signal } = this.end;
    const on = (target, name, act, options = {}) => target.addEventListener(name, act, { signal, ...options });
    const { field, rows } = this;
    let frame = 0;
    const soon = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        this.render();
      });
    };
    rows.listen(on, {
      changed: () => this.lay(),
      resized: soon,
      scrolled: () => {
        this.still.scrolled();
        soon();
      },
    });
    this.still.listen(on);
    keyboard(on, { field, rows, open: (index) => this.open(index), clear: () => this.clear() });
    let typing = 0;
    on(field, "input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.ask({ search: field.value.trim() }), SETTLE);
    });
    on(rows.head, "click", (event) => {
      const key = event.target.closest("[data-sort]")?.dataset.sort;
      if (key) this.ask({ ordering: turned(key, this.spec.columns[key], this.question.ordering) });
    });
    on(rows.body, "click", (event) => {
      const index = rows.indexOf(event.target);
      if (index === undefined || event.target.closest("a, button") || String(getSelection())) return;
      this.open(index);
    });
    on(document, "visibilitychange", () => !document.hidden && this.reading.plan(true));
    const clock = setInterval(() => {
      if (!document.hidden) this.render();
      this.release();
    }, AGES);
    signal.addEventListener("abort", () => clearInterval(clock));
  }

  // --- one row ---------------------------------------------------------------------------------------------------------

  open(index) {
    const entry = this.pages.entry(index);
    if (!entry || !this.spec.open) return;
    const key = this.spec.key(entry.row);
    this.rows.active = index;
    this.still.reading = true;
    this.spec.open(entry.row, {
      now: () => this.pages.find(key) ?? entry.row,
      closed: () => {
        this.still.reading = false;
        this.rows.go(index);
      },
    });
  }

  /** `?open=KEY` in the address: another page leads to one row. */
  openAsked() {
    const key = this.opened ? null : new URLSearchParams(location.search).get("open");
    this.opened = true;
    if (!key) return;
    const index = this.pages.place(key);
    if (index >= 0) this.open(index);
    else if (this.spec.lookup) this.spec.lookup(key);
    else this.lookup(key);
  }

  /** A row that is not on the first page: by its name, which is its key */
  async lookup(key) {
    const { results } = await get(`${API}${this.spec.name}/`, { [Object.keys(this.spec.columns)[0]]: key, limit: 1 }, this.end.signal).catch(() => ({ results: [] }));
    if (results.length) this.spec.open(results[0], { now: () => this.pages.find(key) ?? results[0], closed: () => {} });
  }
}
