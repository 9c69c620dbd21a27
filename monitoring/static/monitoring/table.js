// One table for everything that is seen: pages of 100 by REST, and only the visible rows in the document.
// While somebody points at it or stands in it, rows keep their place: values change, the order waits.

import { NONE, show } from "./cells.js";
import { el, icon, put } from "./dom.js";
import { count } from "./format.js";
import { get } from "./page.js";
import { live } from "./socket.js";

const PAGE = 100;
const KEPT = 12; // pages held beyond those in sight
const AROUND = 6; // rows rendered above and below those in sight
const EVERY = 2000; // ms between two readings of the same rows
const POLL = 5000; // ms without a socket
const SLOWEST = 30000;
const SETTLE = 250; // ms after the last key in the search field
const GAP = 16; // pixels between columns
const LONGEST = 15000; // ms for an answer
export const API = "/api/v1/live/";
const WIDE = matchMedia("(min-width: 1680px)");
const PHONE = matchMedia("(max-width: 767px)");

const editable = (target) => target.closest?.("input, select, textarea, [contenteditable], dialog");

export class Table {
  /**
   * root: where it stands; spec: {name, address, one, many, columns, defaults, ordering, filters, key, card, rowHeight,
   * cardHeight, open, empty, fixed, lookup}. columns: {key: {title, type, width, text, hint, paint, help, sort}}.
   */
  constructor(root, spec) {
    this.root = root;
    this.spec = { rowHeight: 36, cardHeight: 116, filters: [], fixed: {}, ...spec };
    this.pages = new Map(); // number: {rows: [{row, mark}], stale}
    this.asked = new Set();
    this.shown = new Map(); // index: element
    this.count = this.total = null;
    this.generation = 0;
    this.active = 0;
    this.delay = EVERY;
    this.end = new AbortController();
    this.chosen = this.remembered();
    this.fromAddress();
    this.build();
    this.listen();
    this.read(true);
  }

  destroy() {
    this.end.abort();
    clearTimeout(this.timer);
    clearInterval(this.clock);
    this.root.replaceChildren();
  }

  // --- what is asked for ---------------------------------------------------------------------------------------

