// One socket a page: what happens, as it happens; by polling where no socket can be had. See docs/protocol.md.
//
//   import { live } from "./socket.js";
//   live.on("overview", (data, frame) => …);      the last state of a topic, at most twice a second
//   live.on("account:ACME", fn, { every: 0 });     each state
//   live.onEpoch(fn);                              the relay began anew: forget what was summed up
//   live.onStatus(({ word, since, detail }) => …);

import { put } from "./dom.js";
import { duration } from "./format.js";
import { get, page, painted } from "./page.js";

const EVERY_MS = 500; // numbers change at most twice a second
const ACK_MS = 1000;
const FIRST_MS = 500;
const SLOWEST_MS = 15_000;
const POLL_MS = 2000;
const TRIES = 3; // without a hello, then polling helps out
const OPEN_MS = 8000; // for a socket to say hello
const STALE_MS = 5000; // a relay that lives says something each second
const SILENT_MS = 20_000; // from a living relay: then the way between is broken, whatever the socket says
const QUIET_MS = 60_000; // from a dead one
const GRACE_MS = 1500; // a socket that comes back at once is no news
const LOOK_MS = [10_000, 2000]; // how often a still page asks by itself: while all is well, and while it isn't

const listeners = new Map(); // topic: [{fn, every, frame, due, timer}]
const frames = new Map(); // topic: its last frame
const epochs = new Set();
const watchers = new Set();
const told = new Set(); // errors that were shown

let socket = null;
let greeted = false;
let tries = 0;
let retry = 0;
let poll = 0;
let polling = false;
let ack = 0;
let lastAck = 0;
let heard = 0; // when a socket last said something
let reached = 0; // the seq that arrived last
const epochOf = new Map(); // family: its epoch
let relay = page.state ?? { live: true, since: null, detail: "" };
let problem = ""; // of the way to nunect, in a sentence
let out = false; // signed out
let asked = false; // a watch waits to be sent
let begun = false;
let goneAt = performance.now(); // since then there is no socket
let lookedAt = performance.now(); // when a still page last asked by itself

// --- what pages call ---------------------------------------------------------------------------

export const live = {
  /** Call fn(data, frame) with each state of a topic, at once when one is known. Answers how to stop. */
  on(topic, fn, { every = EVERY_MS } = {}) {
    const listener = { fn, every, due: 0, timer: 0 };
    const known = listeners.get(topic) ?? [];
    listeners.set(topic, [...known, listener]);
    const first = frames.get(topic) ?? painted(topic);
    if (first) {
      if (!frames.has(topic)) keep(first);
      else hand(listener, topic);
    }
    begin();
    ask();
    return () => {
      clearTimeout(listener.timer);
      const left = (listeners.get(topic) ?? []).filter((one) => one !== listener);
      if (left.length) listeners.set(topic, left);
      else listeners.delete(topic);
      ask();
    };
  },
  onEpoch(fn) {
    epochs.add(fn);
    return () => epochs.delete(fn);
  },
  onStatus(fn) {
    watchers.add(fn);
    fn(status());
    return () => watchers.delete(fn);
  },
  /** The last frame of a topic, or null */
  last: (topic) => frames.get(topic) ?? null,
  status: () => status(),
};

// --- the socket --------------------------------------------------------------------------------

function begin() {
  if (begun) return;
  begun = true;
  connect();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", () => document.hidden || wake());
  addEventListener("online", wake);
  addEventListener("pageshow", (event) => event.persisted && wake());
  addEventListener("pagehide", () => drop());
}

