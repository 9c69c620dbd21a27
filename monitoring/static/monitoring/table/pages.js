// The rows that were read, in pages of 100: a few pages are held, and what is read again is merged into them.

export const PAGE = 100;
const KEPT = 12; // pages held beyond those in sight

export const pageOf = (index) => Math.floor(index / PAGE);

/**
 * count: rows that stand here, null before the first answer; counted: rows that the last answer knew of;
 * waits: the rows stand in another order than that of the last answer.
 */
export class Pages {
  constructor(key) {
    this.key = key;
    this.held = new Map(); // number: {rows: [{row, mark}], stale}; mark: "", "gone" or "away"
    this.count = this.counted = null;
    this.waits = false;
  }

  get last() {
    return Math.max(0, Math.ceil((this.count ?? 0) / PAGE) - 1);
  }

  /** What stands at an index; undefined when its page is not held. */
  entry(index) {
    return this.held.get(pageOf(index))?.rows[index % PAGE];
  }

  /** The index of the row with this key; -1 when it is not held. */
  place(key) {
    for (const [number, page] of this.held) {
      const at = page.rows.findIndex((entry) => this.key(entry.row) === key);
      if (at >= 0) return number * PAGE + at;
    }
    return -1;
  }

  find(key) {
    return this.entry(this.place(key))?.row;
  }

  /** All rows that are held, in no order. */
  *rows() {
    for (const page of this.held.values()) for (const { row } of page.rows) yield row;
  }

  /** Pages between two indexes that are not there, or are old. */
  lacking(first, last) {
    const numbers = [];
    for (let number = pageOf(first); number <= Math.min(pageOf(last), this.last); number += 1) {
      const page = this.held.get(number);
      if (!page || page.stale) numbers.push(number);
    }
    return numbers;
  }

  clear() {
    this.held.clear();
    this.waits = false;
  }

  /** Take the rows of an answer as they are, in its order. */
  replace(rows, from, to, counted) {
    for (const page of this.held.values()) page.stale = true;
    this.store(rows, from, to);
    this.count = this.counted = counted;
    this.waits = false;
  }

  store(rows, from, to) {
    for (let number = from; number <= to; number += 1) {
      const part = rows.slice((number - from) * PAGE, (number - from + 1) * PAGE);
      if (part.length || number === 0) this.held.set(number, { rows: part.map((row) => ({ row })), stale: false });
      else this.held.delete(number);
    }
  }

  /** New values for the rows where they stand; what the answer lacks is gone, or has moved out of it. */
  merge(rows, from, to, counted) {
    const { key } = this;
    const fresh = new Map(rows.map((row) => [key(row), row]));
    const whole = from === 0 && rows.length >= counted;
    for (const [number, page] of this.held) {
      page.stale = number < from || number > to;
      if (page.stale) continue;
      for (const entry of page.rows) {
        const found = fresh.get(key(entry.row));
        if (found) entry.row = found;
        entry.mark = found ? "" : whole ? "gone" : "away";
        fresh.delete(key(entry.row));
      }
    }
    const first = this.held.get(0);
    if (whole && this.held.size === 1) {
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

  /** Let go of the pages that are farthest from an index. */
  forget(index) {
    const middle = pageOf(index);
    const far = [...this.held.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const number of far.slice(0, Math.max(0, far.length - KEPT))) this.held.delete(number);
  }
}
