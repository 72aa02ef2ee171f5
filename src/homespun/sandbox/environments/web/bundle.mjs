// esbuild with what programs for the browser expect: one copy of each framework, files that a single file cannot have.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const FILES = ['.png', '.jpg', '.jpeg', '.gif', '.webp', '.avif', '.ico', '.woff', '.woff2', '.ttf', '.eot', '.otf', '.mp3', '.wav', '.ogg', '.mp4', '.webm', '.wasm', '.glb'];
const BOX = '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80"><rect width="100%" height="100%" fill="#ccc"/></svg>';
const SINGLE = /^(react|react-dom|react-is|scheduler|vue|vue-router|pinia|three)(\/|$)/;
const ABSENT = /^(\.{1,2}|@|~)\/.*\.(css|scss|sass|less|svg|png|jpe?g|gif|webp|avif|ico|mp3|wav|ogg|mp4)$/i;

/** A program is one file: style sheets and pictures beside it stand empty, with a note. */
const absent = (notes) => ({
  name: 'absent',
  setup(build) {
    build.onResolve({ filter: ABSENT }, ({ path, importer, namespace }) => {
      if (namespace !== 'file' || !importer.startsWith('/work/src/')) return null;
      notes[path] = 'a file beside the program, which is one file: left out';
      return { path, namespace: 'absent' };
    });
    build.onLoad({ filter: /.*/, namespace: 'absent' }, ({ path }) =>
      /\.(css|s[ac]ss|less)$/i.test(path) ? { contents: '', loader: 'css' } : { contents: `export default ${JSON.stringify(`data:image/svg+xml,${encodeURIComponent(BOX)}`)}`, loader: 'js' });
  },
});

/** A framework that the program brought in its own version is the only one, for warm packages and our entry too. */
const single = {
  name: 'single',
  setup(build) {
    build.onResolve({ filter: SINGLE }, async ({ path, kind, pluginData, importer }) => {
      const addon = /^three\/.*\/\w+$/.test(path);
      if (pluginData === 'single' || (importer.startsWith('/work/src/') && !addon)) return null;
      const options = { kind, resolveDir: '/work/src', pluginData: 'single' };
      const found = await build.resolve(path, options);
      // Add-ons of Three are often named without the ending that the package asks for.
      return found.errors.length && addon ? build.resolve(`${path}.js`, options) : found;
    });
  },
};

/** Bundles for the browser; resolves to {files: path → bytes}, adds to `notes`, throws esbuild's failure. */
export async function bundle({ notes, plugins = [], loader = {}, define = {}, ...options }) {
  const esbuild = require('esbuild');
  const result = await esbuild.build({
      absWorkingDir: '/work',
      bundle: true,
      write: false,
      outdir: '/work/dist',
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      jsx: 'automatic',
      minifySyntax: true,
      legalComments: 'none',
      charset: 'utf8',
      logLevel: 'silent',
      metafile: false,
      assetNames: 'assets/[hash]',
      chunkNames: 'assets/[name]-[hash]',
      mainFields: ['browser', 'module', 'main'],
      define: {
        'process.env.NODE_ENV': '"production"',
        'process.env': '{}',
        global: 'globalThis',
        'import.meta.env': '{"MODE":"production","PROD":true,"DEV":false,"SSR":false,"BASE_URL":"/"}',
        ...define,
      },
      loader: { '.svg': 'dataurl', '.json': 'json', '.txt': 'text', '.md': 'text', '.glsl': 'text', ...Object.fromEntries(FILES.map((name) => [name, 'file'])), ...loader },
      plugins: [...plugins, single, absent(notes)],
      ...options,
    });
    return Object.fromEntries(result.outputFiles.map((file) => [file.path.slice('/work/dist/'.length), file.contents]));
}
