// The form of a blueprint: beside it stands what will be made, asked for again as somebody types.

import { morph } from "./morph.js";

const PAUSE_MS = 300;
const form = document.querySelector("[data-nu-provision]");
const aside = document.querySelector("[data-nu-look]");
const touched = new Set([...form.querySelectorAll("[data-nu-error]:not([hidden])")].map((one) => one.closest("[data-nu-param]").dataset.nuParam));
const unread = {}; // {parameter: why the file last chosen for it was not taken}
let timer = 0;
let asking = null;

/** What is wrong stands at its field once somebody has been there; what is only missing is said beside the form */
function mark(errors) {
  for (const field of form.querySelectorAll("[data-nu-param]")) {
    const name = field.dataset.nuParam;
    const said = unread[name] ? [unread[name]] : touched.has(name) ? (errors[name] ?? []) : [];
    const place = field.querySelector("[data-nu-error]");
    place.hidden = !said.length;
    place.replaceChildren(...said.slice(0, 8).flatMap((sentence, at) => (at ? [document.createElement("br"), sentence] : [sentence])));
    field.querySelector("input, select, textarea").setAttribute("aria-invalid", said.length ? "true" : "false");
  }
}

async function look() {
  asking?.abort();
  const mine = (asking = new AbortController());
  aside.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.nuProvision, { method: "POST", body: new FormData(form), signal: mine.signal, headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const told = await answer.json();
    if (mine !== asking) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = told.html;
    morph(aside, fresh.content);
    mark(told.errors);
    aside.removeAttribute("aria-busy");
  } catch (error) {
    if (error.name !== "AbortError") aside.removeAttribute("aria-busy"); // the button “Look” still works, and says why not
  }
}

function soon(event) {
  const field = event.target.closest("[data-nu-param]");
  if (field) {
    touched.add(field.dataset.nuParam);
    delete unread[field.dataset.nuParam];
  }
  clearTimeout(timer);
  timer = setTimeout(look, PAUSE_MS);
}

/** What its bytes say, without a mark at the beginning; null where they are not UTF-8 */
function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

// a file becomes text that one can read and mend
async function taken(event) {
  const [file] = event.target.files ?? [];
  const text = event.target.closest("[data-nu-param]")?.querySelector("textarea");
  if (!file || !text || file.size > 5_000_000) return soon(event);
  const found = decoded(await file.arrayBuffer());
  event.target.value = "";
  if (found !== null) text.value = found;
  soon({ target: text });
  if (found !== null) return;
  unread[text.closest("[data-nu-param]").dataset.nuParam] = `${file.name} is not UTF-8: save it as “CSV UTF-8” and choose it again.`;
  mark({});
}

form.addEventListener("input", soon);
form.addEventListener("change", soon);
form.addEventListener("nu-file", taken);
form.querySelector("[data-nu-lookbutton]").hidden = true; // it looks by itself
form.querySelector("[data-nu-hint]").hidden = true;
look();
