// Ties the page together: who is looking, which time is shown, and a look at the gateway every few seconds.

import { byId } from "./dom.js";
import { clock } from "./format.js";
import { Refused, forget, get, keep, key } from "./api.js";
import { untell } from "./charts.js";
import * as panels from "./panels.js";
import { Requests } from "./requests.js";

const EVERY = 5000; // milliseconds between two looks; a slow gateway is asked less often
const PATIENCE = 5; // a look may take one part in so many of the time
const LONGEST = 20000;

let timer = null;
let paused = false;
let looking = false;
let last = null;
const requests = new Requests(failed);

const chosen = () => document.querySelector("input[name=window]:checked").value;

function failed(error) {
  const problem = byId("problem");
  if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
    const had = key() !== null;
    forget();
    shut();
    problem.textContent = had ? error.message : "";
    problem.hidden = !had;
    return;
  }
  problem.textContent = error instanceof Refused ? error.message : "The page failed to show what the gateway said; reload it.";
  problem.hidden = false;
  if (!(error instanceof Refused)) console.error(error);
}

function shut() {
  clearTimeout(timer);
  byId("main").hidden = true;
  byId("leave").hidden = true;
  byId("door").hidden = false;
  byId("updated").textContent = "not signed in";
  byId("decision").close();
  byId("key").focus();
}

async function enter() {
  try {
    await get("session");
  } catch (error) {
    failed(error);
    if (error.status !== 401 && error.status !== 403) timer = setTimeout(enter, EVERY);
    return;
  }
  byId("door").hidden = true;
  byId("problem").hidden = true;
  byId("main").hidden = false;
  byId("leave").hidden = key() === null;
  await look();
}

async function look() {
  clearTimeout(timer);
  if (looking || byId("main").hidden) return;
  looking = true;
  const begun = performance.now();
  const window = chosen();
  let partial = false;
  try {
    const [overview, state, confidence] = await Promise.all([get("overview", { window }), get("state"), get("confidence", { window }), requests.refresh()]);
    partial = overview.counted < 1;
    last = { overview, state, confidence, window };
    show();
    byId("updated").textContent = `${paused ? "paused at" : "live, as of"} ${clock(overview.now)}`;
    byId("problem").hidden = true;
  } catch (error) {
    failed(error);
  }
  looking = false;
  const wait = partial ? 200 : window !== chosen() ? 0 : Math.min(LONGEST, EVERY + PATIENCE * (performance.now() - begun));
  if (!paused && !byId("main").hidden) timer = setTimeout(() => (document.hidden ? null : look()), wait);
}

function show() {
  if (last === null) return;
  const { overview, state, confidence, window } = last;
  panels.tiles(overview);
  panels.savings(overview);
  panels.curves(overview, window);
  panels.mixes(overview);
  panels.confidence(confidence);
  panels.upstreams(state);
  panels.budgets(state);
  panels.routers(state);
  panels.alarms(state);
}

byId("door").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(byId("key").value.trim());
  byId("key").value = "";
  enter();
});
byId("leave").addEventListener("click", () => { forget(); location.reload(); });
byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").textContent = paused ? "Go on" : "Pause";
  if (paused) clearTimeout(timer);
  if (last) byId("updated").textContent = `${paused ? "paused at" : "live, as of"} ${clock(last.overview.now)}`;
  if (!paused) look();
});
byId("windows").addEventListener("change", look);
document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) look(); });
document.addEventListener("scroll", untell, { passive: true });
let resized = null;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(show, 120); });

enter();
