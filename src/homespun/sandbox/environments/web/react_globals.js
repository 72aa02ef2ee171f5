// Programs written for script tags use these as globals; unused, they cost nothing.
import * as React from 'react';
import * as client from 'react-dom/client';
import * as dom from 'react-dom';

const ReactDOM = /* @__PURE__ */ Object.assign({}, dom, client);
export { React, ReactDOM };
