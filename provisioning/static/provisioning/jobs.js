// The list of jobs: states turn as the topic of all jobs says that something has changed.

import { put } from "../monitoring/dom.js";
import { live } from "../monitoring/socket.js";

const head = document.querySelector("[data-nu-jobs]");
const chips = [...document.querySelectorAll("[data-nu-job]")];
const ids = chips.map((one) => one.dataset.nuJob);
const first = !new URLSearchParams(location.search).get("p") && !new URLSearchParams(location.search).get("o");
const newest = Math.max(0, ...ids.map(Number));

function turn(place, now) {
  const chip = place.querySelector(".nu-chip");
  if (!chip || chip.dataset.nuState === now.state) return;
  chip.classList.remove(`nu-${chip.dataset.nuState}`);
  chip.classList.add(`nu-${now.state}`);
  chip.dataset.nuState = now.state;
  put(chip.querySelector(".material-symbols-outlined"), now.icon);
  put(chip.querySelector(".nu-word"), now.word);
}

async function refresh(data) {
  head.querySelector("[data-nu-newer]").hidden = !(first && data.latest.some((job) => job.id > newest));
  if (!ids.length) return;
  const answer = await fetch(`${head.dataset.nuJobs}?ids=${ids.join(",")}`, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const { jobs } = await answer.json();
  for (const place of chips) {
    const now = jobs[place.dataset.nuJob];
    if (!now) continue;
    turn(place, now);
    put(document.querySelector(`[data-nu-job-now="${place.dataset.nuJob}"]`), now.now);
    put(document.querySelector(`[data-nu-job-took="${place.dataset.nuJob}"]`), now.took);
  }
}

if (head?.dataset.nuTopic) live.on(head.dataset.nuTopic, refresh);
