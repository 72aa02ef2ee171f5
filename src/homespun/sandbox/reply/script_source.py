"""JavaScript and TypeScript: what they import, whether they are React, Vue or neither, and which of the two.

The published rule matches ``ref(``, ``watch(`` or ``data:`` anywhere, so that plain JavaScript becomes Vue;
here a component has to be seen in the tree: an import, a JSX element, a component's options.
"""

import re
from dataclasses import dataclass, field
from operator import itemgetter

from tree_sitter import Node, Tree

from homespun.sandbox.reply.trees import Grammar, damage, literal, nodes, parsed, words
from homespun.sandbox.reply.types import Environment, Language

_TYPES_WORDS = (
    "type_annotation interface_declaration type_alias_declaration enum_declaration as_expression "
    "satisfies_expression type_arguments type_parameters non_null_expression abstract_class_declaration "
    "ambient_declaration accessibility_modifier import_require_clause internal_module"
)
_TYPES = frozenset(_TYPES_WORDS.split())
_ACTS_WORDS = (
    "import_statement export_statement lexical_declaration variable_declaration function_declaration "
    "class_declaration call_expression new_expression interface_declaration type_alias_declaration "
    "enum_declaration"
)
_ACTS = frozenset(_ACTS_WORDS.split())
_JSX = frozenset({"jsx_element", "jsx_self_closing_element", "jsx_fragment"})
# JavaScript's grammar reads `useState<number>(0)` as two comparisons, which nobody writes.
_CALL_OF_TYPE = re.compile(r"\w<[\w\[\]|, .'\"{}:;]{1,80}>\(")
_REACT = ("react", "react-dom", "next")
_VUE = ("vue", "nuxt", "pinia", "vue-router", "vuex", "vuetify")
_MAKERS = frozenset(
    {"createApp", "defineComponent", "Vue.createApp", "Vue.component", "Vue.extend", "Vue.defineComponent"}
)
_OPTIONS_WORDS = (
    "methods computed watch components props emits mounted created beforeMount beforeUnmount unmounted "
    "beforeCreate updated directives mixins"
)
_OPTIONS = frozenset(_OPTIONS_WORDS.split())
_FUNCTIONS = ("arrow_function", "function_expression")
_DIRECTIVES = ("v-if", "v-for", "v-model", "v-bind", "v-on", "v-show", "v-html", "v-text", "v-slot", "@click", "{{")


@dataclass(slots=True)
class ScriptSource:
    """A script as its tree shows it. ``acts``: it holds at least one statement that does something."""

    language: Language = "javascript"
    imports: list[str] = field(default_factory=list[str])
    comments: list[str] = field(default_factory=list[str])
    broken: bool = False
    acts: bool = False
    jsx: bool = False
    directive: bool = False
    component: str = ""
    globals: set[str] = field(default_factory=set[str])
    declared: set[str] = field(default_factory=set[str])

    @property
    def note(self) -> str:
        """How the text was read."""
        return f"read as {self.language} by tree-sitter" + (", with errors in it" if self.broken else "")

    @property
    def environment(self) -> tuple[Environment, str]:
        """Where the script is shown, and why."""
        for specifier in self.imports:
            package = _package(specifier)
            if package in _REACT:
                return "react", f"imports {package}"
            if package in _VUE or package.startswith(("@vue/", "@nuxt/")):
                return "vue", f"imports {package}"
        if self.directive:
            return "vue", "a Vue directive on an element"
        if self.jsx:
            return "react", "a JSX element"
        if self.component:
            return "vue", self.component
        used = self.globals - self.declared
        if used:
            return ("react" if "React" in used else "vue"), f"uses the global {min(used)}"
        return "interpreter", "a script that is neither React nor Vue"


def _package(specifier: str) -> str:
    parts = specifier.removeprefix("npm:").split("/")
    return "/".join(parts[:2]) if specifier.startswith("@") else parts[0].split("@")[0]


