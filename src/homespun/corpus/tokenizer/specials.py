"""Tokens that are not text: their names, which stand first in every vocabulary of ours, and the chat that uses them.

An id never moves: new tokens take the place of reserved ones. Two kinds are told apart. *Control* tokens are put in by
code alone; the same letters in a document stay letters. *Markers* stand in a document where personal data stood
(`homespun.corpus.filters.pii`), so they are read from text and are content: decoding keeps them.
"""

UNKNOWN, BEGIN, END, PAD = "<unk>", "<s>", "</s>", "<pad>"
"""Ids 0 to 3, as Apertus has them (systems page, section 2). Bytes cover all text: nothing is ever unknown."""
ROLES = ("system", "developer", "user", "assistant", "tool")
CHAT = tuple(f"<|{role}{side}|>" for role in ROLES for side in ("", "-end"))
"""A turn of each role begins and ends with a token of its own."""
THOUGHT = ("<|thought|>", "<|thought-end|>")
"""What an assistant writes for itself."""
MARKERS = ("<email-pii>", "<ip-pii>", "<iban-pii>", "<id-pii>")
"""Stand for an address, an IP address, an account and any other identifier."""
NUM_SPECIAL = 32
"""Places before the first byte."""
_NAMED = (UNKNOWN, BEGIN, END, PAD, *CHAT, *THOUGHT, *MARKERS)
SPECIALS = _NAMED + tuple(f"<|reserved-{at}|>" for at in range(NUM_SPECIAL - len(_NAMED)))
"""All of them in the order of their ids."""
CONTROL = tuple(token for token in SPECIALS if token not in MARKERS)

CHAT_TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- if message.role not in ROLES -%}
{{- raise_exception("no role " ~ message.role) -}}
{%- endif -%}
{{- "<|" ~ message.role ~ "|>" ~ message.content ~ "<|" ~ message.role ~ "-end|>" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- "<|assistant|>" -}}{%- endif -%}
""".replace("ROLES", repr(list(ROLES)))
"""Jinja, as transformers reads it: the turns one after another, nothing added and nothing trimmed."""
