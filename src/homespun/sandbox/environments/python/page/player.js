// Draws the game's frames and sends back keys and mouse.
"use strict";
(() => {
  const canvas = document.getElementById("screen");
  const hint = document.getElementById("hint");
  const state = document.getElementById("state");
  const pen = canvas.getContext("2d");
  let socket = null;

  const send = (message) => {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };

  async function draw(data) {
    try {
      const image = await createImageBitmap(new Blob([data]));
      if (canvas.width !== image.width || canvas.height !== image.height) {
        canvas.width = image.width;
        canvas.height = image.height;
      }
      pen.drawImage(image, 0, 0);
      image.close();
    } finally {
      send({ type: "drawn" });
    }
  }

  function told({ title, ended }) {
    document.title = title || "PyGame";
    const how = ended && (ended.code === 0 ? "The program has ended." : `The program has ended with code ${ended.code}.`);
    state.textContent = how || title || "";
    hint.textContent = ended ? "" : "Click to play";
  }

  function connect() {
    const address = new URL("play", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      state.textContent = "";
      if (document.activeElement === canvas) send({ type: "focus" });
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? told(JSON.parse(data)) : draw(data));
    socket.onclose = () => {
      state.textContent = "Not connected; trying again …";
      setTimeout(connect, 700);
    };
  }

  // Keys of the browser and the page around stay theirs: with Ctrl or Meta, F5, F11, F12, and Tab, which leaves the game.
  const theirs = (event) => event.ctrlKey || event.metaKey || ["Tab", "F5", "F11", "F12"].includes(event.key);
  function key(event) {
    if (event.isComposing) return;
    send({
      type: event.type,
      code: event.code,
      key: event.key,
      ctrl: event.ctrlKey,
      meta: event.metaKey,
      CapsLock: event.getModifierState("CapsLock"),
      NumLock: event.getModifierState("NumLock"),
    });
    if (!theirs(event)) event.preventDefault();
  }
  canvas.addEventListener("keydown", key);
  canvas.addEventListener("keyup", key);
  canvas.addEventListener("focus", () => send({ type: "focus" }));
  canvas.addEventListener("blur", () => send({ type: "blur" }));

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  };
  const button = (event) => ({ type: event.type === "pointerdown" ? "mousedown" : "mouseup", button: event.button, ...place(event) });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus();
    canvas.setPointerCapture(event.pointerId);
    send(button(event));
    event.preventDefault();
  });
  canvas.addEventListener("pointerup", (event) => send(button(event)));
  canvas.addEventListener("pointercancel", () => send({ type: "blur" }));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());

  // A press of a second mouse button is a move to Pointer Events, so buttons are compared here.
  let held = 0;
  const ORDER = [0, 2, 1, 3, 4];
  let waiting = null;
  canvas.addEventListener("pointermove", (event) => {
    const changed = event.pointerType === "mouse" ? held ^ event.buttons : 0;
    if (event.button >= 0 && changed) {
      for (let bit = 0; bit < ORDER.length; bit += 1) {
        if (changed & (1 << bit)) send({ type: event.buttons & (1 << bit) ? "mousedown" : "mouseup", button: ORDER[bit], ...place(event) });
      }
    }
    held = event.buttons;
    if (!waiting) {
      requestAnimationFrame(() => {
        send({ type: "mousemove", ...waiting });
        waiting = null;
      });
    }
    waiting = place(event);
  });
  for (const kind of ["pointerdown", "pointerup"]) canvas.addEventListener(kind, (event) => { held = event.buttons; });

  canvas.addEventListener(
    "wheel",
    (event) => {
      send({ type: "wheel", dx: Math.sign(event.deltaX), dy: -Math.sign(event.deltaY), ...place(event) });
      event.preventDefault();
    },
    { passive: false },
  );

  document.getElementById("again").addEventListener("click", () => {
    send({ type: "again" });
    canvas.focus();
  });
  connect();
})();