function connect() {
  clearTimeout(retry);
  retry = 0;
  if (socket || !page.socket) return;
  const address = new URL(page.socket, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (page.system) address.searchParams.set("system", page.system);
  let mine;
  try {
    mine = new WebSocket(address);
  } catch {
    return lost();
  }
  socket = mine;
  greeted = false;
  heard = performance.now();
  mine.onmessage = (message) => mine === socket && take(message.data);
  mine.onclose = (event) => mine === socket && lost(event.code);
}

/** Leave the socket without waiting for its close, which a dead way never brings */
function drop() {
  const mine = socket;
  if (greeted) goneAt = performance.now();
  socket = null;
  greeted = false;
  clearTimeout(ack);
  ack = 0;
  if (mine) {
    mine.onmessage = mine.onclose = null;
    mine.close();
  }
}

function lost(code) {
  if (!greeted) tries += 1;
  else tries = 0;
  drop();
  if (code === 4401) {
    problem = "Your session has ended.";
    out = true;
  }
  if (tries >= TRIES || code === 4401) startPolling();
  const wait = Math.min(SLOWEST_MS, FIRST_MS * 2 ** Math.min(tries, 10));
  clearTimeout(retry);
  retry = setTimeout(connect, wait * (0.5 + Math.random() / 2));
  tell();
}

/** The tab is looked at again, or the network is back: no waiting */
function wake() {
  if (socket && (greeted ? quiet() < STALE_MS : quiet() < 2000)) return;
  drop();
  connect();
  if (polling) pollNow();
  tell();
}

const quiet = () => performance.now() - heard;

function take(text) {
  heard = performance.now();
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    return;
  }
  if (frame.type === "hello") hello(frame);
  else if (frame.type === "snapshot") {
    reached = frame.seq;
    acknowledge();
    keep(frame);
  } else if (frame.type === "state") {
    relay = { live: frame.live, since: frame.since, detail: frame.detail };
  } else if (frame.type === "error") complain(frame.detail);
  tell();
}

function hello(frame) {
  page.learnNow(Date.parse(frame.at));
  greeted = true;
  tries = 0;
  problem = "";
  out = false;
  forgive();
  stopPolling();
  reached = 0;
  if (frame.epoch) beginEpoch(RELAY, frame.epoch);
  sendWatch();
}

/** At least once a second while something comes, from the message itself: timers of hidden tabs sleep */
function acknowledge() {
  const now = performance.now();
  if (now - lastAck >= ACK_MS) sendAck();
  else if (!ack) ack = setTimeout(sendAck, ACK_MS - (now - lastAck));
}

function sendAck() {
  clearTimeout(ack);
  ack = 0;
  lastAck = performance.now();
  send({ ack: reached });
}

function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

/** Once for all that is asked in this turn */
function ask() {
  if (asked) return;
  asked = true;
  queueMicrotask(() => {
    asked = false;
    if (greeted) sendWatch();
    else if (polling) pollNow();
  });
}

function sendWatch() {
  send({ watch: { topics: [...listeners.keys()] } });
}

// --- frames ------------------------------------------------------------------------------------

// Topics of jobs are not the relay's, and have epochs of their own
const [RELAY, JOBS] = ["relay", "jobs"];
const family = (topic) => (topic === "jobs" || topic.startsWith("job:") ? JOBS : RELAY);

function beginEpoch(of, now) {
  const before = epochOf.get(of);
  if (before === now) return;
  epochOf.set(of, now);
  if (before === undefined) return;
  for (const topic of [...frames.keys()]) if (family(topic) === of) frames.delete(topic);
  if (of === RELAY) for (const fn of epochs) fn(now);
}

function keep(frame) {
  beginEpoch(family(frame.topic), frame.epoch);
  const known = frames.get(frame.topic);
  if (known && known.seq > frame.seq) return;
  frames.set(frame.topic, frame);
  for (const listener of listeners.get(frame.topic) ?? []) hand(listener, frame.topic);
}

/** Latest wins: a listener is called at most once in `every`, and while somebody looks */
function hand(listener, topic) {
  if (listener.timer) return;
  const wait = Math.max(0, listener.due - performance.now());
  listener.timer = setTimeout(() => {
    listener.timer = 0;
    listener.due = performance.now() + listener.every;
    const frame = frames.get(topic);
    if (frame) listener.fn(frame.data, frame);
  }, wait);
}

// --- without a socket --------------------------------------------------------------------------

function startPolling() {
  if (polling) return;
  polling = true;
  pollNow();
}

function stopPolling() {
  polling = false;
  clearTimeout(poll);
  poll = 0;
}

let underWay = false;

async function pollNow() {
  clearTimeout(poll);
  poll = 0;
  if (underWay || !polling) return;
  underWay = true;
  let wait = POLL_MS;
  try {
    if (!document.hidden) {
      await Promise.all([...listeners.keys()].map(pollTopic));
      problem = "";
      out = false;
    }
  } catch (error) {
    problem = error.message;
    out = error.status === 401;
    wait = POLL_MS * 2;
  }
  underWay = false;
  tell();
  if (polling) poll = setTimeout(pollNow, wait);
}

