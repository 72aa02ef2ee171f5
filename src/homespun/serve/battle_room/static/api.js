// Calls of the battle room's own addresses, and the stream of a session's events.

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function call(method, path, body) {
  const asked = { method, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) Object.assign(asked, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  let response;
  try {
    response = await fetch(`/api/${path}`, asked);
  } catch {
    throw new Refused(0, "unreachable", "The server cannot be reached. Nothing was lost; try again in a moment.");
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new Refused(response.status, answer?.error?.code ?? "", answer?.error?.message ?? `The server answered ${response.status}.`);
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);

/** Sends on even when the page is about to go. */
export function send(path, body) {
  const asked = { method: "POST", keepalive: true, credentials: "same-origin", headers: { "Content-Type": "application/json" } };
  return fetch(`/api/${path}`, { ...asked, body: JSON.stringify(body) }).then((response) => response.ok, () => false);
}

const FIRST = 500; // milliseconds before another try
const LONGEST = 8000;

/** A stream that comes back by itself: `address()` is asked anew for each try, `on` gets every event, `state` up or down. */
export function listen(address, kinds, on, state = () => {}) {
  let source = null, timer = null, wait = FIRST, closed = false;
  const open = () => {
    source = new EventSource(address());
    source.onopen = () => { wait = FIRST; state(true); };
    source.onerror = () => {
      state(false);
      if (closed || source.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, wait);
      wait = Math.min(LONGEST, wait * 2);
    };
    for (const kind of kinds) source.addEventListener(kind, (event) => on({ kind: event.type, ...safe(event.data) }));
  };
  open();
  return () => { closed = true; clearTimeout(timer); source.close(); };
}

function safe(text) {
  try {
    const read = JSON.parse(text);
    return typeof read === "object" && read !== null ? read : {};
  } catch {
    return {};
  }
}
