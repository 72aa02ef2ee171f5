// Ties the page together: which view is shown, the session in it, and what the reader does.

import { Refused, get } from "./api.js";
import { Board } from "./board.js";
import { Composer } from "./composer.js";
import { byId, el, put, say } from "./dom.js";
import { Interactions } from "./interactions.js";
import { help, listenToKeys, themes } from "./keys.js";
import { Pane } from "./pane.js";
import { Room, SIDES } from "./room.js";
import { share } from "./share.js";
import { Start } from "./start.js";
import { VoteBar } from "./votes.js";

const room = new Room(changed, linked);
const board = new Board(byId("board"), linked);
const votes = new VoteBar(byId("votes"), (vote) => act(() => room.ask("votes", vote).then(() => room.refresh())), next);
let setup = null, composer = null, start = null, panes = [];
const due = new Set();
let frame = null;

const mine = () => room.state?.mine !== false;
new Interactions(() => panes, mine);

function problem(error) {
  const place = byId("problem");
  const told = error instanceof Refused;
  place.firstElementChild.textContent = told ? error.message : "The page failed to show what the server said; reload it.";
  place.hidden = false;
  if (!told) console.error(error);
}

/** Does something that the server may refuse; tells whether it was done. */
async function act(doing) {
  byId("problem").hidden = true;
  try {
    await doing();
    return true;
  } catch (error) {
    problem(error);
    return false;
  }
}

function linked(up) {
  byId("link-state").hidden = up;
}

function changed(sides) {
  for (const side of sides) due.add(side);
  frame ??= requestAnimationFrame(draw);
}

function draw() {
  frame = null;
  const { state } = room;
  if (!state) return void due.clear();
  if (panes.map((pane) => pane.side).join() !== room.sides.join()) build();
  for (const pane of panes) if (due.has(pane.side) || panes.length === 1) pane.show(state, room.live[pane.side], mine());
  due.clear();
  composer.show(room, mine());
  votes.show(state, mine());
  announce(state);
}

function build() {
  document.body.classList.remove("enlarged");
  panes = room.sides.map((side) => new Pane(side, acts, setup.limits));
  byId("panes").replaceChildren(...panes.map((pane) => pane.node));
  byId("panes").classList.toggle("single", panes.length === 1);
  const buttons = panes.map((pane) => el("button", { type: "button", "aria-controls": pane.node.id, onclick: () => bring(pane) }, `Side ${pane.side.toUpperCase()}`));
  byId("switch").replaceChildren(...buttons);
  byId("switch").hidden = panes.length === 1;
  for (const side of SIDES) due.add(side);
  told.clear();
  mark();
}

/** On narrow screens the sides lie beside each other and are swiped; this brings one in sight. */
function bring(pane) {
  byId("panes").scrollTo({ left: pane.node.offsetLeft - byId("panes").offsetLeft });
}

function mark() {
  const place = byId("panes");
  const at = place.scrollLeft > place.clientWidth / 2 ? 1 : 0;
  for (const [number, button] of [...byId("switch").children].entries()) button.setAttribute("aria-pressed", String(number === at));
}

const told = new Map();
const SPOKEN = { generating: "is writing", done: "is ready", failed: "failed" };

function announce(state) {
  for (const side of room.sides) {
    const now = state.sides[side].state;
    if (told.has(side) && told.get(side) !== now && SPOKEN[now] && !(now === "done" && state.can_vote)) say(`${side.toUpperCase()} ${SPOKEN[now]}.`);
    told.set(side, now);
  }
}

const acts = {
  regenerate: (side) => act(() => room.ask("regenerate", { sides: side ? [side] : room.sides })),
  stop: (side) => act(() => room.ask("stop", side ? { side } : {})),
  async run(side, edit) {
    const pane = panes.find((one) => one.side === side);
    pane.packages.fail("");
    try {
      await room.ask("runs", { side, ...(pane.code.edited && { code: pane.code.editor.code() }), ...edit });
      pane.open("output");
    } catch (error) {
      if (edit.dependencies && error instanceof Refused) pane.packages.fail(error.message);
      else problem(error);
    }
  },
};

