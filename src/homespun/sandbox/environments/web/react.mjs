// React: one file of JavaScript or TypeScript with JSX.

import { readFileSync } from 'node:fs';
import { barrel } from './barrel.mjs';
import { bundle } from './bundle.mjs';
import { classy, tailwind } from './styles.mjs';

const EXPORTS = {
  link: "export { Link as default } from '/web/next.jsx'",
  image: "export { Image as default } from '/web/next.jsx'",
  head: "export { Nothing as default } from '/web/next.jsx'",
  script: "export { Nothing as default } from '/web/next.jsx'",
  dynamic: "export { dynamic as default } from '/web/next.jsx'",
  // Any name is a font; esbuild copies a module's own names alone, and keeps its prototype.
  'font/google': 'module.exports = Object.create(new Proxy({}, { get: () => () => ({ className: "", variable: "", style: {} }) }))',
};

/** Next.js without its server: what single files import from it, and nothing that would need one. */
const next = {
  name: 'next',
  setup(build) {
    build.onResolve({ filter: /^next(\/|$)/ }, ({ path }) => ({ path: path.slice('next/'.length), namespace: 'next' }));
    build.onLoad({ filter: /.*/, namespace: 'next' }, ({ path }) => ({
      contents: EXPORTS[path] ?? "export * from '/web/next.jsx'",
      resolveDir: '/web',
    }));
  },
};

function entry(file, mounts) {
  if (mounts) return `import './${file}';`;
  return `
    import { createElement } from 'react';
    import { createRoot } from 'react-dom/client';
    import * as program from './${file}';
    const named = () => Object.entries(program).find(([name, value]) => /^[A-Z]/.test(name) && typeof value === 'function')?.[1];
    const Program = program.default ?? program.App ?? named();
    if (!Program || (typeof Program !== 'function' && !Program.$$typeof)) throw new Error('The program exports no component');
    createRoot(document.getElementById('root')).render(Program.$$typeof && Program.props ? Program : createElement(Program));`;
}

export async function build({ file, mounts, loader }) {
  const notes = {};
  const code = readFileSync(`/work/src/${file}`, 'utf8');
  const bundled = bundle({
    notes,
    stdin: { contents: entry(file, mounts), resolveDir: '/work/src', sourcefile: 'entry.js', loader: 'js' },
    entryNames: 'app',
    loader: { '.js': 'jsx', ...loader },
    inject: ['/web/react_globals.js'],
    plugins: [next, barrel(code)],
  });
  const [files, css] = await Promise.all([bundled, classy(code) ? tailwind(code) : null]);
  return { files: css ? { ...files, 'tailwind.css': css } : files, notes };
}
