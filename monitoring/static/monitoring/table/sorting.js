// The order of the rows: heads that one clicks, and a list of all orders where there are no heads.

import { el, icon } from "../dom.js";
import { isNumber } from "./columns.js";

/** The order that a click on a column's head asks for: what people look for first, then the other way round */
export function turned(key, column, ordering) {
  const [first, other] = isNumber(column) || column.type === "time" ? [`-${key}`, key] : [key, `-${key}`];
  return ordering === first ? other : first;
}

/** The row of heads. columns: [[key, column]] */
export function heads(columns, ordering) {
  const row = el("div", { role: "row", class: "nt-row", "aria-rowindex": "1" });
  row.append(...columns.map(([key, column], number) => head(key, column, number + 1, ordering)));
  return row;
}

function head(key, column, place, ordering) {
  const down = ordering.startsWith("-");
  const here = key === ordering.replace("-", "");
  const cell = el("div", { role: "columnheader", "aria-colindex": place, class: isNumber(column) ? "nt-num" : "" });
  const name = el("span", {}, column.title);
  if (column.sort === false) {
    cell.append(name);
    return cell;
  }
  cell.setAttribute("aria-sort", here ? (down ? "descending" : "ascending") : "none");
  cell.append(
    el(
      "button",
      { type: "button", class: "nt-sort", "data-sort": key, title: column.help ?? `Sort by ${column.title.toLowerCase()}` },
      name,
      el("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, here ? (down ? "arrow_downward" : "arrow_upward") : ""),
    ),
  );
  return cell;
}

/** A <select> of all orders. turn: called with the one that was chosen */
export function orders(columns, turn) {
  const select = el("select", { class: "nt-select", "aria-label": "Order" });
  for (const [key, column] of Object.entries(columns)) {
    if (column.sort === false) continue;
    const name = column.name ?? column.title;
    const most = isNumber(column) ? ["most first", "least first"] : column.type === "time" ? ["newest first", "oldest first"] : ["Z to A", "A to Z"];
    select.append(el("option", { value: `-${key}` }, `${name}, ${most[0]}`), el("option", { value: key }, `${name}, ${most[1]}`));
  }
  select.addEventListener("change", () => turn(select.value));
  return select;
}

export const ordersMenu = (select) => el("label", { class: "nt-order" }, icon("swap_vert"), select);
