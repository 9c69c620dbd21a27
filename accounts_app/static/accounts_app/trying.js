// The form of a system: the way to its servers is tried as the form says now, and told beside it.

const button = document.querySelector("[data-nu-try]");
const told = document.querySelector("[data-nu-tried]");
const form = button?.form;

function say(words, kind) {
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = words;
  told.replaceChildren(line);
}

async function ask() {
  button.disabled = true;
  say(told.dataset.nuTrying, "nu-muted");
  try {
    const answer = await fetch(button.dataset.nuTry, {
      method: "POST",
      body: new FormData(form),
      headers: { "X-Requested-With": "fetch" },
    });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    told.innerHTML = await answer.text();
    told.classList.remove("nu-old");
  } catch {
    say(told.dataset.nuLost, "nu-error");
  }
  button.disabled = false;
}

if (form && told) {
  button.addEventListener("click", (event) => {
    event.preventDefault(); // without scripts the steps come as a page of their own
    ask();
  });
  form.addEventListener("input", () => told.classList.add("nu-old")); // what stands there is of an earlier text
}
