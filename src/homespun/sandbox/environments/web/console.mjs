// A script for the browser, shown with a console.

import { bundle } from './bundle.mjs';

export async function build({ file, loader }) {
  const notes = {};
  const files = await bundle({ notes, entryPoints: [`/work/src/${file}`], entryNames: 'app', minifySyntax: false, loader });
  return { files, notes };
}
