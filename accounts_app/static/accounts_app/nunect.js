// State chips that turn by themselves: one question for all chips of the page, every two seconds.
// It rests while the tab is hidden and slows down while the server does not answer.

const EVERY = 2000;
const SLOWEST = 30000;
const MOST = 200;
let delay = EVERY;
let timer = 0;

const chips = () => [...document.querySelectorAll("[data-nu-key]:not([data-nu-key=''])")];

function turn(key, now) {
  for (const chip of document.querySelectorAll(`[data-nu-key="${CSS.escape(key)}"]`)) {
    if (chip.dataset.nuState === now.state) continue;
    chip.classList.remove(`nu-${chip.dataset.nuState}`);
    chip.classList.add(`nu-${now.state}`);
    chip.dataset.nuState = now.state;
    chip.querySelector(".material-symbols-outlined").textContent = now.icon;
    chip.querySelector(".nu-word").textContent = now.word;
  }
  for (const box of document.querySelectorAll(`[data-nu-problem="${CSS.escape(key)}"]`)) {
    box.hidden = !(box.dataset.nuShown ?? "held failed").split(" ").includes(now.state);
    box.querySelector("[data-nu-words]").textContent = now.problem;
    for (const part of box.querySelectorAll("[data-nu-when]")) part.hidden = part.dataset.nuWhen !== now.state;
  }
}

async function ask() {
  const address = document.querySelector("[data-nu-states]")?.dataset.nuStates;
  const keys = [...new Set(chips().map((chip) => chip.dataset.nuKey))].slice(0, MOST);
  if (!address || !keys.length) return;
  const answer = await fetch(`${address}?keys=${keys.join(",")}`, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  const { states } = await answer.json();
  for (const [key, now] of Object.entries(states)) turn(key, now);
}

async function refresh() {
  for (const part of document.querySelectorAll("[data-nu-refresh]")) {
    if (part.contains(document.activeElement) && document.activeElement !== document.body) continue;
    const answer = await fetch(part.dataset.nuRefresh, { headers: { "X-Requested-With": "fetch" } });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const text = await answer.text();
    if (text !== part.dataset.nuText) {
      part.innerHTML = text;
      part.dataset.nuText = text;
    }
  }
}

function mark(stale) {
  for (const dot of document.querySelectorAll("[data-nu-live]")) {
    dot.classList.toggle("nu-stale", stale);
    dot.querySelector(".nu-word").textContent = stale ? dot.dataset.nuStale : dot.dataset.nuLive;
  }
}

async function round() {
  timer = 0;
  if (document.hidden) return;
  try {
    await Promise.all([ask(), refresh()]);
    delay = EVERY;
    mark(false);
  } catch {
    delay = Math.min(delay * 2, SLOWEST);
    mark(true);
  }
  plan();
}

function plan(wait = delay) {
  if (!timer && !document.hidden) timer = setTimeout(round, wait);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  timer = 0;
  plan(0);
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-nu-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.nuCopy);
    const before = copy.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent);
      copy.textContent = copy.dataset.nuDone;
    } catch {
      getSelection().selectAllChildren(source); // no clipboard without TLS: the text is marked instead
      copy.textContent = copy.dataset.nuMarked;
    }
    setTimeout(() => (copy.textContent = before), 2000);
    return;
  }
  const save = event.target.closest("[data-nu-save]");
  if (save) {
    const text = document.getElementById(save.dataset.nuSave).textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = save.dataset.nuName;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    return;
  }
  if (event.target.closest("[data-nu-stored]")) removeEventListener("beforeunload", stay);
});

// A long text goes as a file: a server takes few bytes in the fields of a form. And a form is sent once.
document.addEventListener("formdata", (event) => {
  for (const name of (event.target.dataset.nuFiles ?? "").split(" ")) {
    const text = name && event.formData.get(name);
    if (typeof text === "string" && text) event.formData.set(name, new File([text], name));
  }
});

// unfold writes the name of a chosen file into the first text field that it finds around; of ours that is another one
document.addEventListener(
  "change",
  (event) => {
    if (!event.target.matches("input.nu-file")) return;
    event.stopImmediatePropagation();
    event.target.dispatchEvent(new CustomEvent("nu-file", { bubbles: true }));
  },
  true,
);

const once = (form, sent) => form.querySelectorAll("button").forEach((button) => (button.disabled = sent));

document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-nu-once]")) setTimeout(() => once(event.target, true));
});
addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("[data-nu-once]").forEach((form) => once(form, false));
});

function stay(event) {
  event.preventDefault();
}
if (document.querySelector("[data-nu-stored]")) addEventListener("beforeunload", stay);

// Chromium may forget `autofocus` while the machine is busy
if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();

for (const time of document.querySelectorAll("time[datetime]")) time.title = new Date(time.dateTime).toLocaleString();

plan();
