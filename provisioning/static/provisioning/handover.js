// Credentials are picked up here. The token comes from the address's fragment, and goes to nunect in the body of a POST.

import { zip } from "./zip.js";

const MANY = 4; // users that are shown without being asked for
const LISTED = 12; // entries of a list that are shown without being asked for
const AGAIN_MS = 5000;
const PICKED_UP = "nunect-picked-up"; // of this tab, which forgets it when it is closed
const HEADS = {
  ready: "Credentials wait for you",
  unknown: "This link opens nothing",
  wrong: "This link opens nothing",
  used: "This link was used",
  over: "This link is over",
  withdrawn: "This link was withdrawn",
};
const main = document.getElementById("page");
const find = (name) => main.querySelector(`[data-${name}]`);
const part = (name) => main.querySelector(`[data-part="${name}"]`);
const token = location.hash.slice(1);

async function post(address) {
  try {
    const answer = await fetch(address, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ token }),
    });
    return { ok: answer.ok, told: await answer.json() };
  } catch {
    return { ok: false, told: { reason: "away", detail: "nunect does not answer. Nothing was opened: try again." } };
  }
}

function say(sentence, bad = true) {
  const place = find("said");
  place.textContent = sentence;
  place.classList.toggle("bad", bad);
  place.hidden = !sentence;
}

/** Say why a link opens nothing, below a head that promises nothing. */
function refuse(told) {
  find("ask-title").textContent = HEADS[told.reason] ?? HEADS.ready;
  find("about").hidden = told.reason in HEADS;
  say(told.detail, told.reason !== "not_ready");
}

async function look() {
  if (!token) {
    find("about").hidden = true;
    if (sessionStorage.getItem(PICKED_UP)) {
      find("ask-title").textContent = HEADS.used;
      say("The credentials were shown here before. nunect keeps no copy: whoever has lost them asks for new ones.");
      return;
    }
    find("ask-title").textContent = HEADS.unknown;
    say("This address is not whole: it ends with # and a long word. Open the link as it was sent to you.");
    return;
  }
  const { ok, told } = await post(main.dataset.look);
  if (ok) {
    const until = new Date(told.expires_at).toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
    const users = told.users.length === 1 ? `the user ${told.users[0]}` : `${told.users.length.toLocaleString("en")} users`;
    find("about").textContent = `${told.title}: the credentials of ${users}. They can be picked up until ${until}.`;
    say("");
  } else {
    refuse(told);
    if (["not_ready", "away", "slow"].includes(told.reason)) setTimeout(look, AGAIN_MS);
  }
  find("offer").hidden = !ok;
}

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function save(name, content, type = "text/plain") {
  const link = el("a", { download: name });
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function button(word, act) {
  const made = el("button", { type: "button" }, word);
  made.addEventListener("click", () => act(made));
  return made;
}

function copier(source) {
  return button("Copy", async (made) => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      made.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source); // no clipboard without TLS: the text is marked instead
      made.textContent = "Marked: press Ctrl+C";
    }
    setTimeout(() => (made.textContent = "Copy"), 2000);
  });
}

const plain = (name) => name.replace(/[^A-Za-z0-9._-]/g, "_") || "user";

/** {file: content} of one user: the secret, a context of the nats command, an environment, a program */
function files(name, one) {
  const found = { ...(one.connect?.files ?? {}) };
  if (!Object.values(found).some((content) => content.includes(one.secret))) {
    found[`${plain(name)}.${one.kind === "password" ? "txt" : "nk"}`] = `${one.secret}\n`;
  }
  if (one.connect) {
    found[`${plain(name)}.json`] = context(one);
    found[`${plain(name)}.env`] = one.connect.env;
    found[`${plain(name)}.py`] = one.connect.snippet;
  }
  return found;
}

const context = (one) => (typeof one.connect.context === "string" ? one.connect.context : `${JSON.stringify(one.connect.context, null, 2)}\n`);

function block(title, text, name) {
  const source = el("pre", { translate: "no" }, text);
  return el("details", {}, el("summary", {}, title), source, el("div", { class: "buttons" }, copier(source), button("Download", () => save(name, text))));
}

const KINDS = { stream: "stream", kv: "KV bucket", object: "object bucket" };

function list(head, entries, none) {
  const first = entries.slice(0, LISTED).map((entry) => el("li", {}, entry));
  const rest = entries.slice(LISTED).map((entry) => el("li", {}, entry));
  const more = rest.length ? el("details", {}, el("summary", {}, `${rest.length.toLocaleString("en")} more`), el("ul", {}, ...rest)) : null;
  return [el("h3", {}, head), entries.length ? el("ul", {}, ...first) : el("p", { class: "calm" }, none), ...(more ? [more] : [])];
}

