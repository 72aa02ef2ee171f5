// A page's packages: single files as they are, modules bundled, Tailwind's style sheet.

import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { bundle } from './bundle.mjs';
import { WHOLE, settings, tailwind } from './styles.mjs';

const ROOTS = ['/work/node_modules', '/node_modules'];
const PLACES = ['', 'dist', 'build', 'umd', 'dist/umd', 'lib', 'js', 'css', 'dist/js', 'dist/css', 'dist/min'];
const GLOBALS = { three: 'THREE', lodash: '_', 'lodash-es': '_', uuid: 'uuid', d3: 'd3', nanoid: 'nanoid', zustand: 'zustand' };
const DEEPEST = 6;

const folderOf = (name) => ROOTS.map((root) => join(root, name)).find((folder) => existsSync(join(folder, 'package.json')));
const isFile = (path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;

/** The shortest path of a file with this name anywhere in a package. */
function search(folder, base) {
  let found = null;
  const walk = (at, depth) => {
    for (const entry of readdirSync(join(folder, at), { withFileTypes: true })) {
      const path = posix.join(at, entry.name);
      if (entry.isDirectory() && depth < DEEPEST && entry.name !== 'node_modules') walk(path, depth + 1);
      else if (entry.isFile() && entry.name === base && (!found || path.length < found.length)) found = path;
    }
  };
  walk('', 0);
  return found;
}

/** Names under which a network serves a file that the package calls otherwise. */
function spellings(path) {
  const plain = path.replace(/[.-]min(?=\.(js|css|mjs)$)/, '').replace(/[.-]v?\d+(\.\d+)*(?=(\.slim)?\.(js|css|mjs)$)/, '');
  const ending = /\.(m?js|css)$/.exec(plain)?.[0] ?? '';
  const stem = ending ? plain.slice(0, -ending.length) : plain;
  const endings = ending ? [ending] : ['.js', '.css'];
  return [...new Set([path, plain, ...endings.flatMap((each) => [`${stem}.min${each}`, `${stem}.umd${each}`, `${stem}.umd.min${each}`, `${stem}${each}`])])];
}

/** The file of a package that an address stands for, below the package's folder. */
function fileOf(folder, name, path, use) {
  if (path) {
    for (const each of spellings(path)) for (const place of PLACES) if (isFile(join(folder, place, each))) return posix.join(place, each);
    for (const each of spellings(posix.basename(path))) {
      const found = search(folder, each);
      if (found) return found;
    }
    return null;
  }
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const fields = use === 'style' ? [about.style] : [about.jsdelivr, about.unpkg, typeof about.browser === 'string' ? about.browser : null, about.main];
  const usual = use === 'style' ? [`dist/${name}.min.css`, `dist/${name}.css`] : [`dist/${name}.min.js`, `dist/${name}.js`, `${name}.js`, 'index.js'];
  for (const each of [...fields, ...usual].filter(Boolean)) {
    for (const form of [each, `${each}.js`]) if (isFile(join(folder, form))) return posix.normalize(form);
  }
  return null;
}

/** Whether a file works as a classic script: no import or export of its own, no require at its top. */
const classic = (text) => !/^\s*(?:import\s*[\w{*"']|export\s+[\w{*])/m.test(text.slice(0, 200_000)) && !/[;}]export\s*\{/.test(text.slice(-20_000))
  && (!/\brequire\(/.test(text) || /typeof (?:exports|define|module)|"object"\s*[=!]=+\s*typeof\s/.test(text));

/** A style sheet with every file that it names, all at their own places. */
function sheet(name, folder, path, files) {
  const target = `cdn/${name}/${path}`;
  if (files[target]) return;
  const text = readFileSync(join(folder, path), 'utf8');
  files[target] = text;
  for (const [, address] of text.matchAll(/url\(\s*["']?([^"')]+)["']?\s*\)/g)) {
    if (/^([a-z]+:|\/|#)/i.test(address)) continue;
    const below = posix.join(dirname(path), address.split(/[?#]/)[0]);
    if (!/^[\w@~+][\w@~+./-]*$/.test(below) || !isFile(join(folder, below)) || files[`cdn/${name}/${below}`]) continue;
    if (below.endsWith('.css')) sheet(name, folder, below, files);
    // Chromium takes the first form that it knows, and knows woff2.
    else if (!/\.(ttf|eot|woff|otf)$/.test(below) || !text.includes('woff2')) files[`cdn/${name}/${below}`] = readFileSync(join(folder, below));
  }
}

/** Specifiers of the page's modules: what its import map and its addresses say, then packages by their names. */
const mapped = (imports, notes) => ({
  name: 'mapped',
  setup(build) {
    const prefixes = Object.keys(imports).filter((key) => key.endsWith('/')).sort((a, b) => b.length - a.length);
    const place = async ([name, path], kind) => {
      const options = { kind, resolveDir: '/work/src', pluginData: 'mapped' };
      const wanted = await build.resolve(path ? `${name}/${path}` : name, options);
      if (!wanted.errors.length) return wanted;
      const folder = folderOf(name);
      const file = folder && path && fileOf(folder, name, path, 'module');
      return file ? { path: join(folder, file) } : { path: name, namespace: 'missing' };
    };
    build.onLoad({ filter: /.*/, namespace: 'missing' }, ({ path }) => {
      notes[path] = 'left out: the package is not installed';
      // As CommonJS, so that any name can be imported from it; it fails when it is run.
      return { contents: `module.exports; throw new Error(${JSON.stringify(`The package ${path} could not be loaded`)})`, loader: 'js' };
    });
    build.onResolve({ filter: /.*/ }, async ({ path, kind, importer, pluginData }) => {
      if (pluginData === 'mapped' || !importer.startsWith('/work/src/')) return null;
      const prefix = prefixes.find((each) => path.startsWith(each));
      const target = imports[path] ?? (prefix && [imports[prefix][0], imports[prefix][1] + path.slice(prefix.length)]);
      if (target) return place(target, kind);
      if (/^(https?:)?\/\//.test(path)) return { path, namespace: 'missing' };
      return /^[\w@]/.test(path) ? place([path, ''], kind) : null;
    });
  },
});

async function globalScript(name, files, notes) {
  const word = GLOBALS[name] ?? name.replace(/^.*\//, '').replace(/[-.](\w?)/g, (_, letter) => letter.toUpperCase());
  const contents = `import * as whole from ${JSON.stringify(name)}; const { default: main, ...rest } = whole; globalThis.${word} ??= Object.keys(rest).length ? { ...rest, ...(main ? { default: main } : {}) } : main;`;
  const made = await bundle({ notes, stdin: { contents, resolveDir: '/work/src' }, entryNames: `cdn/${name}/global`, format: 'iife', minify: true });
  Object.assign(files, made);
  return `cdn/${name}/global.js`;
}

async function single({ name, path, use }, files, notes) {
  const folder = folderOf(name);
  if (!folder) throw new Error('the package is not installed');
  const file = fileOf(folder, name, path, use);
  if (use === 'style' || file?.endsWith('.css')) {
    if (!file) throw new Error('the package has no such style sheet');
    sheet(name, folder, file, files);
    return `cdn/${name}/${file}`;
  }
  const text = file ? readFileSync(join(folder, file)) : null;
  if (use === 'script' && (!text || !classic(text.toString('utf8')))) return globalScript(name, files, notes);
  if (!file) throw new Error('the package has no such file');
  files[`cdn/${name}/${file}`] = text;
  return `cdn/${name}/${file}`;
}

async function styled({ page, scripts, styles, plugins }, files, notes) {
  const config = settings(scripts, plugins, notes);
  files['cdn/tailwind.css'] = await tailwind(page, { css: [WHOLE, ...styles].join('\n'), config });
  files['cdn/tailwind.js'] = 'window.tailwind = { config: {} };';
}

export async function build({ addresses, imports, modules, tailwind: wanted }) {
  const notes = {};
  const files = {};
  const replaced = {};
  const external = addresses.filter(({ use }) => use === 'module');
  const entries = Object.fromEntries(Array.from({ length: modules }, (_, at) => [`cdn/module${at}`, `/work/src/module${at}.js`]));
  for (const { name, path, address } of external) {
    imports[address] = [name, path];
    const entry = `entry${Object.keys(entries).length}`;
    entries[`cdn/${entry}`] = `/work/src/${entry}.js`;
    writeFileSync(`/work/src/${entry}.js`, `import ${JSON.stringify(address)};`);
    replaced[address] = `cdn/${entry}.js`;
  }
  const work = [];
  if (Object.keys(entries).length) work.push(bundle({ notes, entryPoints: entries, splitting: true, plugins: [mapped(imports, notes)] }).then((made) => Object.assign(files, made)));
  if (wanted) work.push(styled(wanted, files, notes));
  for (const each of addresses.filter(({ use }) => use !== 'module')) {
    work.push(single(each, files, notes).then((place) => { replaced[each.address] = place; }, (error) => {
      notes[each.address] = `left out: ${error.errors?.[0]?.text ?? error.message}`;
    }));
  }
  await Promise.all(work);
  return { files, notes, data: { replaced } };
}
