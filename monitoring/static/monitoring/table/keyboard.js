// The keys of a table: / to search, j and k or the arrows to walk, Enter to open, Esc to leave.

const editable = (target) => target.closest?.("input, select, textarea, [contenteditable], dialog");
const withModifier = (event) => event.ctrlKey || event.metaKey || event.altKey;

/** field: where one searches; rows: of the table; open: opens a row; clear: searches for nothing */
export function keyboard(on, { field, rows, open, clear }) {
  on(field, "keydown", (event) => {
    if (event.key === "Escape" && field.value) {
      event.preventDefault();
      clear();
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      rows.go(0);
    }
  });
  on(rows.body, "keydown", (event) => {
    if (event.target.closest("a, button") || withModifier(event)) return;
    const [first, last] = rows.inSight();
    const page = Math.max(1, last - first - 1);
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page };
    if (event.key in steps) rows.go(rows.active + steps[event.key]);
    else if (event.key === "Home") rows.go(0);
    else if (event.key === "End") rows.go(rows.pages.count - 1);
    else if (event.key === "Enter" || event.key === " ") open(rows.active);
    else if (event.key === "Escape") document.activeElement.blur();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  on(document, "keydown", (event) => {
    if (event.defaultPrevented || withModifier(event) || editable(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "/") field.focus(), field.select();
    else if (event.key === "j" || event.key === "k") rows.go(rows.active);
    else return;
    event.preventDefault();
  });
}
