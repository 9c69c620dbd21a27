// While somebody points at the rows, stands in one or reads one, they keep their place: values change, the order waits.

const SCROLLED = 1500; // ms
const TOUCHED = 4000;

export class Stillness {
  /** rows: of the table; released: called when nobody may be there any more */
  constructor(rows, released) {
    this.rows = rows;
    this.released = released;
    this.pointed = this.reading = false;
    this.until = 0;
  }

  get held() {
    return this.pointed || this.reading || this.rows.focused || Date.now() < this.until;
  }

  listen(on) {
    const { body } = this.rows;
    on(body, "pointerenter", (event) => (this.pointed = event.pointerType === "mouse"));
    on(body, "pointerleave", () => {
      this.pointed = false;
      this.released();
    });
    on(body, "pointerdown", () => (this.until = Date.now() + TOUCHED));
    on(body, "focusout", () => setTimeout(() => this.released(), 0));
  }

  scrolled() {
    this.until = Date.now() + SCROLLED;
  }

  /** Do something as if nobody were there. */
  async without(act) {
    const { pointed } = this;
    Object.assign(this, { pointed: false, until: 0 });
    if (this.rows.focused) document.activeElement.blur();
    await act();
    this.pointed = pointed;
  }
}