def read_script(code: str, *, typed: bool = False) -> ScriptSource:
    """Read a script by the first grammar that fits whole, else by the one that fits best.

    Args:
        code: The script.
        typed: Whether it was called TypeScript: then it is, since all JavaScript is.
    """
    grammars: tuple[Grammar, ...] = ("typescript", "tsx") if typed else ("javascript", "tsx", "typescript")
    trees: list[tuple[int, Tree]] = []
    for grammar in grammars:
        tree = parsed(grammar, code)
        trees.append((damage(tree), tree))
        if not trees[-1][0]:
            break
    if not typed and len(trees) == 1 and _CALL_OF_TYPE.search(code):
        other = parsed("tsx", code)
        trees = trees if damage(other) else [(0, other)]
    harm, best = min(trees, key=itemgetter(0))
    source = ScriptSource(broken=harm > 0)
    for node in nodes(best):
        _look(node, source)
    if typed:
        source.language = "typescript"
    return source


def _look(node: Node, source: ScriptSource) -> None:
    kind = node.type
    if kind in _TYPES:
        source.language = "typescript"
    if kind in _ACTS:
        source.acts = True
    if kind in _JSX:
        source.jsx = True
    elif kind == "comment":
        source.comments += [line.strip(" \t*/") for line in words(node).split("\n")]
    elif kind == "jsx_attribute":
        source.directive |= bool(node.children) and words(node.children[0]).startswith("v-")
    elif kind in ("import_statement", "import_require_clause", "export_statement"):
        _import(node.child_by_field_name("source"), source)
        _exported(node.child_by_field_name("value"), source)
    elif kind == "call_expression":
        _call(node, source)
    elif kind == "new_expression" and words(node.child_by_field_name("constructor")) == "Vue":
        source.globals.add("Vue")
    elif kind in ("member_expression", "variable_declarator"):
        _names(node, source)
    elif kind in ("import_specifier", "namespace_import", "import_clause", "function_declaration", "class_declaration"):
        source.declared.update(words(child) for child in node.named_children if child.type.endswith("identifier"))


def _import(node: Node | None, source: ScriptSource) -> None:
    name = literal(node)
    if name:
        source.imports.append(name)


def _call(node: Node, source: ScriptSource) -> None:
    function = node.child_by_field_name("function")
    arguments = node.child_by_field_name("arguments")
    first = arguments.named_children[0] if arguments is not None and arguments.named_children else None
    if function is None or first is None:
        return
    if function.type == "import" or (function.type == "identifier" and function.text == b"require"):
        _import(first, source)
    elif function.end_byte - function.start_byte < 40 and words(function) in _MAKERS:
        for child in arguments.named_children if arguments is not None else []:
            _component(child, source)


def _exported(node: Node | None, source: ScriptSource) -> None:
    if node is not None and node.type == "object":
        _component(node, source)


def _names(node: Node, source: ScriptSource) -> None:
    """The globals ``React`` and ``Vue`` where they are used, and names that the script declares itself."""
    used = node.child_by_field_name("object" if node.type == "member_expression" else "value")
    if used is not None and used.text in (b"React", b"Vue"):
        source.globals.add(words(used))
    name = node.child_by_field_name("name")
    if name is not None and name.type == "identifier":
        source.declared.add(words(name))


def _component(node: Node, source: ScriptSource) -> None:
    """Whether an object is a Vue component: data() or a template, together with another option."""
    if node.type != "object":
        return
    options: set[str] = set()
    template = None
    for child in node.named_children:
        key = child.child_by_field_name("name" if child.type == "method_definition" else "key")
        value = child.child_by_field_name("value")
        name = words(key) if key is not None and key.end_byte - key.start_byte < 40 else ""
        if name == "template":
            template = literal(value) or ""
        elif name in _OPTIONS or (name in ("data", "setup") and (value is None or value.type in _FUNCTIONS)):
            options.add(name)
    marked = template is not None and any(directive in template for directive in _DIRECTIVES)
    if marked or (template is not None and options) or ("data" in options and len(options) > 1):
        source.component = "an object with the options of a Vue component"
