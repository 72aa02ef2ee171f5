// A console in the page: what the program logs, in order, beside what it draws. The real console still gets everything.
(() => {
  const { format, table } = globalThis.__values;
  delete globalThis.__values;
  const MOST = 2000;
  const real = { ...console };
  const counts = new Map();
  const timers = new Map();
  let depth = 0;
  let entries = 0;
  let folded = 0;
  let last = null;

  const STYLE = `
    :host { all: initial; position: fixed; z-index: 2147483646; left: 0; right: 0; bottom: 0; height: 42vh; color-scheme: light dark; }
    :host(.alone) { top: 0; height: auto; }
    :host(.shut) { height: 32px; top: auto; }
    section { position: absolute; inset: 0; display: flex; flex-direction: column; background: #fff; color: #18181b; border-top: 1px solid #d4d4d8; font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; }
    header { flex: none; display: flex; gap: 12px; align-items: center; height: 31px; padding: 0 12px; font: 600 12px system-ui, sans-serif; color: #52525b; border-bottom: 1px solid #e4e4e7; }
    header b { flex: 1; font-weight: 600; }
    button { font: 12px system-ui, sans-serif; color: inherit; background: none; border: 1px solid transparent; border-radius: 6px; padding: 2px 8px; cursor: pointer; }
    button:hover { border-color: currentColor; }
    ol { flex: 1; margin: 0; padding: 0; overflow: auto; list-style: none; }
    li { padding: 3px 12px; border-bottom: 1px solid #f4f4f5; white-space: pre-wrap; overflow-wrap: anywhere; }
    li i { float: right; font-style: normal; font-size: 11px; padding: 0 6px; border-radius: 8px; background: #e4e4e7; color: #3f3f46; }
    .error { background: #fef2f2; color: #b91c1c; } .warn { background: #fffbeb; color: #92400e; }
    .debug, .note { color: #71717a; } .info { color: #1d4ed8; } .group { font-weight: 600; }
    table { border-collapse: collapse; margin: 2px 0; } th, td { border: 1px solid #d4d4d8; padding: 1px 8px; text-align: left; } th { background: #f4f4f5; }
    @media (prefers-color-scheme: dark) {
      section { background: #18181b; color: #f4f4f5; border-color: #3f3f46; } header { color: #a1a1aa; border-color: #27272a; }
      li { border-color: #27272a; } li i { background: #3f3f46; color: #e4e4e7; } th, td { border-color: #3f3f46; } th { background: #27272a; }
      .error { background: #2b0f0f; color: #fca5a5; } .warn { background: #292006; color: #fcd34d; } .info { color: #93c5fd; }
    }`;

  const host = document.createElement('homespun-console');
  const root = host.attachShadow({ mode: 'open' });
  root.innerHTML = `<style>${STYLE}</style><section aria-label="Console"><header><b>Console</b><button id="clear">Clear</button><button id="fold">Hide</button></header><ol role="log"></ol></section>`;
  const list = root.querySelector('ol');
  document.documentElement.append(host);

  const alone = () => {
    const body = document.body;
    const drawn = body && (body.innerText.trim() || [...body.querySelectorAll('*')].slice(0, 500).some(({ offsetWidth = 1, offsetHeight = 1 }) => offsetWidth * offsetHeight > 0));
    host.classList.toggle('alone', !drawn);
    if (body) body.style.paddingBottom = drawn ? '44vh' : '';
  };
  host.classList.add('alone');
  let waiting = 0;
  const settle = () => { waiting ||= setTimeout(() => { waiting = 0; alone(); }, 150); };
  new MutationObserver(settle).observe(document.documentElement, { childList: true, subtree: true });
  root.getElementById('clear').onclick = () => console.clear();
  root.getElementById('fold').onclick = (event) => {
    event.target.textContent = host.classList.toggle('shut') ? 'Show' : 'Hide';
  };

  const append = (kind, nodes, plain) => {
    if (last && last.kind === kind && last.plain === plain && plain !== null && last.depth === depth) {
      last.times += 1;
      last.badge ??= last.item.insertBefore(document.createElement('i'), last.item.firstChild);
      last.badge.textContent = last.times;
      return;
    }
    const item = document.createElement('li');
    item.className = kind;
    item.style.paddingLeft = `${12 + depth * 18}px`;
    item.append(...nodes);
    const bottom = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(item);
    entries += 1;
    if (entries > MOST) {
      list.firstChild.remove();
      entries -= 1;
      folded += 1;
      root.querySelector('b').textContent = `Console (the first ${folded} entries are no longer shown)`;
    }
    if (bottom) list.scrollTop = list.scrollHeight;
    last = { kind, plain, item, depth, times: 1, badge: null };
  };

  const SAFE = /^(color|background(-color)?|font-weight|font-style|font-size|text-decoration|padding|border-radius)$/;
  const say = (kind, given) => {
    const pieces = format(given);
    const nodes = pieces.map(({ text, style }) => {
      const span = document.createElement('span');
      span.textContent = text;
      for (const rule of style.split(';')) {
        const [name, value] = rule.split(':').map((part) => part?.trim());
        if (value && SAFE.test(name) && !/url\(/i.test(value)) span.style.setProperty(name, value);
      }
      return span;
    });
    append(kind, nodes, pieces.map(({ text, style }) => `${style}\n${text}`).join('\n'));
  };

  const tabulate = (data, wanted) => {
    const read = table(data, wanted);
    if (!read) return say('log', [data]);
    const row = (name, cells) => {
      const line = document.createElement('tr');
      line.append(...cells.map((text) => Object.assign(document.createElement(name), { textContent: text })));
      return line;
    };
    const element = document.createElement('table');
    element.append(row('th', read.heads), ...read.rows.map((cells) => row('td', cells)));
    return append('log', [element], null);
  };

  const elapsed = (name) => `${(performance.now() - timers.get(name)).toFixed(3)} ms`;
  const timed = (name, end, extra = []) => {
    if (!timers.has(name)) return say('warn', [`Timer '${name}' does not exist`]);
    say('log', [`${name}: ${elapsed(name)}`, ...extra]);
    return end && timers.delete(name);
  };
  const group = (given) => {
    if (given.length) say('group', given);
    last = null;
    depth = Math.min(depth + 1, 20);
  };

  const methods = {
    log: (...given) => say('log', given),
    info: (...given) => say('info', given),
    debug: (...given) => say('debug', given),
    warn: (...given) => say('warn', given),
    error: (...given) => say('error', given),
    dir: (value) => say('log', [value]),
    dirxml: (...given) => say('log', given),
    trace: (...given) => say('log', ['Trace:', ...given, `\n${new Error().stack.split('\n').slice(3, 9).join('\n').replaceAll(`${location.origin}/`, '')}`]),
    assert: (held, ...given) => held || say('error', typeof given[0] === 'string' ? [`Assertion failed: ${given[0]}`, ...given.slice(1)] : ['Assertion failed', ...given]),
    table: tabulate,
    group: (...given) => group(given),
    groupCollapsed: (...given) => group(given),
    groupEnd: () => { last = null; depth = Math.max(0, depth - 1); },
    count: (name = 'default') => { counts.set(name, (counts.get(name) ?? 0) + 1); say('log', [`${name}: ${counts.get(name)}`]); },
    countReset: (name = 'default') => counts.set(name, 0),
    time: (name = 'default') => timers.has(name) ? say('warn', [`Timer '${name}' already exists`]) : timers.set(name, performance.now()),
    timeLog: (name = 'default', ...extra) => timed(name, false, extra),
    timeEnd: (name = 'default') => timed(name, true),
    clear: () => { list.replaceChildren(); last = null; entries = 0; },
  };
  for (const [name, ours] of Object.entries(methods)) {
    console[name] = (...given) => {
      ours(...given);
      real[name]?.apply(console, given);
    };
  }

  addEventListener('error', (event) => {
    if (!(event.target instanceof Element)) say('error', ['Uncaught', event.error ?? event.message]);
  }, true);
  addEventListener('unhandledrejection', (event) => say('error', ['Uncaught (in promise)', event.reason]));
  addEventListener('load', () => setTimeout(() => {
    alone();
    if (!entries) say('note', ['Nothing has been printed so far.']);
  }, 600));
})();
