// What is said around the rows: how many there are, that their order waits, what failed, why there are none.

import { el, icon, put } from "../dom.js";
import { count } from "../format.js";

export class Notices {
  /** again: reads now; update: takes the order that waits; all: asks for everything */
  constructor(spec, { again, update, all }) {
    this.spec = spec;
    this.again = again;
    this.all = all;
    this.told = el("span", { class: "nt-count", role: "status" });
    this.waiting = el(
      "button",
      { type: "button", class: "nt-waits", hidden: true, title: "Rows keep their place while you point at them" },
      icon("pause"),
      el("span", {}, "Order held: update"),
    );
    this.notice = el("div", { class: "nt-notice", role: "alert", hidden: true });
    this.blank = el("div", { class: "nt-blank", hidden: true });
    this.waiting.addEventListener("click", () => {
      this.waiting.blur();
      update();
    });
  }

  /** pages, reading: of the table; told: say how many there are, too */
  show(pages, reading, told) {
    const unread = pages.count === null;
    this.waiting.hidden = !pages.waits;
    this.fault(reading.problem, unread);
    if (unread) return;
    if (told) put(this.told, this.size(pages.counted, reading.total));
    this.emptiness(pages, reading);
  }

  size(counted, total) {
    const { one, many } = this.spec;
    return `${count(counted)}${counted === total ? "" : ` of ${count(total)}`} ${total === 1 ? one : many}`;
  }

  fault(problem, unread) {
    this.notice.hidden = !problem;
    const said = problem ? problem.message : "";
    if (this.notice.dataset.said === said) return;
    this.notice.dataset.said = said;
    if (!problem) return;
    const out = problem.status === 401;
    const button = el("button", { type: "button", class: "nu-button nu-small" }, out ? "Sign in" : "Try now");
    button.addEventListener("click", () => (out ? location.reload() : this.again()));
    this.notice.replaceChildren(
      icon("error"),
      el("span", {}, el("b", {}, said), " ", out ? "" : unread ? "It is asked again by itself." : "What you see is from before; it is asked again by itself."),
      button,
    );
  }

  emptiness(pages, { problem, total, at }) {
    const kind = pages.count || problem ? "" : total ? "none" : at ? "empty" : "never";
    this.blank.hidden = !kind;
    if (this.blank.dataset.kind === kind && kind !== "none") return;
    this.blank.dataset.kind = kind;
    if (kind) this.blank.replaceChildren(...this[kind](total));
  }

  none(total) {
    const clear = el("button", { type: "button", class: "nu-button" }, `Show all ${count(total)}`);
    clear.addEventListener("click", this.all);
    return [icon("filter_list_off"), el("p", {}, `No ${this.spec.one} is like that.`), clear];
  }

  empty() {
    return this.spec.empty();
  }

  never() {
    return [
      icon("visibility_off"),
      el("p", {}, "Nothing has been seen of the servers yet."),
      el("p", { class: "nu-muted" }, "The relay fills this page as soon as it reaches a server; it asks again by itself. To see what keeps it:"),
      el("pre", { class: "nu-pre" }, "nunect doctor"),
    ];
  }
}
