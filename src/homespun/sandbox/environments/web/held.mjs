// Heavy packages: from the snapshot that this process was started from, else loaded as usual.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export const held = (name) => globalThis.__held?.[name] ?? require(name);
