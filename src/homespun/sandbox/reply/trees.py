"""Syntax trees that bear any text: tree-sitter's grammars, walked without recursion."""

from collections.abc import Iterator
from functools import cache
from typing import Literal

import tree_sitter_javascript
import tree_sitter_python
import tree_sitter_typescript
from tree_sitter import Language, Node, Parser, Tree

Grammar = Literal["python", "javascript", "typescript", "tsx"]


@cache
def _language(grammar: Grammar) -> Language:
    makers = {
        "python": tree_sitter_python.language,
        "javascript": tree_sitter_javascript.language,
        "typescript": tree_sitter_typescript.language_typescript,
        "tsx": tree_sitter_typescript.language_tsx,
    }
    return Language(makers[grammar]())


def parsed(grammar: Grammar, code: str) -> Tree:
    """The tree of a text; a text that isn't of the language has error nodes in it."""
    return Parser(_language(grammar)).parse(code.encode("utf-8", "replace"))


def nodes(tree: Tree) -> Iterator[Node]:
    """Every named node and every error, parents first, in the order of the text."""
    cursor = tree.walk()
    while True:
        node = cursor.node
        if node is not None and (node.is_named or node.is_error):
            yield node
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent():
            if cursor.goto_next_sibling():
                break
        else:
            return


def words(node: Node | None) -> str:
    """The text under a node; empty for none."""
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def damage(tree: Tree) -> int:
    """How much of the text the grammar could not read: bytes in error nodes, and one per missing piece."""
    if not tree.root_node.has_error:
        return 0
    return sum(max(1, node.end_byte - node.start_byte) for node in nodes(tree) if node.is_error or node.is_missing)


def literal(node: Node | None) -> str | None:
    """The text of a string literal without anything computed in it, else None."""
    if node is None or node.type not in ("string", "template_string"):
        return None
    if any(child.type in ("template_substitution", "interpolation") for child in node.named_children):
        return None
    pieces = [words(child) for child in node.named_children if child.type in ("string_fragment", "string_content")]
    return "".join(pieces) if pieces else words(node)[1:-1]
