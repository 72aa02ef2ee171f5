"""Pages that an HTML parser would choke on, told before they are parsed.

A parser that follows the HTML standard is quadratic in the depth of a page and in the attributes of a tag, and makes
many elements of few where formatting is left open (section 13.2.4.3, "the list of active formatting elements"):
100,000 nested ``<div>`` took lexbor 46 s. None of this can be stopped from outside, so that it must not begin.
"""

import re
from collections import Counter

FEW = 2000
"""Tags with which nothing can go wrong."""
NESTING = 4000
"""Elements that may be open at once; browsers stop at 512."""
ELEMENTS = 4_000_000
"""Elements that a page may become."""
STRETCH = 16 << 10
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_STRETCH = re.compile(rf"[^<]{{{STRETCH}}}(?:[^<\s]{{0,100}}\s)?")
_NO_NESTING = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
        "p",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "tbody",
        "thead",
        "tfoot",
        "option",
        "optgroup",
        "html",
        "head",
        "body",
    ]
)
"""Elements without an end, or that another of their kind closes."""
_FORMATTING = frozenset(
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"]
)


def too_deep(html: str) -> str | None:
    """Why a page must not be parsed; None: it may be.

    Args:
        html: The page.
    """
    starts = html.count("<") - html.count("</")
    if starts <= FEW:
        return None
    still: Counter[str] = Counter()
    deepest = depth = formatting = left = 0
    for slash, name in _TAG.findall(html):
        name = name.lower()
        if name in _NO_NESTING:
            continue
        if not slash:
            still[name] += 1
            depth += 1
            deepest = max(deepest, depth)
            if name in _FORMATTING:
                formatting += 1
                left = max(left, formatting)
        elif still[name]:
            still[name] -= 1
            depth -= 1
            formatting -= name in _FORMATTING
    if deepest > NESTING:
        return f"more than {NESTING} open elements"
    if starts * max(left, 1) > ELEMENTS:
        return f"{starts} tags and {left} of formatting left open"
    return None


def broken_up(html: str) -> str:
    """The page with an empty element in every long stretch without one: inside a tag it ends the tag.

    It ends a tag's attributes without having to know where a tag is, and changes no text.

    Args:
        html: The page.
    """
    return _STRETCH.sub(r"\g<0><wbr>", html) if len(html) > STRETCH else html
