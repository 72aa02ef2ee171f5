// Vue as programs import it: an app without a handler of its own reports its errors to the page.
import * as Vue from '#vue';

const watch = (app) => {
  app.config.errorHandler ??= (error) => reportError(error);
  return app;
};

export * from '#vue';
export const createApp = (...given) => watch(Vue.createApp(...given));
