// What a visitor does in an app, told to the page that frames it. One function, called with the run's id and the
// origins that may hear of it. An app can take this apart or imitate it: what arrives is a claim, not evidence.
(run, parents) => {
  "use strict";
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete window[name]; // see policy.py
  if (window.parent === window) return;
  try {
    void window.parent.location.href; // readable: a frame within the app, and the app's own document does the telling
    return;
  } catch { /* the arena's: go on */ }

  const MOST_RECORDS = 20000;
  const post = window.parent.postMessage.bind(window.parent);
  const after = window.setTimeout.bind(window), clear = window.clearTimeout.bind(window);
  const above = window.location.ancestorOrigins?.[0];
  const listeners = above ? parents.filter((origin) => origin === above) : parents;
  const tell = (message) => { for (const origin of listeners) post(message, origin); };

  let waiting = [], timer = 0, told = 0;
  const flush = () => {
    clear(timer);
    timer = 0;
    if (waiting.length) tell({ homespun: "log", run, records: waiting });
    waiting = [];
  };
  const record = (type, payload) => {
    if (++told > MOST_RECORDS) return;
    waiting.push({ type, time: new Date().toISOString(), payload });
    if (waiting.length >= 50) flush();
    else timer ||= after(flush, 250);
  };
  const debounced = (milliseconds, act) => {
    let pending = 0;
    return (event) => { clear(pending); pending = after(() => act(event), milliseconds); };
  };
  const listen = (type, act) => window.addEventListener(type, act, { capture: true, passive: true });

  const secrets = new WeakSet(); // a field that once hid its text stays secret when a button shows it
  const secret = (event) => {
    const field = event.composedPath()[0];
    if (field instanceof Element && field.matches("input[type=password]")) secrets.add(field);
    return secrets.has(field);
  };

  listen("focusin", secret);
  listen("keydown", (event) => {
    if (!event.isTrusted) return;
    const hidden = secret(event) && event.key.length === 1;
    record("keydown", { key: hidden ? "character" : event.key });
    if (event.key === "Escape") tell({ homespun: "escape", run });
  });
  listen("click", (event) => event.isTrusted && record("click", { x: event.clientX, y: event.clientY }));
  listen("resize", debounced(1000, () => record("resize", { width: innerWidth, height: innerHeight })));
  listen("scroll", debounced(50, (event) => {
    const target = event.target === document ? document.scrollingElement : event.target;
    if (target) record("scroll", { scrollTop: target.scrollTop, scrollLeft: target.scrollLeft });
  }));
  listen("error", (event) => {
    const what = event.message || `could not load ${event.target?.localName ?? "something"}`;
    record("captureError", { message: String(what).slice(0, 1000), line: event.lineno ?? null });
  });
  listen("unhandledrejection", (event) => {
    record("captureError", { message: String(event.reason).slice(0, 1000), line: null });
  });
  listen("pagehide", flush);
  if (document.readyState === "complete") record("load", {});
  else window.addEventListener("load", () => record("load", {}), { once: true });
}
