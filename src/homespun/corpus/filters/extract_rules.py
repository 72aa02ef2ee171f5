"""Which parts of a page are not its article: what the page itself calls so, and what it hides."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

NEVER = [
    *("script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "embed", "video", "audio", "map"),
    *("button", "select", "textarea", "input", "datalist", "dialog", "nav", "footer", "aside", "head", "math"),
]
"""Elements that are no text of the article; ``math`` says everything twice, in a notation that is lost here."""
BLOCKS = frozenset(
    [
        "address",
        "article",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "legend",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "search",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
        "caption",
        "menu",
    ]
)
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
LISTS = frozenset(("ul", "ol", "menu", "dl"))
CELLS = frozenset(("td", "th"))
ASKED = frozenset(
    [
        "div",
        "section",
        "ul",
        "ol",
        "dl",
        "table",
        "header",
        "form",
        "p",
        "span",
        "menu",
        "fieldset",
        "center",
        "details",
    ]
)
"""Elements whose class, identifier and role are looked at."""
ROLES = frozenset(
    [
        "navigation",
        "banner",
        "contentinfo",
        "complementary",
        "search",
        "dialog",
        "alertdialog",
        "menu",
        "menubar",
        "toolbar",
        "tablist",
    ]
)
_NAMED = re.compile(
    r"(?:^|[\s_-])(?:ad|ads|advert|advertisement|banner|breadcrumbs?|byline-share|consent|cookies?|copyright|disclaimer|"
    r"footer|gdpr|masthead|menu|menubar|modal|nav|navbar|navigation|newsletter|pager|paginat(?:ion|or)|popup|promo|"
    r"related(?:-?(?:posts?|articles?|links?))?|recommend(?:ed|ations)?|share|sharing|sidebar|side-?bar|sign-?up|"
    r"skip(?:-?link)?|social|sponsor(?:ed)?|subscribe|subscription|tags|tag-?cloud|toc|toolbar|top-?bar|widget)"
    r"(?:$|[\s_-])",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def left_out(node: "LexborNode", tag: str, by_name: bool) -> bool:
    """Whether an element is hidden, or surrounds the article.

    Args:
        node: The element.
        tag: Its name, one of `ASKED`.
        by_name: Whether its role, class and identifier are believed.
    """
    said = node.attributes
    if "hidden" in said or said.get("aria-hidden") == "true" or _HIDDEN.search(said.get("style") or ""):
        return True
    if not by_name:
        return False
    if (said.get("role") or "").lower() in ROLES or tag == "form":
        return True
    name = f"{said.get('class') or ''} {said.get('id') or ''}"
    return bool(len(name) > 1 and _NAMED.search(name[:400])) or (tag == "header" and node.css_first("nav") is not None)