  fromAddress() {
    const given = new URLSearchParams(location.search);
    this.search = given.get("search") ?? "";
    const ordering = given.get("ordering") ?? "";
    this.ordering = this.spec.columns[ordering.replace("-", "")] ? ordering : this.spec.ordering;
    this.filters = Object.fromEntries(this.spec.filters.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
  }

  toAddress() {
    const address = new URL(location.href);
    const asked = address.searchParams;
    for (const name of ["search", "ordering", "open", ...this.spec.filters]) asked.delete(name);
    if (this.search) asked.set("search", this.search);
    if (this.ordering !== this.spec.ordering) asked.set("ordering", this.ordering);
    for (const [name, value] of Object.entries(this.filters)) asked.set(name, value);
    history.replaceState(history.state, "", address);
  }

  ask(change) {
    Object.assign(this, change);
    this.toAddress();
    this.generation += 1;
    this.active = 0;
    this.asked.clear();
    this.grid.setAttribute("aria-busy", "true");
    this.headers();
    this.chips();
    this.read(true);
  }

  query(offset, limit) {
    return {
      limit,
      offset,
      ordering: this.ordering,
      ...(this.search && { search: this.search }),
      ...this.filters,
      ...this.spec.fixed,
    };
  }

  // --- reading -------------------------------------------------------------------------------------------------

  /** Ask again for what is in sight. first: begin at the top, with another question. */
  async read(first = false) {
    clearTimeout(this.timer);
    this.timer = 0;
    if (document.hidden && !first) return;
    const generation = this.generation;
    let [from, to] = first ? [0, 0] : this.inSight().map((index) => Math.floor(index / PAGE));
    if (this.held() && !first) [from, to] = [Math.max(0, from - 1), Math.min(to + 1, this.lastPage())];
    if (to - from > 3) to = from + 3;
    this.lastRead = Date.now();
    try {
      const answer = await this.fetch(from, to);
      if (generation !== this.generation) return;
      this.answered(answer, from, to, first);
    } catch (error) {
      if (this.end.signal.aborted || generation !== this.generation) return;
      this.failed(error);
    }
    this.plan();
  }

  plan(soon = false) {
    if (this.end.signal.aborted || document.hidden) return;
    const rest = this.problem ? this.delay : soon || this.behind() ? EVERY : Date.now() - this.heard < POLL ? SLOWEST : POLL;
    const wait = Math.max(0, (this.lastRead ?? 0) + rest - Date.now());
    if (this.timer && this.due <= Date.now() + wait) return;
    clearTimeout(this.timer);
    this.due = Date.now() + wait;
    this.timer = setTimeout(() => this.read(), wait);
  }

  /** Whether the socket has told of rows that are newer than those read. */
  behind() {
    return this.news !== this.newsRead;
  }

  async fetch(from, to) {
    this.newsRead = this.news;
    const signal = AbortSignal.any([this.end.signal, AbortSignal.timeout(LONGEST)]);
    return get(`${API}${this.spec.name}/`, this.query(from * PAGE, (to - from + 1) * PAGE), signal);
  }

  answered(answer, from, to, first) {
    this.problem = null;
    this.delay = EVERY;
    Object.assign(this, { total: answer.total, at: answer.at });
    const rows = answer.results;
    if (first) {
      this.pages.clear();
      this.waits = false;
      if (this.began) this.toTop();
      this.began = true;
    }
    if (!first && this.held() && this.count) this.merge(rows, from, to, answer.count);
    else this.replace(rows, from, to, answer.count);
    this.grid.removeAttribute("aria-busy");
    this.render(true);
    if (first) this.openAsked();
  }

  replace(rows, from, to, counted) {
    for (const page of this.pages.values()) page.stale = true;
    this.store(rows, from, to);
    this.count = this.counted = counted;
    this.waits = false;
    this.forget();
  }

  store(rows, from, to) {
    for (let number = from; number <= to; number += 1) {
      const part = rows.slice((number - from) * PAGE, (number - from + 1) * PAGE);
      if (part.length || number === 0) this.pages.set(number, { rows: part.map((row) => ({ row })), stale: false });
      else this.pages.delete(number);
    }
  }

  /** New values for the rows where they stand; what the answer lacks is gone, or has moved out of it. */
  merge(rows, from, to, counted) {
    const { key } = this.spec;
    const fresh = new Map(rows.map((row) => [key(row), row]));
    const whole = from === 0 && rows.length >= counted;
    for (const [number, page] of this.pages) {
      if (number < from || number > to) {
        page.stale = true;
        continue;
      }
      page.stale = false;
      for (const entry of page.rows) {
        const found = fresh.get(key(entry.row));
        if (found) entry.row = found;
        entry.mark = found ? "" : whole ? "gone" : "away";
        fresh.delete(key(entry.row));
      }
    }
    const first = this.pages.get(0);
    if (whole && this.pages.size === 1) {
      for (const row of fresh.values()) if (first.rows.length < PAGE) first.rows.push({ row });
      this.count = first.rows.length;
    }
    this.counted = counted;
    this.waits = rows.some((row, at) => {
      const stands = this.entry(from * PAGE + at);
      return stands && key(stands.row) !== key(row);
    });
    this.waits ||= first?.rows.some((entry) => entry.mark === "gone") ?? false;
  }

  failed(error) {
    this.problem = error;
    this.grid.removeAttribute("aria-busy");
    this.delay = Math.min(this.delay * 2, SLOWEST);
    this.render();
  }

  /** Read pages that have come into sight and are not there, or are old. */
  async need() {
    const [first, last] = this.inSight();
    const wanted = [];
    for (let number = Math.floor(first / PAGE); number <= Math.floor(last / PAGE); number += 1) {
      const page = this.pages.get(number);
      if ((!page || page.stale) && !this.asked.has(number) && number <= this.lastPage()) wanted.push(number);
    }
    if (!wanted.length || this.count === null) return;
    const generation = this.generation;
    wanted.forEach((number) => this.asked.add(number));
    try {
      const [from, to] = [wanted[0], wanted.at(-1)];
      const answer = await this.fetch(from, to);
      if (generation !== this.generation) return;
      this.store(answer.results, from, to);
      if (!this.held()) this.count = answer.count;
      this.forget();
      this.render();
    } catch (error) {
      if (!this.end.signal.aborted && generation === this.generation) this.failed(error), this.plan();
    } finally {
      wanted.forEach((number) => this.asked.delete(number));
    }
  }

  forget() {
    const middle = Math.floor(this.inSight()[0] / PAGE);
    const far = [...this.pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const number of far.slice(0, Math.max(0, far.length - KEPT))) this.pages.delete(number);
  }

  lastPage() {
    return Math.max(0, Math.ceil((this.count ?? 0) / PAGE) - 1);
  }

  entry(index) {
    return this.pages.get(Math.floor(index / PAGE))?.rows[index % PAGE];
  }

  // --- keeping still ---------------------------------------------------------------------------------------------

  held() {
    return this.pointed || this.reading || this.body.contains(document.activeElement) || Date.now() < (this.still ?? 0);
  }

  release() {
    if (this.waits && !this.held()) this.read();
  }

  // --- what stands there -------------------------------------------------------------------------------------------

  build() {
    const { spec } = this;
    this.field = el("input", {
      type: "search",
      class: "nt-search",
      placeholder: `Search ${spec.many}`,
      "aria-label": `Search ${spec.many}`,
      "aria-keyshortcuts": "/",
      value: this.search,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.chipsBox = el("div", { class: "nt-chips" });
    this.told = el("span", { class: "nt-count", role: "status" });
    this.waiting = el(
      "button",
      { type: "button", class: "nt-waits", hidden: true, title: "Rows keep their place while you point at them" },
      icon("pause"),
      el("span", {}, "Order held: update"),
    );
    this.notice = el("div", { class: "nt-notice", role: "alert", hidden: true });
    this.head = el("div", { role: "rowgroup", class: "nt-head" });
    this.body = el("div", { role: "rowgroup", class: "nt-body" });
    this.grid = el("div", { role: "grid", class: "nt-grid", "aria-label": spec.label ?? spec.many, "aria-busy": "true" }, this.head, this.body);
    this.blank = el("div", { class: "nt-blank", hidden: true });
    this.scroller = el("div", { class: "nt-scroller" }, this.grid);
    this.sorter = this.sortMenu();
    this.root.replaceChildren(
      el(
        "div",
        { class: "nt-tools" },
        el("label", { class: "nt-find" }, icon("search"), this.field, el("kbd", { "aria-hidden": "true" }, "/")),
        spec.filters.length ? this.filterMenu() : "",
        this.sorter,
        this.columnMenu(),
        el("span", { class: "nt-told" }, this.waiting, this.told),
      ),
      this.chipsBox,
      this.notice,
      this.scroller,
      this.blank,
    );
    this.root.classList.add("nt");
    this.mode();
    this.chips();
  }

  columns() {
    return this.chosen.filter((key) => this.spec.columns[key]);
  }

  /** Take everything down that depends on the width or the chosen columns. */
  mode() {
    this.narrow = PHONE.matches;
    this.root.classList.toggle("nt-narrow", this.narrow);
    this.height = this.narrow ? this.spec.cardHeight : this.spec.rowHeight;
    this.root.style.setProperty("--nt-row", `${this.height}px`);
    const widths = this.columns().map((key) => this.width(key));
    this.root.style.setProperty("--nt-columns", widths.map(([least, share]) => `minmax(${least}px, ${share}fr)`).join(" "));
    this.root.style.setProperty("--nt-width", `${widths.reduce((sum, [least]) => sum + least + GAP, 24 - GAP)}px`);
    this.shown.clear();
    this.body.replaceChildren();
    this.headers();
    this.fit();
    this.render();
  }

  width(key) {
    const { width = 100, grow, type } = this.spec.columns[key];
    return [width, grow ?? (type === "text" ? width : width / 2)];
  }

  fit() {
    const top = this.scroller.getBoundingClientRect().top + scrollY;
    this.root.style.setProperty("--nt-top", `${Math.round(top) + 24}px`);
  }

  headers() {
    const sorted = this.ordering.replace("-", "");
    const down = this.ordering.startsWith("-");
    this.grid.setAttribute("aria-colcount", this.narrow ? 1 : this.columns().length);
    const row = el("div", { role: "row", class: "nt-row", "aria-rowindex": "1" });
    for (const [number, key] of this.columns().entries()) {
      const column = this.spec.columns[key];
      const here = key === sorted;
      const name = el("span", {}, column.title);
      const inside =
        column.sort === false
          ? [name]
          : [
              el(
                "button",
                { type: "button", class: "nt-sort", "data-sort": key, title: column.help ?? `Sort by ${column.title.toLowerCase()}` },
                name,
                el("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, here ? (down ? "arrow_downward" : "arrow_upward") : ""),
              ),
            ];
      const cell = el("div", { role: "columnheader", "aria-colindex": number + 1, class: isNumber(column) ? "nt-num" : "" }, ...inside);
      if (column.sort !== false) cell.setAttribute("aria-sort", here ? (down ? "descending" : "ascending") : "none");
      row.append(cell);
    }
    const focused = document.activeElement?.dataset?.sort;
    this.head.replaceChildren(row);
    if (focused) this.head.querySelector(`[data-sort="${focused}"]`)?.focus();
    if (this.sorter) this.sorter.querySelector("select").value = this.ordering;
  }

  sort(key) {
    const first = isNumber(this.spec.columns[key]) || this.spec.columns[key].type === "time" ? `-${key}` : key;
    const other = first.startsWith("-") ? key : `-${key}`;
    this.ask({ ordering: this.ordering === first ? other : first });
  }

  sortMenu() {
    const select = el("select", { class: "nt-select", "aria-label": "Order" });
    for (const [key, column] of Object.entries(this.spec.columns)) {
      if (column.sort === false) continue;
      const name = column.name ?? column.title;
      const most = isNumber(column) ? ["most first", "least first"] : column.type === "time" ? ["newest first", "oldest first"] : ["Z to A", "A to Z"];
      select.append(el("option", { value: `-${key}` }, `${name}, ${most[0]}`), el("option", { value: key }, `${name}, ${most[1]}`));
    }
    select.value = this.ordering;
    select.addEventListener("change", () => this.ask({ ordering: select.value }));
    return el("label", { class: "nt-order" }, icon("swap_vert"), select);
  }

  columnMenu() {
    const list = el("div", { class: "nt-checks" });
    const draw = () => {
      list.replaceChildren(
        ...Object.entries(this.spec.columns).map(([key, column]) => {
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
      this.choose(Object.keys(this.spec.columns).filter((key) => ticked.has(key)));
    });
    const back = el("button", { type: "button", class: "nu-button nu-small" }, "As at first");
    back.addEventListener("click", () => {
      this.choose(this.defaults());
      draw();
    });
    return menu("view_column", "Columns", "nt-columns-menu", list, back);
  }

  filterMenu() {
    const { filters, columns, values = {} } = this.spec;
    const known = el("datalist", { id: `nt-known-${this.spec.name}` });
    const which = el("select", { class: "nt-select", "aria-label": "Filter by" });
    for (const name of filters) which.append(el("option", { value: name }, columns[name]?.title ?? name));
    const value = el("input", { class: "nt-value", "aria-label": "Value", list: known.id, autocomplete: "off", required: true });
    const offer = () => {
      const found = new Set(values[which.value] ?? []);
      for (const page of this.pages.values()) for (const { row } of page.rows) if (row[which.value]) found.add(String(row[which.value]));
      known.replaceChildren(...[...found].sort().slice(0, 100).map((one) => el("option", { value: one })));
      value.placeholder = `${(columns[which.value]?.title ?? which.value).toLowerCase()}, exactly`;
    };
    offer();
    which.addEventListener("change", offer);
    value.addEventListener("focus", offer);
    const form = el("form", { class: "nt-form" }, which, value, known, el("button", { class: "nu-button nu-small" }, "Show only these"));
    const box = menu("filter_list", "Filter", "nt-filter-menu", form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      box.open = false;
      this.ask({ filters: { ...this.filters, [which.value]: value.value.trim() } });
      value.value = "";
    });
    return box;
  }

  chips() {
    const made = Object.entries(this.filters).map(([name, value]) => {
      const title = (this.spec.columns[name]?.title ?? name).toLowerCase();
      const chip = el(
        "button",
        { type: "button", class: "nt-chip", "data-filter": name, "aria-label": `Remove the filter ${title}: ${value}` },
        el("span", {}, `${title}: `, el("b", {}, value)),
        icon("close"),
      );
      chip.addEventListener("click", () => {
        const { [name]: gone, ...rest } = this.filters;
        this.ask({ filters: rest });
        this.field.focus();
      });
      return chip;
    });
    this.chipsBox.replaceChildren(...made);
    this.chipsBox.hidden = !made.length;
  }

  // --- rows ----------------------------------------------------------------------------------------------------------

  inSight() {
    const box = this.body.getBoundingClientRect();
    const frame = this.scroller.getBoundingClientRect();
    const [top, bottom] = this.narrow ? [0, innerHeight] : [Math.max(frame.top, 0), Math.min(frame.bottom, innerHeight)];
    const last = Math.max(0, (this.count ?? 0) - 1);
    const at = (y) => Math.min(last, Math.max(0, Math.floor((y - box.top) / this.height)));
    return [at(top), at(Math.max(top, bottom))];
  }

  /** Put what is in sight into the document. told: say how many there are, too. */
  render(told = false) {
    if (!this.body) return;
    this.tell(told);
    const empty = !this.count;
    this.scroller.hidden = empty && this.count !== null;
    this.body.style.height = `${(this.count ?? 12) * this.height}px`;
    this.grid.setAttribute("aria-rowcount", this.count === null ? -1 : this.count + 1);
    const [first, last] = this.count === null ? [0, 11] : this.inSight();
    const from = Math.max(0, first - AROUND);
    const to = Math.min((this.count ?? 12) - 1, last + AROUND);
    const wanted = new Set();
    for (let index = from; index <= to; index += 1) wanted.add(index);
    const focused = this.body.contains(document.activeElement);
    if (focused && this.active < (this.count ?? 0)) wanted.add(this.active);
    const free = [];
    for (const [index, row] of this.shown) {
      if (!wanted.has(index)) {
        this.shown.delete(index);
        free.push(row);
      }
    }
    if (!empty && (this.active < from || this.active > to) && !focused) this.active = Math.min(first, this.count - 1);
    for (const index of wanted) {
      let row = this.shown.get(index);
      if (!row) {
        row = free.pop() ?? this.makeRow();
        if (!row.isConnected) this.body.append(row);
        this.place(row, index);
        this.shown.set(index, row);
      }
      this.paint(row, index);
    }
    free.forEach((row) => row.remove());
    if (this.count) this.need();
  }

  makeRow() {
    const row = el("div", { role: "row", class: "nt-row" });
    const parts = this.narrow ? ["card"] : this.columns();
    row.cells = parts.map((key, number) => {
      const column = this.spec.columns[key];
      const cell = el("div", { role: "gridcell", "aria-colindex": number + 1, class: column && isNumber(column) ? "nt-num" : "" });
      cell.dataset.column = key;
      row.append(cell);
      return { key, cell, said: null };
    });
    return row;
  }

  place(row, index) {
    row.index = index;
    row.style.transform = `translateY(${index * this.height}px)`;
    row.setAttribute("aria-rowindex", index + 2);
    row.classList.toggle("nt-odd", index % 2 === 1);
  }

  paint(row, index) {
    const entry = this.entry(index);
    row.tabIndex = index === this.active ? 0 : -1;
    row.classList.toggle("nt-empty", !entry);
    row.classList.toggle("nt-gone", entry?.mark === "gone");
    row.classList.toggle("nt-own", Boolean(entry?.row.own));
    for (const part of row.cells) {
      const said = entry ? this.said(part.key, entry) : "";
      if (part.said === said && part.entry === Boolean(entry)) continue;
      part.said = said;
      part.entry = Boolean(entry);
      if (!entry) part.cell.replaceChildren(el("span", { class: "nt-bone" }));
      else if (part.key === "card") this.card(part.cell, entry.row);
      else this.fill(part.cell, part.key, entry.row);
    }
  }

  /** What a cell says, to see whether it has changed. */
  said(key, entry) {
    if (key !== "card") {
      const column = this.spec.columns[key];
      return `${show(column, key, entry.row)}\n${column.hint?.(entry.row) ?? ""}\n${entry.mark ?? ""}`;
    }
    const { title, about, figures } = this.spec.card;
    return [title, ...about, ...figures].map((one) => show(this.spec.columns[one], one, entry.row)).join("\n") + (entry.row.own ? "own" : "");
  }

  fill(cell, key, row) {
    const column = this.spec.columns[key];
    const text = show(column, key, row);
    const hint = column.hint?.(row) ?? (column.type === "text" ? text : "");
    if (hint) cell.title = hint;
    else cell.removeAttribute("title");
    cell.classList.toggle("nt-zero", row[key] === 0);
    if (column.paint) cell.replaceChildren(...[column.paint(row, text)].flat());
    else cell.textContent = text;
  }

  card(cell, row) {
    const { title, figures, mark, stacked } = this.spec.card;
    const about = this.spec.card.about.filter((key) => show(this.spec.columns[key], key, row) !== NONE);
    const part = (key, tag, cls) => {
      const made = el(tag, { class: cls });
      this.fill(made, key, row);
      return made;
    };
    cell.replaceChildren(
      el("div", { class: "nt-card-top" }, part(title, "b", "nt-card-title"), mark ? part(mark, "span", "nt-card-mark") : ""),
      el("div", { class: `nt-card-about ${stacked ? "nt-stacked" : ""}` }, ...about.map((key) => part(key, "span", ""))),
      el(
        "div",
        { class: "nt-card-figures" },
        ...figures.map((key) => el("span", {}, el("i", {}, this.spec.columns[key].short ?? this.spec.columns[key].title), part(key, "b", ""))),
      ),
    );
  }

  tell(told) {
    const { spec } = this;
    this.waiting.hidden = !this.waits;
    this.fault();
    if (this.count === null) return;
    const narrowed = this.counted !== this.total;
    const text = `${count(this.counted)}${narrowed ? ` of ${count(this.total)}` : ""} ${this.total === 1 ? spec.one : spec.many}`;
    if (told) put(this.told, text);
    this.emptiness();
  }

  emptiness() {
    const kind = this.count ? "" : this.problem ? "" : this.total ? "none" : this.at ? "empty" : "never";
    this.blank.hidden = !kind;
    if (this.blank.dataset.kind === kind && kind !== "none") return;
    this.blank.dataset.kind = kind;
    if (kind === "none") {
      const clear = el("button", { type: "button", class: "nu-button" }, `Show all ${count(this.total)}`);
      clear.addEventListener("click", () => {
        this.field.value = "";
        this.ask({ search: "", filters: {} });
      });
      this.blank.replaceChildren(icon("filter_list_off"), el("p", {}, `No ${this.spec.one} is like that.`), clear);
    } else if (kind === "empty") this.blank.replaceChildren(...this.spec.empty());
    else if (kind === "never") {
      this.blank.replaceChildren(
        icon("visibility_off"),
        el("p", {}, "Nothing has been seen of the servers yet."),
        el("p", { class: "nu-muted" }, "The relay fills this page as soon as it reaches a server; it asks again by itself. To see what keeps it:"),
        el("pre", { class: "nu-pre" }, "nunect doctor"),
      );
    }
  }

  fault() {
    const { problem } = this;
    this.notice.hidden = !problem;
    const said = problem ? problem.message : "";
    if (this.notice.dataset.said === said) return;
    this.notice.dataset.said = said;
    if (!problem) return;
    const out = problem.status === 401;
    const again = el("button", { type: "button", class: "nu-button nu-small" }, out ? "Sign in" : "Try now");
    again.addEventListener("click", () => (out ? location.reload() : this.read(this.count === null)));
    this.notice.replaceChildren(
      icon("error"),
      el("span", {}, el("b", {}, said), " ", out ? "" : this.count === null ? "It is asked again by itself." : "What you see is from before; it is asked again by itself."),
      again,
    );
  }

  // --- people ----------------------------------------------------------------------------------------------------------

  listen() {
    const { signal } = this.end;
    const on = (target, name, act, options = {}) => target.addEventListener(name, act, { signal, ...options });
    let frame = 0;
    const soon = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        this.render();
      });
    };
    const scrolled = () => {
      this.still = Date.now() + 1500;
      soon();
    };
    on(this.scroller, "scroll", scrolled, { passive: true });
    on(window, "scroll", scrolled, { passive: true });
    on(window, "resize", () => {
      this.fit();
      soon();
    });
    on(PHONE, "change", () => this.mode());
    on(this.field, "input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.ask({ search: this.field.value.trim() }), SETTLE);
    });
    on(this.field, "keydown", (event) => {
      if (event.key === "Escape" && this.field.value) {
        event.preventDefault();
        this.field.value = "";
        this.ask({ search: "" });
      } else if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        this.go(0);
      }
    });
    on(this.head, "click", (event) => {
      const button = event.target.closest("[data-sort]");
      if (button) this.sort(button.dataset.sort);
    });
    on(this.waiting, "click", () => {
      this.waiting.blur();
      this.forced();
    });
    on(this.body, "pointerenter", (event) => (this.pointed = event.pointerType === "mouse"));
    on(this.body, "pointerleave", () => {
      this.pointed = false;
      this.release();
    });
    on(this.body, "pointerdown", () => (this.still = Date.now() + 4000));
    on(this.body, "focusout", () => setTimeout(() => this.release(), 0));
    on(this.body, "focusin", (event) => {
      const row = event.target.closest(".nt-row");
      if (row) this.active = row.index;
    });
    on(this.body, "click", (event) => {
      const row = event.target.closest(".nt-row");
      if (!row || event.target.closest("a, button") || String(getSelection())) return;
      this.open(row.index);
    });
    on(this.body, "keydown", (event) => this.key(event));
    on(document, "keydown", (event) => this.shortcut(event));
    on(document, "visibilitychange", () => !document.hidden && this.plan(true));
    const stop = live.on("tables", (data) => {
      this.heard = Date.now();
      this.news = data[this.spec.name]?.seq;
      if (this.behind()) this.plan(true);
    });
    signal.addEventListener("abort", stop);
    this.clock = setInterval(() => {
      if (!document.hidden) this.render();
      this.release();
    }, 5000);
  }

