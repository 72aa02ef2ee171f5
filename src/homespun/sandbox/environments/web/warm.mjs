// Makes a snapshot of Node with heavy packages loaded and used once: a build that starts from it spends a fifth of the time.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

const KINDS = {
  apps: `
    const postcss = require('postcss');
    const tailwindcss = require('tailwindcss');
    const sfc = require('@vue/compiler-sfc');
    globalThis.__held = { postcss, tailwindcss, '@vue/compiler-sfc': sfc };
    const page = '<div class="p-4 bg-red-500 hover:text-lg md:flex grid rounded-xl shadow"></div>';
    postcss([tailwindcss({ content: [{ raw: page, extension: 'html' }] })]).process('@tailwind base;@tailwind components;@tailwind utilities;', { from: undefined }).then(() => {});
    const { descriptor } = sfc.parse('<script setup lang="ts">import { ref } from "vue"; const n = ref<number>(0)</script><template><p v-if="n" @click="n++">{{ n }}</p></template>');
    sfc.compileScript(descriptor, { id: 'warm', inlineTemplate: true });`,
  diagram: `
    import purifier from 'dompurify';
    import mermaid from 'mermaid';
    purifier.addHook ??= () => {};
    purifier.sanitize ??= (text) => text;
    globalThis.__held = { mermaid };
    for (const text of ['graph TD; A-->B', 'sequenceDiagram\\n A->>B: hi', 'classDiagram\\n class A', 'erDiagram\\n A ||--o{ B : has', 'stateDiagram-v2\\n [*] --> S']) mermaid.parse(text);`,
};
const START = `
  require('node:v8').startupSnapshot.setDeserializeMainFunction(() => {
    process.getBuiltinModule('node:module').createRequire('/web/')('/web/build.mjs');
  });`;

/** Template engines that a compiler could use stay out: they are looked for when they are used, and nobody uses them. */
const optional = {
  name: 'optional',
  setup(build) {
    build.onResolve({ filter: /^[a-z@]/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
      if (pluginData === 'optional' || kind === 'entry-point') return null;
      if (kind === 'require-call' && importer.includes('/@vue/compiler-sfc/') && !/^(@vue|@babel|postcss|estree|magic|source-map)/.test(path)) return { path, external: true };
      const found = await build.resolve(path, { kind, resolveDir, importer, pluginData: 'optional' });
      return found.errors.length ? { path, external: true } : found;
    });
  },
};

export async function build({ name }) {
  await require('esbuild').build({
    stdin: { contents: KINDS[name] + START, resolveDir: '/web', loader: 'js' },
    bundle: true,
    minify: true,
    keepNames: true,
    platform: 'node',
    mainFields: ['module', 'main'],
    outfile: '/work/held.cjs',
    legalComments: 'none',
    logLevel: 'silent',
    // Tailwind reads its base styles from beside itself.
    define: { __dirname: '"/node_modules/tailwindcss/lib"', __filename: '"/node_modules/tailwindcss/lib/index.js"' },
    plugins: [optional],
  });
  const made = spawnSync(process.execPath, ['--snapshot-blob', '/work/warm.blob', '--build-snapshot', '/work/held.cjs'], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`no snapshot: ${made.stderr}`);
  return { files: { 'warm.blob': readFileSync('/work/warm.blob') } };
}
