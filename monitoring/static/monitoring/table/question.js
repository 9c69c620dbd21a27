// What is asked for: words, an order and filters, which stand in the page's address.

export class Question {
  constructor(spec) {
    this.spec = spec;
    const given = new URLSearchParams(location.search);
    this.search = given.get("search") ?? "";
    const ordering = given.get("ordering") ?? "";
    this.ordering = spec.columns[ordering.replace("-", "")] ? ordering : spec.ordering;
    this.filters = Object.fromEntries(spec.filters.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
  }

  /** change: {search, ordering, filters}, each of them or not */
  change(change) {
    Object.assign(this, change);
    const address = new URL(location.href);
    const asked = address.searchParams;
    for (const name of ["search", "ordering", "open", ...this.spec.filters]) asked.delete(name);
    if (this.search) asked.set("search", this.search);
    if (this.ordering !== this.spec.ordering) asked.set("ordering", this.ordering);
    for (const [name, value] of Object.entries(this.filters)) asked.set(name, value);
    history.replaceState(history.state, "", address);
  }

  /** As parameters of REST */
  parameters(offset, limit) {
    return {
      limit,
      offset,
      ordering: this.ordering,
      ...(this.search && { search: this.search }),
      ...this.filters,
      ...this.spec.fixed,
    };
  }
}