/** What the user may do, what its account keeps, and a command to begin with. */
function uses(name, connect) {
  const keeps = connect.streams.map(({ kind, name: called, subjects }) => `${KINDS[kind] ?? kind} ${called}${subjects.length ? `: ${subjects.join(", ")}` : ""}`);
  const command = el("pre", { class: "command", translate: "no" }, connect.first.command);
  return el(
    "section",
    { class: "uses" },
    ...list(`What ${name} may do`, connect.may, "Nothing yet."),
    ...list(`What account ${connect.account} keeps`, keeps, "No streams or buckets."),
    el("h3", {}, "A first command"),
    el("p", { class: "calm" }, `${connect.first.does}. Run it in the folder with the downloaded files; nats is NATS's own command line.`),
    command,
    el("div", { class: "buttons" }, copier(command)),
  );
}

function card(name, one) {
  const secret = el("pre", { class: "secret", translate: "no" }, one.secret);
  const kind = one.kind === "password" ? "Password" : "Seed of the nkey";
  const about = one.connect ? `${kind} · account ${one.connect.account} · ${one.connect.url}` : kind;
  const made = el("article", { class: "card" }, el("div", { class: "head" }, el("h2", {}, name), el("span", { class: "calm" }, about)), secret);
  const buttons = el("div", { class: "buttons" }, copier(secret));
  const found = Object.entries(files(name, one));
  const [file, content] = found.find(([, text]) => text.includes(one.secret)) ?? [`${plain(name)}.txt`, one.secret];
  buttons.append(button("Download", () => save(file, content)));
  if (one.connect) {
    if (one.kind === "password") buttons.append(button("Download context", () => save(`${plain(name)}.json`, context(one))));
    buttons.append(button("Download env file", () => save(`${plain(name)}.env`, one.connect.env)));
    made.append(
      buttons,
      uses(name, one.connect),
      block("Context of the nats command", context(one), `${plain(name)}.json`),
      block("Python", one.connect.snippet, `${plain(name)}.py`),
      block("Environment", one.connect.env, `${plain(name)}.env`),
    );
  } else made.append(buttons);
  return made;
}

const cell = (text) => (/[",\n;]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function csv(users) {
  const lines = [["user", "kind", "secret", "account", "url"]];
  for (const [name, one] of users) lines.push([name, one.kind === "password" ? "password" : "seed", one.secret, one.connect?.account ?? "", one.connect?.url ?? ""]);
  return lines.map((line) => `${line.map(cell).join(",")}\n`).join("");
}

function show(told) {
  const users = Object.entries(told.users).sort(([a], [b]) => (a < b ? -1 : 1));
  sessionStorage.setItem(PICKED_UP, "yes");
  history.replaceState(null, "", location.pathname); // the link opens nothing any more
  part("ask").hidden = true;
  part("shown").hidden = false;
  find("title").textContent = users.length === 1 ? `The credential of ${users[0][0]}` : `${users.length.toLocaleString("en")} credentials`;
  const bar = find("files");
  const all = () => Object.fromEntries(users.flatMap(([name, one]) => Object.entries(files(name, one)).map(([file, text]) => [`${plain(name)}/${file}`, text])));
  bar.append(
    button("Download all as JSON", () => save("credentials.json", `${JSON.stringify(told.users, null, 2)}\n`, "application/json")),
    button("as CSV", () => save("credentials.csv", csv(users), "text/csv")),
    button("as ZIP, a folder for each", () => save("credentials.zip", zip(all()), "application/zip")),
  );
  bar.hidden = users.length < 2;
  const cards = find("cards");
  if (!users.length) cards.append(el("p", { class: "lead" }, "The job made no credential: its users sign in with what they have."));
  if (users.length <= MANY) cards.append(...users.map(([name, one]) => card(name, one)));
  else {
    find("choose").hidden = false;
    document.getElementById("names").append(...users.slice(0, 2000).map(([name]) => el("option", { value: name })));
    find("choice").addEventListener("input", (event) => {
      const one = told.users[event.target.value];
      cards.replaceChildren(...(one ? [card(event.target.value, one)] : []));
    });
  }
  addEventListener("beforeunload", stay);
  part("shown").querySelector("h1").tabIndex = -1;
  part("shown").querySelector("h1").focus();
}

function stay(event) {
  event.preventDefault();
}

find("open-button").addEventListener("click", async (event) => {
  event.target.disabled = true;
  const { ok, told } = await post(main.dataset.open);
  event.target.disabled = false;
  if (ok) show(told);
  else {
    refuse(told);
    if (told.reason === "not_ready") look();
  }
});

find("stored").addEventListener("click", () => {
  removeEventListener("beforeunload", stay);
  find("cards").replaceChildren();
  document.getElementById("names").replaceChildren();
  part("shown").remove();
  part("over").hidden = false;
});

look();
