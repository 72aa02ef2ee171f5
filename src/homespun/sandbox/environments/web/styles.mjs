// Tailwind 3.4 over one text: what the published system's template does, without its file watcher.

import { createRequire } from 'node:module';
import vm from 'node:vm';
import { Refused } from './faults.mjs';
import { held } from './held.mjs';

const require = createRequire(import.meta.url);
// Tailwind's one way to be silent: a warning about few classes is no error of the program.
process.env.JEST_WORKER_ID ??= '1';
export const WHOLE = '@tailwind base;@tailwind components;@tailwind utilities;';
const USES = /\bclass(Name|List)?\b\s*[=:.]|@apply\b|@tailwind\b/;
const PLUGINS = { forms: '@tailwindcss/forms', typography: '@tailwindcss/typography', 'aspect-ratio': '@tailwindcss/aspect-ratio' };

/** Whether a program names classes at all. */
export const classy = (code) => USES.test(code);

/** The CSS for the classes that a text names. */
export async function tailwind(code, { css = WHOLE, config = {} } = {}) {
  const postcss = held('postcss');
  const engine = held('tailwindcss');
  try {
    const made = await postcss([engine({ ...config, content: [{ raw: code, extension: 'html' }] })]).process(css, { from: undefined });
    return made.css;
  } catch (error) {
    throw new Refused(`Tailwind: ${error.reason ?? error.message}`);
  }
}

/** The settings that scripts of a page give to the play CDN (`tailwind.config = {…}`), and plugins of its address. */
export function settings(scripts, plugins, notes) {
  const tailwindObject = { config: {} };
  const loaded = [];
  for (const name of plugins) {
    try {
      loaded.push(require(PLUGINS[name]));
    } catch {
      notes[`tailwind plugin ${name}`] = 'not installed: left out';
    }
  }
  const plugin = (body) => ({ handler: body });
  const context = vm.createContext({ tailwind: tailwindObject, window: { tailwind: tailwindObject }, require: () => plugin });
  for (const script of scripts) {
    try {
      vm.runInContext(script, context, { timeout: 500 });
    } catch {
      // Scripts that do more than set it up need a browser; what they set before they failed counts.
    }
  }
  const config = context.tailwind?.config ?? {};
  return { ...config, plugins: [...loaded, ...(Array.isArray(config.plugins) ? config.plugins : [])] };
}
