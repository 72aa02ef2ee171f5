// A Mermaid diagram: read by Mermaid's own parsers, so that bad syntax is told before there is a page.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Refused } from './faults.mjs';

const require = createRequire('/work/src/diagram.mjs');

export async function build({ file }) {
  const root = require.resolve('mermaid').replace(/\/dist\/.*/, '');
  // Without a document DOMPurify offers no methods; parsing alone shows nothing, so there is nothing to purify.
  const { default: purifier } = await import(pathToFileURL(createRequire(`${root}/package.json`).resolve('dompurify').replace(/purify\.cjs\.js$/, 'purify.es.mjs')));
  purifier.addHook ??= () => {};
  purifier.sanitize ??= (text) => text;
  const { default: mermaid } = await import(pathToFileURL(`${root}/dist/mermaid.core.mjs`));
  try {
    const { diagramType } = await mermaid.parse(readFileSync(`/work/src/${file}`, 'utf8'));
    return { files: { 'mermaid.js': readFileSync(`${root}/dist/mermaid.min.js`) }, data: { type: diagramType } };
  } catch (error) {
    throw new Refused(`${file}: ${error.message ?? error}`);
  }
}
