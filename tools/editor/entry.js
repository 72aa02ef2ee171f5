// What the battle room's page uses of CodeMirror: an editor for a pane, and colours for code in a reply.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { css } from "@codemirror/lang-css";
import { html } from "@codemirror/lang-html";
import { javascript } from "@codemirror/lang-javascript";
import { markdown } from "@codemirror/lang-markdown";
import { python } from "@codemirror/lang-python";
import { vue } from "@codemirror/lang-vue";
import {
  HighlightStyle, LanguageSupport, StreamLanguage, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting,
} from "@codemirror/language";
import { c, cpp, java } from "@codemirror/legacy-modes/mode/clike";
import { go } from "@codemirror/legacy-modes/mode/go";
import { rust } from "@codemirror/legacy-modes/mode/rust";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import {
  EditorView, crosshairCursor, drawSelection, dropCursor, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars,
  keymap, lineNumbers, rectangularSelection,
} from "@codemirror/view";
import { classHighlighter, highlightCode, tags } from "@lezer/highlight";

// Grammars of these four weigh 260 kB together; line-wise modes colour and indent as well for a thirtieth of that.
const streamed = (spec) => new LanguageSupport(StreamLanguage.define(spec));

const MODES = {
  javascript: () => javascript({ jsx: true }),
  typescript: () => javascript({ jsx: true, typescript: true }),
  html: () => html(),
  css: () => css(),
  vue: () => vue(),
  python: () => python(),
  c: () => streamed(c),
  "c++": () => streamed(cpp),
  java: () => streamed(java),
  go: () => streamed(go),
  rust: () => streamed(rust),
  markdown: () => markdown(),
};
const SAME = {
  js: "javascript", jsx: "javascript", mjs: "javascript", ts: "typescript", tsx: "typescript", py: "python", python3: "python",
  cpp: "c++", cc: "c++", cxx: "c++", h: "c", rs: "rust", golang: "go", md: "markdown", htm: "html", xml: "html", svg: "html",
};
const made = new Map();

function mode(language) {
  const name = (language ?? "").toLowerCase();
  const known = MODES[name] ? name : SAME[name];
  if (!known) return null;
  if (!made.has(known)) made.set(known, MODES[known]());
  return made.get(known);
}

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: [tags.comment, tags.meta], color: "var(--code-comment)" },
  { tag: [tags.typeName, tags.className, tags.tagName, tags.namespace], color: "var(--code-type)" },
  { tag: [tags.propertyName, tags.attributeName, tags.function(tags.variableName)], color: "var(--code-name)" },
  { tag: [tags.heading, tags.strong], fontWeight: "650" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

const look = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--well)", height: "100%", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--well)", color: "var(--soft)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--wash)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--select)" },
  ".cm-selectionMatch": { backgroundColor: "var(--select)" },
  ".cm-matchingBracket": { backgroundColor: "var(--select)", outline: "1px solid var(--line)" },
  ".cm-panels, .cm-tooltip": { backgroundColor: "var(--card)", color: "var(--ink)", border: "1px solid var(--line)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--accent-ink)" },
  ".cm-textfield": { backgroundColor: "var(--card)", color: "var(--ink)", border: "1px solid var(--line)" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--card)", color: "var(--ink)", border: "1px solid var(--line)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--wash)", color: "var(--soft)", border: "0" },
});

const BASE = [
  lineNumbers(), foldGutter(), highlightSpecialChars(), history(), drawSelection(), dropCursor(),
  EditorState.allowMultipleSelections.of(true), indentOnInput(), bracketMatching(), closeBrackets(), autocompletion(),
  rectangularSelection(), crosshairCursor(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(),
  search({ top: true }), syntaxHighlighting(colours), syntaxHighlighting(classHighlighter), look,
  keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, indentWithTab]),
];

const unit = (language) => indentUnit.of(["python", "rust", "java"].includes(language) ? "    " : "  ");

/** An editor in a shadow root of `place`: there CodeMirror's styles are adopted sheets, which a strict policy allows. */
export function createEditor(place, { code, language, label, longest, onChange, onRun }) {
  const root = place.shadowRoot ?? place.attachShadow({ mode: "open" });
  root.replaceChildren();
  const speech = new Compartment();
  const tongue = (name) => [mode(name) ?? [], unit(name)];
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: code,
      extensions: [
        keymap.of([{ key: "Mod-Enter", run: () => (onRun(), true) }]),
        BASE,
        speech.of(tongue(language)),
        EditorState.changeFilter.of((change) => change.newDoc.length <= longest),
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", autocapitalize: "off" }),
        EditorView.updateListener.of((update) => update.docChanged && onChange(update.state.doc.toString())),
      ],
    }),
  });
  return {
    view,
    code: () => view.state.doc.toString(),
    show(text, name) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, effects: speech.reconfigure(tongue(name)) });
    },
    focus: () => view.focus(),
    close: () => view.destroy(),
  };
}

/** Code as pieces [text, class], or null where the language is not known. */
export function highlight(code, language) {
  const support = mode(language);
  if (!support) return null;
  const pieces = [];
  const put = (text, classes) => pieces.push([text, classes]);
  highlightCode(code, support.language.parser.parse(code), classHighlighter, put, () => pieces.push(["\n", ""]));
  return pieces;
}
