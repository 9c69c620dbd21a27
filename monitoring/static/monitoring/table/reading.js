// When rows are read by REST, and where their answer goes: for what is in sight, at once when the socket has news of it.

import { get } from "../page.js";
import { live } from "../socket.js";
import { PAGE, pageOf } from "./pages.js";

export const API = "/api/v1/live/";
const EVERY = 2000; // ms between two readings of the same rows
const POLL = 5000; // ms without a socket
const SLOWEST = 30000;
const LONGEST = 15000; // ms for an answer
const AT_ONCE = 4; // pages

/**
 * problem: why the last reading failed, else null; total: how many rows there are, whatever is asked for; at: when the
 * relay last saw them.
 */
export class Reading {
  /**
   * name: of the table; question, pages, rows, still: its parts; signal: ends it; read: called after each answer and
   * fault with {whole, first}: whether the rows in sight were read anew, and whether from the top.
   */
  constructor({ name, question, pages, rows, still, read, signal }) {
    Object.assign(this, { name, question, pages, rows, still, read, signal });
    this.problem = null;
    this.generation = 0; // of the question: an answer to an older one is dropped
    this.asked = new Set(); // numbers of pages
    this.delay = EVERY;
    const stop = live.on("tables", (data) => {
      this.heard = Date.now();
      this.news = data[name]?.seq;
      if (this.behind) this.plan(true);
    });
    signal.addEventListener("abort", () => {
      clearTimeout(this.timer);
      stop();
    });
  }

  /** What is under way answers another question: drop it. */
  drop() {
    this.generation += 1;
  }

  /** Read what was never asked for, from its top. */
  begin() {
    this.drop();
    this.asked.clear();
    this.rows.busy(true);
    return this.now(true);
  }

  /** Ask again for what is in sight. first: begin at the top, with another question. */
  async now(first = false) {
    clearTimeout(this.timer);
    this.timer = 0;
    if (document.hidden && !first) return;
    const { generation } = this;
    let [from, to] = first ? [0, 0] : this.rows.inSight().map(pageOf);
    if (this.still.held && !first) [from, to] = [Math.max(0, from - 1), Math.min(to + 1, this.pages.last)];
    to = Math.min(to, from + AT_ONCE - 1);
    this.lastRead = Date.now();
    try {
      const answer = await this.fetch(from, to);
      if (generation !== this.generation) return;
      this.answered(answer, from, to, first);
    } catch (error) {
      if (this.signal.aborted || generation !== this.generation) return;
      this.failed(error);
    }
    this.plan();
  }

  /** Set the time of the next reading; never later than it is set. soon: there is a reason. */
  plan(soon = false) {
    if (this.signal.aborted || document.hidden || this.problem?.status === 400) return; // asked again, it is wrong again
    const rest = this.problem ? this.delay : soon || this.behind ? EVERY : Date.now() - this.heard < POLL ? SLOWEST : POLL;
    const wait = Math.max(0, (this.lastRead ?? 0) + rest - Date.now());
    if (this.timer && this.due <= Date.now() + wait) return;
    clearTimeout(this.timer);
    this.due = Date.now() + wait;
    this.timer = setTimeout(() => this.now(), wait);
  }

  /** Whether the socket has told of rows that are newer than those read */
  get behind() {
    return this.news !== this.newsRead;
  }

  async fetch(from, to) {
    this.newsRead = this.news;
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(LONGEST)]);
    return get(`${API}${this.name}/`, this.question.parameters(from * PAGE, (to - from + 1) * PAGE), signal);
  }

  answered({ results, count, total, at }, from, to, first) {
    const { pages, rows } = this;
    this.delay = EVERY;
    Object.assign(this, { problem: null, total, at });
    if (first) {
      pages.clear();
      if (this.began) rows.toTop();
      this.began = true;
    }
    if (!first && this.still.held && pages.count) pages.merge(results, from, to, count);
    else {
      pages.replace(results, from, to, count);
      pages.forget(rows.inSight()[0]);
    }
    rows.busy(false);
    this.read({ whole: true, first });
  }

  failed(error) {
    this.problem = error;
    this.rows.busy(false);
    this.delay = Math.min(this.delay * 2, SLOWEST);
    this.read({});
  }

  /** Read pages that have come into sight and are not there, or are old. */
  async need(first, last) {
    const wanted = this.pages.lacking(first, last).filter((number) => !this.asked.has(number));
    if (!wanted.length) return;
    const { generation } = this;
    wanted.forEach((number) => this.asked.add(number));
    try {
      const [from, to] = [wanted[0], wanted.at(-1)];
      const answer = await this.fetch(from, to);
      if (generation !== this.generation) return;
      this.pages.store(answer.results, from, to);
      if (!this.still.held) this.pages.count = answer.count;
      this.pages.forget(this.rows.inSight()[0]);
      this.read({});
    } catch (error) {
      if (!this.signal.aborted && generation === this.generation) this.failed(error), this.plan();
    } finally {
      wanted.forEach((number) => this.asked.delete(number));
    }
  }
}
