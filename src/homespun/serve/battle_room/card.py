"""The picture that is shared: prompt, both outputs and, once voted, names and winner; a page without scripts."""

from base64 import b64encode
from html import escape
from typing import Any

from homespun.serve.battle_room.room import Room
from homespun.serve.store.arena import ArenaStore, RunRow

JSON = dict[str, Any]
LONGEST_PROMPT, LONGEST_OUTPUT = 400, 900
WINNERS = {"a": "A is better", "b": "B is better", "tie": "A tie", "both_bad": "Both are bad"}
STYLE = """
* { box-sizing: border-box; margin: 0 }
body { font: 20px/1.45 system-ui, sans-serif; color: #1b1f27; background: #f4f5f8; padding: 36px }
h1 { font-size: 20px; color: #5a6272; font-weight: 600; margin-bottom: 14px }
.prompt { font-size: 26px; font-weight: 600; margin-bottom: 26px; overflow-wrap: anywhere }
main { display: grid; grid-auto-columns: minmax(0, 1fr); grid-auto-flow: column; gap: 24px }
section { background: #fff; border: 1px solid #d9dde5; border-radius: 14px; padding: 20px }
section.won { border: 3px solid #2f6fed }
h2 { font-size: 22px; margin-bottom: 14px }
h2 small { color: #5a6272; font-weight: 400 }
img { width: 100%; max-height: 420px; object-fit: contain; border-radius: 8px; background: #fff }
pre { font: 16px/1.4 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
p.vote { margin-top: 24px; font-weight: 600 }
"""


async def card(state: JSON, store: ArenaStore, room: Room) -> str:
    """A page of the session.

    Args:
        state: As clients see it: names are told only if it does.
        store: For the pictures.
        room: The session.
    """
    panes = [await _pane(side, pane, state, store, room) for side, pane in state["sides"].items()]
    turns = [turn["user"] for turn in state["sides"]["a"]["turns"]] or ["A round that has not begun"]
    vote = WINNERS[state["vote"]["winner"]] if state["vote"] else ""
    void = " (the vote is void)" if state["void"] else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>homespun arena</title><style>{STYLE}</style>'
        f'<h1>homespun arena</h1><p class="prompt">{escape(_short(turns[0], LONGEST_PROMPT))}</p>'
        f"<main>{''.join(panes)}</main>{f'<p class=vote>{vote}{void}</p>' if vote else ''}</html>"
    )


async def _pane(side: str, pane: JSON, state: JSON, store: ArenaStore, room: Room) -> str:
    name = state["names"][side] if state["names"] else None
    won = bool(state["vote"]) and state["vote"]["winner"] == side
    head = f"{side.upper()} <small>{escape(name)}</small>" if name else side.upper()
    row = room.runs.get(pane["run"]["run"]) if pane["run"] else None
    shown = (None if row is None else await _picture(row, store)) or _words(pane, row)
    return f'<section class="{"won" if won else ""}"><h2>{head}</h2>{shown}</section>'


async def _picture(row: RunRow, store: ArenaStore) -> str | None:
    """The last picture of the page that is not blank, else the first figure."""
    hashes = [shot["blob"] for shot in row.screenshots if shot["blob"] and not shot["blank"]][::-1]
    for name in [*hashes, *row.pictures][:1]:
        if (blob := await store.blob(name)) is not None:
            return f'<img alt="" src="data:image/png;base64,{b64encode(blob.content).decode()}">'
    return None


def _words(pane: JSON, row: RunRow | None) -> str:
    if row is not None:
        text = row.stdout.strip() or row.stderr.strip() or f"({row.status}, no output)"
    elif pane["turns"]:
        text = pane["error"] or pane["turns"][-1]["reply"] or "…"
    else:
        text = "…"
    return f"<pre>{escape(_short(text, LONGEST_OUTPUT))}</pre>"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most].rstrip()} …"