  async forced() {
    const { pointed } = this;
    Object.assign(this, { pointed: false, still: 0 });
    if (this.body.contains(document.activeElement)) document.activeElement.blur();
    this.generation += 1;
    await this.read();
    this.pointed = pointed;
  }

  key(event) {
    if (event.target.closest("a, button") || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, this.inSight()[1] - this.inSight()[0] - 1);
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page };
    if (event.key in steps) this.go(this.active + steps[event.key]);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.count - 1);
    else if (event.key === "Enter" || event.key === " ") this.open(this.active);
    else if (event.key === "Escape") document.activeElement.blur();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  shortcut(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || editable(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "/") this.field.focus(), this.field.select();
    else if (event.key === "j" || event.key === "k") this.go(this.active);
    else return;
    event.preventDefault();
  }

  /** Stand in a row. */
  go(index) {
    if (!this.count) return;
    this.active = Math.min(this.count - 1, Math.max(0, index));
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

  open(index) {
    const entry = this.entry(index);
    if (!entry || !this.spec.open) return;
    const key = this.spec.key(entry.row);
    this.active = index;
    this.reading = true;
    this.spec.open(entry.row, {
      now: () => this.find(key) ?? entry.row,
      closed: () => {
        this.reading = false;
        this.go(index);
      },
    });
  }

  find(key) {
    for (const page of this.pages.values()) for (const entry of page.rows) if (this.spec.key(entry.row) === key) return entry.row;
    return undefined;
  }

  /** `?open=KEY` in the address: another page leads to one row. */
  openAsked() {
    const key = this.opened ? null : new URLSearchParams(location.search).get("open");
    this.opened = true;
    if (!key) return;
    const row = this.find(key);
    if (row) this.open([...Array(this.count).keys()].find((index) => this.entry(index)?.row === row));
    else if (this.spec.lookup) this.spec.lookup(key);
    else this.lookup(key);
  }

  /** A row that is not on the first page: by its name, which is its key */
  async lookup(key) {
    const { results } = await get(`${API}${this.spec.name}/`, { [Object.keys(this.spec.columns)[0]]: key, limit: 1 }, this.end.signal).catch(() => ({ results: [] }));
    if (results.length) this.spec.open(results[0], { now: () => this.find(key) ?? results[0], closed: () => {} });
  }

  // --- columns of a person -------------------------------------------------------------------------------------------

  remembered() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.memory()));
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
      localStorage.setItem(this.memory(), JSON.stringify(keys));
    } catch {
      // kept for this page only
    }
    this.mode();
  }

  memory() {
    return `nunect.columns.${this.root.dataset.person ?? ""}.${this.spec.name}${this.spec.view ?? ""}`;
  }
}

const isNumber = (column) => !["text", "texts", "time", "yes"].includes(column.type);

function menu(symbol, title, cls, ...inside) {
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
