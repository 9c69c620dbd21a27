// The page of a job: what changes is asked for again as its topic says so, and time goes on meanwhile.

import { put } from "../monitoring/dom.js";
import { duration } from "../monitoring/format.js";
import { page } from "../monitoring/page.js";
import { live } from "../monitoring/socket.js";
import { morph } from "./morph.js";

const EVERY_MS = 250;
const box = document.querySelector("[data-nu-job]");
let asking = false;
let again = false;

async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(box.dataset.nuFragment, { headers: { "X-Requested-With": "fetch" } });
    if (answer.ok && !answer.redirected) {
      const fresh = document.createElement("template");
      fresh.innerHTML = await answer.text();
      morph(box, fresh.content);
      tick();
    }
  } catch {
    // the dot says that nobody answers; the next frame asks again
  }
  asking = false;
  if (again) {
    again = false;
    setTimeout(refresh, EVERY_MS);
  }
}

function tick() {
  for (const one of box.querySelectorAll("[data-nu-since]")) {
    put(one, duration(Math.max(0, (page.now() - Date.parse(one.dataset.nuSince)) / 1000)));
  }
}

// the answer to a form has the job's own address from here on: to load it again sends nothing twice
if (location.pathname !== box.dataset.nuHere) history.replaceState(null, "", box.dataset.nuHere);
live.on(box.dataset.nuTopic, refresh, { every: EVERY_MS });
setInterval(tick, 1000);
tick();