async function pollTopic(topic) {
  try {
    const frame = await get(`${page.topics}${encodeURIComponent(topic)}/`);
    if (!(polling || page.still) || frame?.topic !== topic) return;
    keep(frame);
    if (page.still) return;
    const age = page.now() - Date.parse(frame.at);
    if (age < STALE_MS) relay = { live: true, since: null, detail: "" };
    else if (relay.live) relay = { live: false, since: frame.at, detail: "The relay has said nothing since then." };
  } catch (error) {
    if (error.status === 403) complain(error.message);
    else if (error.status !== 404) throw error; // 404: no frame of it yet
  }
}

// --- how it is ---------------------------------------------------------------------------------

/** What is said once may be lost: a still page asks for it now and then */
async function look() {
  lookedAt = performance.now();
  try {
    await Promise.all([...listeners.keys()].map(pollTopic));
  } catch (error) {
    problem = error.message;
    out = error.status === 401;
    lost();
  }
}

/** When what is shown was seen: the newest frame */
function newest() {
  let at = 0;
  for (const frame of frames.values()) at = Math.max(at, Date.parse(frame.at) || 0);
  return at;
}

/** kind: live, polling, stale, reconnecting, out; since: ms of the server's clock; age_s of what is shown, or null */
function status() {
  const at = newest();
  const age = at ? Math.max(0, page.now() - at) : null;
  const soon = !polling && !problem && performance.now() - goneAt < GRACE_MS;
  const connected = greeted || soon || (polling && !problem);
  let kind = polling ? "polling" : "live";
  if (!connected) kind = out ? "out" : "reconnecting";
  if (page.still) return { kind, since: 0, age_s: null, detail: connected ? "" : problem };
  else if (!at && !relay.live) kind = relay.detail ? "stale" : "waiting";
  else if (!relay.live || (age !== null && age > STALE_MS)) kind = "stale";
  const since = kind === "stale" ? Date.parse(relay.live ? new Date(at).toISOString() : (relay.since ?? "")) || at : at;
  const detail = connected ? (relay.live ? "" : relay.detail) : problem;
  return { kind, since, age_s: age === null ? null : age / 1000, detail };
}

const WORDS = { waiting: "nothing seen yet", live: "live", polling: "live by polling", stale: "stale", reconnecting: "reconnecting", out: "signed out" };
let shown = "";

function tell() {
  const now = status();
  const seconds = duration(Math.max(0, (page.now() - now.since) / 1000));
  for (const dot of document.querySelectorAll("[data-nu-dot]")) {
    dot.dataset.kind = now.kind;
    put(dot.querySelector(".nu-word"), WORDS[now.kind]);
    const age = dot.parentElement.querySelector("[data-nu-age]");
    if (!now.since) put(age, "");
    else if (now.kind === "stale") put(age, `since ${seconds}`);
    else put(age, now.age_s < 2 ? "" : `${seconds} old`);
  }
  for (const box of document.querySelectorAll("[data-nu-why]")) {
    put(box.querySelector("[data-nu-words]"), now.detail);
    const out = box.querySelector("[data-nu-signin]");
    if (out) out.hidden = now.kind !== "out";
    box.hidden = !now.detail;
  }
  document.documentElement.dataset.nuFresh = now.kind;
  const key = `${now.kind} ${now.detail}`;
  if (key === shown) return;
  shown = key;
  for (const fn of watchers) fn(now);
}

function tick() {
  if (socket && !greeted && quiet() > OPEN_MS) lost();
  else if (page.still) {
    if (greeted && !document.hidden && performance.now() - lookedAt > LOOK_MS[relay.live ? 0 : 1]) look();
  } else if (socket && quiet() > (relay.live ? SILENT_MS : QUIET_MS)) lost();
  tell();
}

/** What an earlier socket complained of, such as its own end, is over */
function forgive() {
  told.clear();
  const list = document.querySelector("[data-nu-errors]");
  list?.replaceChildren();
  if (list) list.hidden = true;
}

function complain(detail) {
  if (!detail || told.has(detail)) return;
  told.add(detail);
  const list = document.querySelector("[data-nu-errors]");
  if (!list) return;
  const item = document.createElement("p");
  item.textContent = detail;
  list.append(item);
  list.hidden = false;
}
