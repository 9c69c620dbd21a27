// What a row looks like: cells side by side, or a card on a phone. A cell is touched only when it says something else.

import { NONE, show } from "../cells.js";
import { el } from "../dom.js";
import { isNumber } from "./columns.js";

export class Painter {
  constructor({ columns, card }) {
    this.columns = columns;
    this.card = card;
  }

  /** An empty row. keys: of its columns, or ["card"] */
  row(keys) {
    const row = el("div", { role: "row", class: "nt-row" });
    row.cells = keys.map((key, number) => {
      const column = this.columns[key];
      const cell = el("div", { role: "gridcell", "aria-colindex": number + 1, class: column && isNumber(column) ? "nt-num" : "" });
      cell.dataset.column = key;
      row.append(cell);
      return { key, cell, said: null };
    });
    return row;
  }

  /** entry: of Pages; undefined while it is being read */
  paint(row, entry) {
    row.classList.toggle("nt-empty", !entry);
    row.classList.toggle("nt-gone", entry?.mark === "gone");
    row.classList.toggle("nt-own", Boolean(entry?.row.own));
    for (const part of row.cells) {
      const said = entry ? this.said(part.key, entry) : "";
      if (part.said === said && part.entry === Boolean(entry)) continue;
      part.said = said;
      part.entry = Boolean(entry);
      if (!entry) part.cell.replaceChildren(el("span", { class: "nt-bone" }));
      else if (part.key === "card") this.fillCard(part.cell, entry.row);
      else this.fill(part.cell, part.key, entry.row);
    }
  }

  /** What a cell says, to see whether it has changed. */
  said(key, entry) {
    if (key !== "card") {
      const column = this.columns[key];
      return `${show(column, key, entry.row)}\n${column.hint?.(entry.row) ?? ""}\n${entry.mark ?? ""}`;
    }
    const { title, about, figures } = this.card;
    return [title, ...about, ...figures].map((one) => show(this.columns[one], one, entry.row)).join("\n") + (entry.row.own ? "own" : "");
  }

  fill(cell, key, row) {
    const column = this.columns[key];
    const text = show(column, key, row);
    const hint = column.hint?.(row) ?? (column.type === "text" ? text : "");
    if (hint) cell.title = hint;
    else cell.removeAttribute("title");
    cell.classList.toggle("nt-zero", row[key] === 0);
    if (column.paint) cell.replaceChildren(...[column.paint(row, text)].flat());
    else cell.textContent = text;
  }

  fillCard(cell, row) {
    const { title, figures, mark, stacked } = this.card;
    const about = this.card.about.filter((key) => show(this.columns[key], key, row) !== NONE);
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
        ...figures.map((key) => el("span", {}, el("i", {}, this.columns[key].short ?? this.columns[key].title), part(key, "b", ""))),
      ),
    );
  }
}
