// Errors of a build as text: file, line and column of the program first, then the line with a mark under it.

const MOST = 12;

/** A program that cannot be built, said in words meant for its reader. */
export class Refused extends Error {}

/** One error at a place of a source: line and column count from 1. */
export function at(file, source, line, column, text) {
  const shown = (source.split('\n')[line - 1] ?? '').slice(0, 200);
  const gutter = String(line).length;
  const marked = shown.trim() ? `\n  ${line} | ${shown}\n  ${' '.repeat(gutter)} | ${' '.repeat(Math.min(column, 200) - 1)}^` : '';
  return `${file}:${line}:${column}: ${text}${marked}`;
}

/** Where a place of compiled code lies in its source: on the only line with the same text, wherever that is indented. */
function original(source, { lineText, column }) {
  const lines = source.split('\n');
  const found = lines.flatMap((line, index) => (line.trim() === lineText.trim() ? [index] : []));
  const indent = (line) => line.length - line.trimStart().length;
  return found.length === 1 ? [found[0] + 1, column - indent(lineText) + indent(lines[found[0]]) + 1] : null;
}

/** Errors of esbuild; `compiled` names sources whose code was made from something else: path to {file, source}. */
export function told(error, compiled = {}) {
  if (!error.errors) return error instanceof Refused ? error.message : `the build itself failed: ${error.stack}`;
  const texts = error.errors.slice(0, MOST).map(({ text, location, notes }) => {
    const [, missing] = /^Could not resolve "([^"]*)"/.exec(text) ?? [];
    const why = missing === undefined ? text : `${text}: ${/^([.\/~]|@\/)/.test(missing) ? 'the program is one file' : 'no such package is installed'}`;
    if (!location) return why;
    const path = location.file.replace(/^(\.\.\/)*work\/src\//, '').replace(/^src\//, '');
    const made = compiled[path];
    if (!made) return at(path, '\n'.repeat(location.line - 1) + location.lineText, location.line, location.column + 1, why);
    const place = original(made.source, location);
    return place ? at(made.file, made.source, place[0], place[1], why) : `${made.file}: ${why}`;
  });
  const more = error.errors.length - texts.length;
  return [...texts, ...(more > 0 ? [`and ${more} more`] : [])].join('\n');
}
