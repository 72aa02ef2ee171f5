// A frame may be denied storage (third parties blocked): programs that only wish to keep a score would die of it.
// They get one that lasts as long as the page.
() => {
  "use strict";
  const temporary = () => {
    const kept = new Map();
    const methods = {
      getItem: (key) => kept.get(String(key)) ?? null,
      setItem: (key, value) => void kept.set(String(key), String(value)),
      removeItem: (key) => void kept.delete(String(key)),
      clear: () => kept.clear(),
      key: (index) => [...kept.keys()][index] ?? null,
    };
    return new Proxy(methods, {
      get: (_, name) => (name === "length" ? kept.size : Object.hasOwn(methods, name) ? methods[name] : kept.get(name)),
      set: (_, name, value) => !Object.hasOwn(methods, name) && Boolean(kept.set(name, String(value))),
      has: (_, name) => name === "length" || Object.hasOwn(methods, name) || kept.has(name),
      deleteProperty: (_, name) => kept.delete(name) || true,
    });
  };
  for (const name of ["localStorage", "sessionStorage"]) {
    try {
      void window[name];
    } catch {
      Object.defineProperty(window, name, { value: temporary(), configurable: true });
    }
  }
}
