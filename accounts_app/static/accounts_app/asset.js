// The form of a stream, bucket or consumer: what it would do is told beside it as one types; lists of parts grow.

const WAIT = 300; // ms after the last key

const aside = document.querySelector("[data-nu-outlook]");
const form = document.querySelector("#content-main > form");
let timer = 0;
let asking = null;

function later() {
  clearTimeout(timer);
  timer = setTimeout(ask, WAIT);
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(aside.dataset.nuOutlook + location.search, {
      method: "POST",
      body: new FormData(form),
      headers: { "X-Requested-With": "fetch" },
      signal: asking.signal,
    });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    aside.innerHTML = await answer.text();
    aside.classList.remove("nu-old");
  } catch (error) {
    if (error.name !== "AbortError") aside.classList.add("nu-old"); // what stands there is of an earlier text
  }
}

function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

function more(button) {
  const box = button.closest("[data-nu-parts]");
  const number = Number(box.dataset.nuNext);
  const made = document.createElement("div");
  made.innerHTML = box.querySelector(":scope > template").innerHTML.replaceAll(box.dataset.nuParts, String(number));
  box.dataset.nuNext = String(number + 1);
  const part = made.firstElementChild;
  button.before(part);
  part.querySelector("input, textarea, select")?.focus();
}

if (form) {
  form.addEventListener("click", (event) => {
    const adding = event.target.closest("[data-nu-more]");
    if (adding) more(adding);
    const less = event.target.closest("[data-nu-less]");
    if (less) less.closest(".nu-part").remove();
    if (less && aside) later();
  });
  form.addEventListener("input", (event) => event.target.matches("[data-nu-grows]") && grow(event.target));
  form.addEventListener("toggle", (event) => event.target.querySelectorAll("[data-nu-grows]").forEach(grow), true);
  form.querySelectorAll("[data-nu-grows]").forEach(grow);
}

if (form && aside) {
  form.addEventListener("input", later);
  form.addEventListener("change", later);
  window.django?.jQuery?.(form).on("change", "select", later); // select2 tells jQuery alone
}