async function submit(text) {
  return act(async () => {
    if (!room.state) {
      const models = start.chosen;
      await room.create({ mode: start.mode, ...(models && { models }), ...composer.options });
      history.pushState(null, "", `/s/${room.id}`);
      view("room");
    }
    await room.ask("turns", { text, sides: composer.sides.filter((side) => room.sides.includes(side)) });
  });
}

function next() {
  history.pushState(null, "", "/");
  fresh();
}

function fresh() {
  room.leave();
  panes = [];
  byId("panes").replaceChildren();
  votes.show(null, true);
  composer.fresh();
  linked(true);
  view("start");
  byId("text").focus();
}

function view(name) {
  document.body.dataset.view = name;
  for (const one of ["start", "room", "board"]) byId(one).hidden = one !== name;
  byId("dock").hidden = name === "board";
  byId("share").hidden = byId("new-round").hidden = name !== "room";
  for (const [id, on] of [["to-board", name === "board"], ["to-room", name !== "board"]]) {
    if (on) byId(id).setAttribute("aria-current", "page");
    else byId(id).removeAttribute("aria-current");
  }
  if (name === "board") board.open();
  else board.shut();
  document.title = { start: "homespun arena", room: "A round · homespun arena", board: "Leaderboard · homespun arena" }[name];
}

function toBoard() {
  if (document.body.dataset.view === "board") return toRoom();
  history.pushState(null, "", "#leaderboard");
  view("board");
}

function toRoom() {
  if (location.hash) history.pushState(null, "", location.pathname);
  view(room.state ? "room" : "start");
}

/** Shows what the address says: a session, the leaderboard or the start. */
async function route() {
  const id = /^\/s\/([\w-]{1,100})$/.exec(location.pathname)?.[1];
  if (id && id !== room.id) {
    if (!(await act(() => room.open(id)))) {
      history.replaceState(null, "", "/");
      return fresh();
    }
  } else if (!id && room.state) return fresh();
  view(location.hash === "#leaderboard" ? "board" : room.state ? "room" : "start");
}

const inRoom = () => document.body.dataset.view === "room" && room.state !== null;
const keys = {
  vote: (winner) => inRoom() && votes.cast(winner),
  side: (side) => inRoom() && focusSide(side),
  prompt: () => byId("text").focus(),
  again: () => inRoom() && !byId("again").hidden && acts.regenerate(null),
  expand: () => inRoom() && (panes.find((pane) => pane.node.contains(document.activeElement)) ?? panes[0]).enlarge(),
  share: () => inRoom() && share(room.state),
  next: () => inRoom() && next(),
  board: toBoard,
};

function focusSide(side) {
  const pane = panes.find((one) => one.side === side);
  if (!pane) return;
  bring(pane);
  pane.focus();
}

async function begin() {
  themes();
  byId("problem").lastElementChild.addEventListener("click", () => { byId("problem").hidden = true; });
  byId("help").addEventListener("click", help);
  byId("to-board").addEventListener("click", () => document.body.dataset.view !== "board" && toBoard());
  byId("to-room").addEventListener("click", toRoom);
  byId("new-round").addEventListener("click", next);
  byId("share").addEventListener("click", () => share(room.state));
  byId("home").addEventListener("click", (event) => { event.preventDefault(); next(); });
  byId("panes").addEventListener("scroll", mark, { passive: true });
  while (!setup) {
    try {
      setup = await get("setup");
      byId("problem").hidden = true;
    } catch (error) {
      problem(error);
      await new Promise((after) => setTimeout(after, 3000));
    }
  }
  start = new Start(setup, (example) => composer.fill(example.prompt, example.environment));
  composer = new Composer(setup, { send: submit, stop: () => acts.stop(null), again: () => acts.regenerate(null) });
  byId("modes").addEventListener("change", () => composer.draw());
  listenToKeys(keys);
  addEventListener("popstate", route);
  await route();
  document.body.dataset.ready = "yes";
  put(byId("spoken"), "");
}

begin();
