// Packages of icons are one index over thousands of files; only the files that the program names are read.

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';

const ICONS = /^(lucide-react|lucide-vue-next|@heroicons\/react\/[\w/]+|@mui\/icons-material)$/;
const LINE = /^export \{([^}]*)\} from ['"](\.[^'"]+)['"];?$/gm;

/** Names that a program imports from a package, or null where it takes the package as a whole. */
function imported(code, path) {
  const clauses = [...code.matchAll(new RegExp(`import\\s+([^;'"]*?)\\s*from\\s*['"]${path}['"]`, 'g'))].map(([, clause]) => clause);
  if (!clauses.length || !clauses.every((clause) => /^(type\s+)?\{[^}]*\}$/.test(clause))) return null;
  return clauses.flatMap((clause) => clause.replace(/^[^{]*\{|\}$/g, '').split(',')).map((name) => name.trim().split(/\s+as\s+/)[0]).filter((name) => name && !name.startsWith('type '));
}

/** The lines of an index that export these names, or null where some are not to be found. */
function wanted(index, names) {
  const missing = new Set(names);
  const lines = [];
  for (const [, exported, file] of index.matchAll(LINE)) {
    const kept = exported.split(',').filter((each) => missing.delete(each.trim().split(/\s+as\s+/).at(-1)));
    if (kept.length) lines.push(`export {${kept.join(',')}} from '${file}';`);
  }
  return missing.size ? null : lines.join('\n');
}

export const barrel = (code) => ({
  name: 'barrel',
  setup(build) {
    build.onResolve({ filter: ICONS }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      const names = importer.startsWith('/work/src/') && pluginData !== 'barrel' ? imported(code, path) : null;
      if (!names) return null;
      const found = await build.resolve(path, { kind, importer, resolveDir, pluginData: 'barrel' });
      const contents = found.errors.length ? null : wanted(readFileSync(found.path, 'utf8'), names);
      return contents === null ? null : { path: found.path, namespace: 'barrel', pluginData: contents };
    });
    build.onLoad({ filter: /.*/, namespace: 'barrel' }, ({ path, pluginData }) => ({ contents: pluginData, resolveDir: dirname(path), loader: 'js' }));
  },
});
