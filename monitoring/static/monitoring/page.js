// What the shell says about this page: addresses, system, rights. From <div id="nu-live" data-…>.

const told = document.getElementById("nu-live")?.dataset ?? {};
const words = (text) => new Set((text ?? "").split(" ").filter(Boolean));
const links = words(told.links);
const opened = words(told.opens);
const skew = told.now ? Number(told.now) - Date.now() : 0;
let ahead = skew; // of the server's clock before ours, ms

export const page = {
  system: told.system ?? "",
  manySystems: told.many === "yes",
  socket: told.socket,
  topics: told.topics,
  series: told.series,
  events: told.events,
  pages: told.pages,
  admin: told.admin,
  watch: words(told.watch),
  /** What this page shows is said when it changes, and not each second */
  still: told.still === "yes",
  state: told.state ? JSON.parse(told.state) : null,
  may: (kind) => links.has(kind),
  opens: (name) => opened.has(name),
  /** Now, by the server's clock, so that ages are right on a machine whose clock is not */
  now: () => Date.now() + ahead,
  learnNow: (ms) => {
    ahead = ms - Date.now();
  },
};

/** A frame that the server put into the page for the first paint; null when there was none */
export function painted(topic) {
  const text = document.getElementById(`nu-frame-${topic}`)?.textContent;
  const frame = text ? JSON.parse(text) : null;
  return frame?.topic === topic ? frame : null;
}

/** GET of our REST as JSON. Throws an Error whose `status` is the answer's, 0 when there was none */
export async function get(address, parameters = {}, signal) {
  const asked = new URLSearchParams(parameters);
  if (page.manySystems) asked.set("system", page.system);
  let answer;
  try {
    answer = await fetch(asked.size ? `${address}?${asked}` : address, { headers: { Accept: "application/json" }, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Object.assign(new Error("nunect does not answer."), { status: 0 });
  }
  if (answer.ok && !answer.redirected) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  // REST answers 403 to who has no session, too: its problem then is that nobody is signed in
  const out = answer.status === 401 || answer.redirected;
  const sentence = out ? "You are no longer signed in." : (problem.detail ?? `nunect answered ${answer.status}.`);
  throw Object.assign(new Error(sentence), { status: out ? 401 : answer.status });
}
