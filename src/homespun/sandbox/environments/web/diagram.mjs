// A Mermaid diagram: read by Mermaid's own parsers, so that bad syntax is told before there is a page.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Refused } from './faults.mjs';

const require = createRequire('/work/src/diagram.mjs');
const root = require.resolve('mermaid').replace(/\/dist\/.*/, '');

/** Without a document DOMPurify offers no methods; parsing alone shows nothing, so there is nothing to purify. */
async function loaded() {
  const purify = createRequire(`${root}/package.json`).resolve('dompurify').replace(/purify\.cjs\.js$/, 'purify.es.mjs');
  const { default: purifier } = await import(pathToFileURL(purify));
  purifier.addHook ??= () => {};
  purifier.sanitize ??= (text) => text;
  return (await import(pathToFileURL(`${root}/dist/mermaid.core.mjs`))).default;
}

export async function build({ file }) {
  const warm = root.startsWith('/node_modules/') ? globalThis.__held?.mermaid : null;
  const mermaid = warm ?? (await loaded());
  try {
    const { diagramType } = await mermaid.parse(readFileSync(`/work/src/${file}`, 'utf8'));
    return { files: { 'mermaid.js': readFileSync(`${root}/dist/mermaid.min.js`) }, data: { type: diagramType } };
  } catch (error) {
    throw new Refused(`${file}: ${error.message ?? error}`);
  }
}
