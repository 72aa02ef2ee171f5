// Replies as nodes. marked only reads the text into tokens; HTML in it stays text, images are never loaded, links are
// checked. While a reply streams, blocks that did not change keep their nodes.

import { Lexer } from "/static/vendor/marked.js";
import { el } from "./dom.js";
import { highlight } from "./editor.js";

const SAFE = /^(https?:|mailto:)/i;
const LONG = 200_000; // characters of code beyond which colours are left out

export class Reply {
  constructor(place) {
    this.place = place;
    this.blocks = [];
    this.text = null;
  }

  /** Draws the text; `whole` when no more will come, then code gets its colours. */
  show(text, whole) {
    if (text === this.text && whole === this.whole) return;
    this.text = text;
    this.whole = whole;
    const tokens = new Lexer({ gfm: true }).lex(text).filter((token) => token.type !== "space");
    let same = 0;
    while (same < tokens.length && this.blocks[same]?.raw === tokens[same].raw) same += 1;
    if (this.grow(tokens, same)) same += 1;
    for (const block of this.blocks.splice(same)) block.node.remove();
    for (const token of tokens.slice(same)) {
      const node = block(token);
      this.blocks.push({ raw: token.raw, type: token.type, lang: token.lang, node });
      this.place.append(node);
    }
    if (whole) for (const { node, type } of this.blocks) if (type === "code") colour(node);
  }

  /** Code that only became longer grows in its place: the reader's scrolling and selection stay. */
  grow(tokens, at) {
    const [token, had] = [tokens[at], this.blocks[at]];
    if (!had || token?.type !== "code" || had.type !== "code" || had.lang !== token.lang || at !== this.blocks.length - 1) return false;
    const text = had.node.querySelector("code").firstChild;
    if (!text || text !== text.parentNode.lastChild || !token.text.startsWith(text.data ?? "\0")) return false;
    text.appendData(token.text.slice(text.data.length));
    had.raw = token.raw;
    return true;
  }
}

const inline = (tokens) => (tokens ?? []).map(span);

function span(token) {
  switch (token.type) {
    case "strong": return el("strong", {}, inline(token.tokens));
    case "em": return el("em", {}, inline(token.tokens));
    case "del": return el("del", {}, inline(token.tokens));
    case "codespan": return el("code", {}, token.text);
    case "br": return el("br");
    case "link": return link(token);
    case "image": return SAFE.test(token.href) ? link({ ...token, tokens: [], text: `image: ${token.text || token.href}` }) : `[image: ${token.text}]`;
    case "escape": return token.text;
    case "checkbox": return el("input", { type: "checkbox", disabled: true, checked: token.checked, "aria-label": token.checked ? "done" : "to do" });
    case "text": return token.tokens ? inline(token.tokens) : plain(token.text);
    default: return plain(token.raw ?? "");
  }
}

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&nbsp;": "\u00a0" };
const plain = (text) => text.replace(/&(?:amp|lt|gt|quot|#39|nbsp);/g, (found) => ENTITIES[found]);

function link(token) {
  const shown = token.tokens?.length ? inline(token.tokens) : [token.text];
  if (!SAFE.test(token.href)) return el("span", {}, shown);
  return el("a", { href: token.href, target: "_blank", rel: "noopener noreferrer nofollow", title: token.href }, shown);
}

function block(token) {
  switch (token.type) {
    case "heading": return el(`h${Math.min(6, token.depth + 2)}`, {}, inline(token.tokens));
    case "paragraph": return el("p", {}, inline(token.tokens));
    case "text": return el("p", {}, token.tokens ? inline(token.tokens) : plain(token.text));
    case "code": return code(token);
    case "hr": return el("hr");
    case "blockquote": return el("blockquote", {}, token.tokens.map(block));
    case "list": return list(token);
    case "table": return table(token);
    case "space": return "";
    default: return el("p", { class: "raw" }, token.raw ?? "");
  }
}

function list(token) {
  const items = token.items.map((item) => {
    const box = item.task ? el("input", { type: "checkbox", disabled: true, checked: item.checked, "aria-label": item.checked ? "done" : "to do" }) : null;
    const inside = item.tokens.filter((part) => part.type !== "checkbox");
    return el("li", {}, box, inside.map((part) => (part.type === "text" ? span(part) : block(part))));
  });
  return el(token.ordered ? "ol" : "ul", { start: token.ordered && token.start !== 1 ? token.start : null }, items);
}

function table(token) {
  const head = el("tr", {}, token.header.map((cell) => el("th", { scope: "col" }, inline(cell.tokens))));
  const rows = token.rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, inline(cell.tokens)))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" }, el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
}

function code(token) {
  const tag = (token.lang ?? "").split(/\s/)[0];
  const copy = el("button", { type: "button", class: "small" }, "Copy");
  const body = el("code", {}, token.text);
  copy.onclick = () => copied(copy, body.textContent);
  const label = tag ? `Code, ${tag}` : "Code";
  return el("figure", { class: "code", "data-lang": tag }, el("figcaption", {}, el("span", {}, tag || "text"), copy), el("pre", { tabindex: "0", role: "region", "aria-label": label }, body));
}

async function copied(button, text) {
  const done = await navigator.clipboard.writeText(text).then(() => true, () => false);
  button.textContent = done ? "Copied" : "Not allowed";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

async function colour(figure) {
  if (figure.dataset.coloured || !figure.dataset.lang) return;
  figure.dataset.coloured = "yes";
  const body = figure.querySelector("code");
  const text = body.textContent;
  if (text.length > LONG) return;
  const pieces = await highlight(text, figure.dataset.lang);
  if (!pieces || body.textContent !== text) return;
  body.replaceChildren(...pieces.map(([piece, classes]) => (classes ? el("span", { class: classes }, piece) : piece)));
}
