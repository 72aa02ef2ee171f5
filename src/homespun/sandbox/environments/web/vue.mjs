// Vue: single-file components by Vue's own compiler, options objects, and scripts that mount themselves.

import { readFileSync, writeFileSync } from 'node:fs';
import { barrel } from './barrel.mjs';
import { bundle } from './bundle.mjs';
import { Refused, at, told } from './faults.mjs';
import { held } from './held.mjs';
import { WHOLE, classy, tailwind } from './styles.mjs';

const ID = 'p0';
// What plain CSS with nesting cannot say: variables, mixins, functions, loops, line comments, joined selectors.
const PREPROCESSED = /^\s*(?:[$@][\w-]+\s*:|@(?:mixin|include|extend|function|return|each|for|if|else|while|use|forward)\b|\/\/)|&[\w-]|#\{|[:\s(]\$[\w-]+/m;

/** The program gets the watched Vue, everything else Vue itself; both with the compiler for templates in strings. */
const watched = {
  name: 'watched',
  setup(build) {
    const whole = (kind) => build.resolve('vue/dist/vue.esm-bundler.js', { kind, resolveDir: '/work/src' });
    build.onResolve({ filter: /^#vue$/ }, ({ kind }) => whole(kind));
    build.onResolve({ filter: /^vue$/ }, ({ kind, importer }) =>
      importer.startsWith('/work/src/') ? { path: '/web/vue_watched.js' } : whole(kind));
  },
};

function place(file, source, error, offset = 0) {
  const start = error.loc?.start ?? error.loc;
  if (!start) return `${file}: ${error.message ?? error}`;
  const index = start.offset ?? null;
  const line = index === null ? start.line : source.slice(0, index + offset).split('\n').length;
  return at(file, source, line, start.column || 1, String(error.message ?? error).split('\n')[0].replace(/ \(\d+:\d+\)$/, ''));
}

/** Babel puts the place into its message, counted within the script. */
function scriptFault(file, source, error, block) {
  const found = /^\[vue\/compiler-sfc\] (.*?) \((\d+):(\d+)\)/s.exec(error.message) ?? /^(.*?) \((\d+):(\d+)\)/s.exec(error.message);
  if (!found || !block) return `${file}: ${error.message.split('\n')[0]}`;
  return at(file, source, Number(found[2]) + block.loc.start.line - 1, Number(found[3]) + 1, found[1]);
}

function templateOptions(descriptor, source, file) {
  const block = descriptor.template;
  if (block.lang && block.lang !== 'html') throw new Refused(`${file}: templates in ${block.lang} are not supported; write HTML`);
  return {
    source: block.content,
    ast: block.ast,
    filename: file,
    id: ID,
    scoped: descriptor.styles.some((style) => style.scoped),
    slotted: descriptor.slotted,
    isProd: true,
  };
}

function script(sfc, descriptor, source, file) {
  const blocks = [descriptor.script, descriptor.scriptSetup].filter(Boolean);
  if (!blocks.length) return { content: 'const __program = {}', lang: 'ts', bindings: {}, inline: false };
  const inline = Boolean(descriptor.scriptSetup && descriptor.template);
  try {
    const made = sfc.compileScript(descriptor, {
      id: ID,
      isProd: true,
      genDefaultAs: '__program',
      inlineTemplate: inline,
      templateOptions: inline ? templateOptions(descriptor, source, file) : undefined,
    });
    return { content: made.content, lang: made.lang ?? 'js', bindings: made.bindings, inline };
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(scriptFault(file, source, error, descriptor.scriptSetup ?? descriptor.script));
  }
}

function render(sfc, descriptor, source, file, made) {
  if (!descriptor.template || made.inline) return '';
  const options = templateOptions(descriptor, source, file);
  const compiled = sfc.compileTemplate({ ...options, compilerOptions: { bindingMetadata: made.bindings, scopeId: options.scoped ? `data-v-${ID}` : undefined, expressionPlugins: /tsx?/.test(made.lang) ? ['typescript'] : [] } });
  if (compiled.errors.length) throw new Refused(compiled.errors.map((error) => place(file, source, error)).join('\n'));
  return compiled.code.replace(/\bexport (function|const) (render|ssrRender)\b/, '$1 __render') + '\n__program.render = __render;\n';
}

function plain(style, file, notes) {
  if (style.lang && style.lang !== 'css' && style.lang !== 'postcss') {
    if (PREPROCESSED.test(style.content)) throw new Refused(`${file}: styles in ${style.lang} are not supported; write plain CSS (nesting works)`);
    notes[`style lang="${style.lang}"`] = 'read as plain CSS with nesting';
  }
  return style.content;
}

async function styles(sfc, descriptor, source, file, notes) {
  const texts = [];
  const names = {};
  for (const style of descriptor.styles) {
    let content = plain(style, file, notes);
    if (/@apply\b|\btheme\(/.test(content)) content = await tailwind(source, { css: content });
    const made = await sfc.compileStyleAsync({ source: content, filename: file, id: `data-v-${ID}`, scoped: Boolean(style.scoped), modules: Boolean(style.module), isProd: true });
    if (made.errors.length) throw new Refused(`${file}: ${made.errors[0].reason ?? made.errors[0].message}`);
    texts.push(made.code);
    if (style.module) names[style.module === true ? '$style' : style.module] = made.modules ?? {};
  }
  return { css: texts.join('\n'), names };
}

async function component(file, notes) {
  const sfc = held('@vue/compiler-sfc');
  const source = readFileSync(`/work/src/${file}`, 'utf8');
  const { descriptor, errors } = sfc.parse(source, { filename: file, sourceMap: false });
  if (errors.length) throw new Refused(errors.map((error) => place(file, source, error)).join('\n'));
  if (!descriptor.template && !descriptor.script && !descriptor.scriptSetup) throw new Refused(`${file}: neither a template nor a script`);
  const made = script(sfc, descriptor, source, file);
  const lines = [made.content, render(sfc, descriptor, source, file, made)];
  const { css, names } = await styles(sfc, descriptor, source, file, notes);
  if (descriptor.styles.some((style) => style.scoped)) lines.push(`__program.__scopeId = 'data-v-${ID}';`);
  if (Object.keys(names).length) lines.push(`__program.__cssModules = ${JSON.stringify(names)};`);
  const compiled = `compiled.${/^(ts|tsx|jsx)$/.test(made.lang) ? made.lang : 'js'}`;
  writeFileSync(`/work/src/${compiled}`, `${lines.join('\n')}\nexport default __program;\n`);
  return { compiled, css, source };
}

function entry(file, mounts, code) {
  if (mounts) return `import './${file}';`;
  const pinia = /from\s*['"]pinia['"]/.test(code);
  const router = /from\s*['"]vue-router['"]/.test(code) && !/createRouter\s*\(/.test(code);
  return `
    import { createApp } from '/web/vue_watched.js';
    import * as program from './${file}';
    ${pinia ? "import { createPinia } from 'pinia';" : ''}
    ${router ? "import { createRouter, createMemoryHistory } from 'vue-router';" : ''}
    const Program = program.default ?? Object.values(program).find((value) => value?.setup || value?.template || value?.render || value?.data);
    if (!Program) throw new Error('The program exports no component');
    const app = createApp(Program);
    ${pinia ? 'app.use(createPinia());' : ''}
    ${router ? "app.use(createRouter({ history: createMemoryHistory(), routes: [{ path: '/:all(.*)*', component: { render: () => null } }] }));" : ''}
    app.mount('#app');`;
}

export async function build({ file, mounts, loader }) {
  const notes = {};
  const code = readFileSync(`/work/src/${file}`, 'utf8');
  const whole = file.endsWith('.vue') ? await component(file, notes) : null;
  const bundled = bundle({
    notes,
    stdin: { contents: entry(whole?.compiled ?? file, mounts, code), resolveDir: '/work/src', sourcefile: 'entry.js', loader: 'js' },
    entryNames: 'app',
    jsxImportSource: 'vue',
    loader: { '.js': 'jsx', ...loader },
    define: { __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false' },
    inject: ['/web/vue_globals.js'],
    plugins: [watched, barrel(code)],
  });
  try {
    const [files, css] = await Promise.all([bundled, classy(code) ? tailwind(code, { css: WHOLE }) : null]);
    if (css) files['tailwind.css'] = css;
    if (whole?.css) files['component.css'] = whole.css;
    return { files, notes };
  } catch (error) {
    if (whole && error.errors) throw new Refused(told(error, { [whole.compiled]: { file, source: whole.source } }));
    throw error;
  }
}
