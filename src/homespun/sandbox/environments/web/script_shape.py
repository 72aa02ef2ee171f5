"""What a script for a page does at its top level: what it exports, whether it mounts itself, and where."""

import re
from dataclasses import dataclass, field

from tree_sitter import Node, Tree

from homespun.sandbox.reply.trees import Grammar, damage, literal, nodes, parsed, words

_DECLARATIONS = frozenset({"function_declaration", "class_declaration", "generator_function_declaration"})
_VARIABLES = frozenset({"lexical_declaration", "variable_declaration"})
_MOUNTS = re.compile(r"(?:^|\.)(?:createRoot|hydrateRoot|hydrate)$|^ReactDOM\.render$|\.mount$|^\$mount$")
_FINDS = {"getElementById": "", "querySelector": "#"}
_MOST = 5
_LONGEST = 80


@dataclass(slots=True)
class Shape:
    """What is known of a script. ``declared``: its capitalised functions, classes and constants, in order."""

    default: bool = False
    exported: bool = False
    mounts: bool = False
    jsx: bool = False
    declared: list[str] = field(default_factory=list[str])
    containers: list[str] = field(default_factory=list[str])

    @property
    def component(self) -> str | None:
        """What it most likely means to show, where it exports nothing."""
        return "App" if "App" in self.declared else (self.declared[-1] if self.declared else None)


def read_shape(code: str) -> Shape:
    """Reads a script by the grammar that fits it best."""
    grammars: tuple[Grammar, ...] = ("tsx", "typescript")
    trees: list[Tree] = []
    for grammar in grammars:
        trees.append(parsed(grammar, code))
        if not trees[-1].root_node.has_error:
            break
    tree = trees[-1] if not trees[-1].root_node.has_error else min(trees, key=damage)
    shape = Shape()
    for node in tree.root_node.named_children:
        _top(node, shape)
    for node in nodes(tree):
        _inner(node, shape)
    return shape


def _top(node: Node, shape: Shape) -> None:
    if node.type == "export_statement":
        shape.exported = True
        clause = words(node) if node.child_by_field_name("declaration") is None else ""
        shape.default |= any(child.type == "default" for child in node.children)
        shape.default |= bool(re.search(r"\bas\s+default\b", clause[:2000]))
    elif node.type == "expression_statement" and words(node).startswith(("module.exports", "exports.")):
        shape.exported = shape.default = True
    elif node.type in _DECLARATIONS:
        _declare(node.child_by_field_name("name"), shape)
    elif node.type in _VARIABLES:
        for child in node.named_children:
            value = child.child_by_field_name("value")
            if value is not None and value.type in (
                "arrow_function",
                "function_expression",
                "call_expression",
                "class",
            ):
                _declare(child.child_by_field_name("name"), shape)


def _declare(name: Node | None, shape: Shape) -> None:
    text = words(name)
    if re.fullmatch(r"[A-Z]\w{0,80}", text):
        shape.declared.append(text)


def _inner(node: Node, shape: Shape) -> None:
    if node.type.startswith("jsx_"):
        shape.jsx = True
    if node.type != "call_expression":
        return
    function = _called(node.child_by_field_name("function"))
    shape.mounts |= bool(_MOUNTS.search(function))
    arguments = node.child_by_field_name("arguments")
    first = arguments.named_children[0] if arguments is not None and arguments.named_children else None
    method = function.rsplit(".", 1)[-1]
    name = (literal(first) or "")[:80]
    if method in _FINDS and name.startswith(_FINDS[method]):
        _contain(name.removeprefix(_FINDS[method]), shape)
    elif method in ("mount", "$mount") and name.startswith("#"):
        _contain(name[1:], shape)


def _called(function: Node | None) -> str:
    """What a call calls; of a long chain the last name alone."""
    if function is not None and function.end_byte - function.start_byte > _LONGEST:
        return f".{words(function.child_by_field_name('property'))[:_LONGEST]}"
    return words(function)


def _contain(name: str, shape: Shape) -> None:
    if name not in shape.containers and len(shape.containers) < _MOST:
        shape.containers.append(name)
