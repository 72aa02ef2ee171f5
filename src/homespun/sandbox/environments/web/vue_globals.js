// Programs written for script tags use Vue as a global; unused, it costs nothing.
import * as Vue from './vue_watched.js';

export { Vue };
