// Values as text, the way consoles print them: names of classes, circles, maps, errors; never more than a screen holds.
globalThis.__values = (() => {
  const DEPTH = 4;
  const ITEMS = 100;
  const LINE = 76;
  const LONGEST = 10_000;
  const NAME = /^[A-Za-z_$][\w$]*$/;

  const quoted = (text) => {
    const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : '`';
    const escapes = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };
    const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
    return mark + shown.replace(/[\n\r\t\\]/g, (sign) => escapes[sign]) + mark;
  };

  const maker = (value) => {
    const above = Object.getPrototypeOf(value);
    if (above === null) return '[Object: null prototype]';
    const own = Object.getOwnPropertyDescriptor(above, 'constructor')?.value ?? above.constructor;
    return typeof own === 'function' && own.name ? own.name : 'Object';
  };

  const functionText = (value) => {
    const source = Function.prototype.toString.call(value);
    if (/^class\b/.test(source)) {
      const above = Object.getPrototypeOf(value)?.name;
      return `[class ${value.name || '(anonymous)'}${above ? ` extends ${above}` : ''}]`;
    }
    return `[${maker(value)}${value.name ? `: ${value.name}` : ' (anonymous)'}]`;
  };

  const errorText = (value) => {
    const stack = String(value.stack ?? '').replaceAll(`${location.origin}/`, '');
    const title = `${value.name}: ${value.message}`;
    const cause = value.cause === undefined ? '' : `\n  [cause]: ${inspect(value.cause, DEPTH - 1)}`;
    return (stack.includes(value.message) && stack.trim() ? stack : `${title}\n${stack}`).trimEnd() + cause;
  };

  const simple = (value) => {
    if (typeof value === 'string') return quoted(value);
    if (typeof value === 'bigint') return `${value}n`;
    if (Object.is(value, -0)) return '-0';
    if (typeof value === 'function') return functionText(value);
    return String(value);
  };

  const member = (value, key, depth, seen) => {
    const property = Object.getOwnPropertyDescriptor(value, key);
    if ('value' in property) return inspect(property.value, depth + 1, seen);
    return property.get ? (property.set ? '[Getter/Setter]' : '[Getter]') : '[Setter]';
  };

  const label = (key) => (typeof key === 'symbol' ? String(key) : NAME.test(key) ? key : quoted(key));

  const keysOf = (value) => [
    ...Object.keys(value),
    ...Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key)),
  ];

  const more = (count) => (count > ITEMS ? [`… ${count - ITEMS} more item${count - ITEMS > 1 ? 's' : ''}`] : []);

  /** Elements of an array; runs of holes are counted. */
  const elements = (value, depth, seen) => {
    const items = [];
    for (let at = 0; at < value.length && items.length < ITEMS; at++) {
      const start = at;
      while (at < value.length && !Object.hasOwn(value, at)) at++;
      if (at > start) items.push(`<${at - start} empty item${at - start > 1 ? 's' : ''}>`);
      if (at < value.length) items.push(member(value, String(at), depth, seen));
    }
    return items;
  };

  /** Opening word, brackets and members of an object. */
  const parts = (value, depth, seen) => {
    const name = maker(value);
    const entries = (keys) => keys.slice(0, ITEMS).map((key) => `${label(key)}: ${member(value, key, depth, seen)}`);
    if (Array.isArray(value)) {
      const items = elements(value, depth, seen);
      const extra = keysOf(value).filter((key) => typeof key === 'symbol' || !/^\d+$/.test(key));
      const word = name === 'Array' ? '' : `${name}(${value.length}) `;
      return [word, '[', [...items, ...more(value.length), ...entries(extra)], ']'];
    }
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      return [`${name}(${value.length}) `, '[', [...Array.from(value.subarray(0, ITEMS), simple), ...more(value.length)], ']'];
    }
    if (value instanceof Map) {
      const items = [...value].slice(0, ITEMS).map(([key, item]) => `${inspect(key, depth + 1, seen)} => ${inspect(item, depth + 1, seen)}`);
      return [`${name}(${value.size}) `, '{', [...items, ...more(value.size)], '}'];
    }
    if (value instanceof Set) {
      return [`${name}(${value.size}) `, '{', [...[...value].slice(0, ITEMS).map((item) => inspect(item, depth + 1, seen)), ...more(value.size)], '}'];
    }
    const keys = keysOf(value);
    return [name === 'Object' ? '' : `${name} `, '{', [...entries(keys), ...more(keys.length)], '}'];
  };

  const laidOut = ([word, open, items, close], depth) => {
    if (!items.length) return `${word}${open}${close}`;
    const line = items.join(', ');
    if (line.length + word.length + depth * 2 <= LINE && !line.includes('\n')) {
      return open === '[' ? `${word}[ ${line} ]` : `${word}{ ${line} }`;
    }
    const indent = '  '.repeat(depth + 1);
    const numbers = open === '[' && items.length > 6 && items.every((item) => item.length <= 8);
    const rows = numbers ? Array.from({ length: Math.ceil(items.length / 12) }, (_, row) => items.slice(row * 12, row * 12 + 12).join(', ')) : items;
    return `${word}${open}\n${rows.map((row) => indent + row).join(',\n')}\n${'  '.repeat(depth)}${close}`;
  };

  /** One value as text. Getters are never called; what cannot be read is said so. */
  function inspect(value, depth = 0, seen = []) {
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return simple(value);
    try {
      if (typeof value === 'function') return simple(value);
      if (seen.includes(value)) return '[Circular]';
      if (value instanceof Error) return errorText(value);
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
      if (value instanceof RegExp) return String(value);
      if (value instanceof Promise) return 'Promise {}';
      if (value instanceof WeakMap || value instanceof WeakSet) return `${maker(value)} { <items unknown> }`;
      if (value instanceof Number || value instanceof String || value instanceof Boolean) return `[${maker(value)}: ${simple(value.valueOf())}]`;
      if (typeof Element !== 'undefined' && value instanceof Element) return value.outerHTML.slice(0, 500);
      if (depth > DEPTH) return Array.isArray(value) ? '[Array]' : `[${maker(value)}]`;
      return laidOut(parts(value, depth, [...seen, value]), depth);
    } catch {
      return '[an object that cannot be read]';
    }
  }

  /** Pieces {text, style} of what a call of the console says; the first argument may hold %s %d %i %f %o %O %c %%. */
  function format(given) {
    const pieces = [{ text: '', style: '' }];
    const add = (text) => { pieces[pieces.length - 1].text += text; };
    const rest = [...given];
    if (typeof rest[0] === 'string') {
      const numbers = { d: Number, i: parseInt, f: parseFloat };
      for (const part of rest.shift().split(/(%[sdifoOc%])/)) {
        const sign = /^%[sdifoOc%]$/.test(part) ? part[1] : '';
        if (sign === '%') add('%');
        else if (!sign || !rest.length) add(part);
        else if (sign === 'c') pieces.push({ text: '', style: String(rest.shift()) });
        else if (sign === 's') add(typeof rest[0] === 'object' || typeof rest[0] === 'function' ? inspect(rest.shift()) : String(rest.shift()));
        else if (numbers[sign]) add(typeof rest[0] === 'symbol' ? (rest.shift(), 'NaN') : String(numbers[sign](rest.shift())));
        else add(inspect(rest.shift()));
      }
      if (rest.length) add(' ');
    }
    add(rest.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' '));
    return pieces;
  }

  /** Heads and rows of console.table, or null for what is no table. */
  function table(data, wanted) {
    if (data === null || typeof data !== 'object') return null;
    const rows = data instanceof Map ? [...data] : data instanceof Set ? [...data].entries() : Object.entries(data);
    const heads = new Set();
    let plain = false;
    const read = [...rows].slice(0, 1000).map(([key, row]) => {
      if (row === null || typeof row !== 'object') {
        plain = true;
        return [key, {}, inspect(row)];
      }
      Object.keys(row).slice(0, 50).forEach((name) => heads.add(name));
      return [key, row, ''];
    });
    const names = Array.isArray(wanted) ? wanted.map(String) : [...heads];
    const cell = (row, name) => (Object.hasOwn(row, name) ? inspect(row[name], DEPTH) : '');
    return {
      heads: ['(index)', ...names, ...(plain ? ['Values'] : [])],
      rows: read.map(([key, row, value]) => [typeof key === 'string' ? key : inspect(key), ...names.map((name) => cell(row, name)), ...(plain ? [value] : [])]),
    };
  }

  return { inspect, format, table };
})();
