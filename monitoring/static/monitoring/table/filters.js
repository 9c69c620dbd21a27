// Filters by exact values: the menu that adds one, and a chip for each that holds.

import { el, icon } from "../dom.js";
import { menu } from "./menu.js";

/** spec: the table's; rows: gives the rows whose values are offered; add: called with a name and a value */
export function filterMenu({ name, filters, columns, values = {} }, rows, add) {
  const known = el("datalist", { id: `nt-known-${name}` });
  const which = el("select", { class: "nt-select", "aria-label": "Filter by" });
  for (const filter of filters) which.append(el("option", { value: filter }, columns[filter]?.title ?? filter));
  const value = el("input", { class: "nt-value", "aria-label": "Value", list: known.id, autocomplete: "off", required: true });
  const offer = () => {
    const found = new Set(values[which.value] ?? []);
    for (const row of rows()) if (row[which.value]) found.add(String(row[which.value]));
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
    add(which.value, value.value.trim());
    value.value = "";
  });
  return box;
}

/** A chip for each filter. keep: called with those that are left when one is removed */
export function filterChips(filters, columns, keep) {
  return Object.entries(filters).map(([name, value]) => {
    const title = (columns[name]?.title ?? name).toLowerCase();
    const chip = el(
      "button",
      { type: "button", class: "nt-chip", "data-filter": name, "aria-label": `Remove the filter ${title}: ${value}` },
      el("span", {}, `${title}: `, el("b", {}, value)),
      icon("close"),
    );
    chip.addEventListener("click", () => {
      const { [name]: gone, ...rest } = filters;
      keep(rest);
    });
    return chip;
  });
}
