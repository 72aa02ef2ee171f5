// Runs inside the jail: builds what /work/order.json asks for and packs the result into /work/site.pack.
// Everything here is for the program's own use; whoever reads the pack outside trusts none of it.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Refused, told } from './faults.mjs';

const builders = {
  react: () => import('./react.mjs'),
  vue: () => import('./vue.mjs'),
  page: () => import('./page.mjs'),
  console: () => import('./console.mjs'),
  diagram: () => import('./diagram.mjs'),
  warm: () => import('./warm.mjs'),
};

function pack(files, notes, data) {
  const entries = Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]);
  const head = Buffer.from(JSON.stringify({ files: entries.map(([path, bytes]) => [path, bytes.length]), notes, data }));
  const size = Buffer.alloc(4);
  size.writeUInt32BE(head.length);
  writeFileSync('/work/site.pack', Buffer.concat([size, head, ...entries.map(([, bytes]) => bytes)]));
}

async function main() {
  const order = JSON.parse(readFileSync('/work/order.json', 'utf8'));
  mkdirSync('/work/src', { recursive: true });
  const { build } = await builders[order.kind]();
  const { files = {}, notes = {}, data = {} } = await build(order);
  pack(files, notes, data);
}

// No await at the top: a snapshot starts this module by require.
main().catch((error) => {
  process.stderr.write(told(error) + '\n');
  process.exitCode = error instanceof Refused || error.errors ? 1 : 2;
});
