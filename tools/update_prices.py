"""Writes src/homespun/data/prices/live.json from the price table of the installed package genai-prices (MIT).

    python tools/update_prices.py            # rewrite the snapshot
    python tools/update_prices.py --check    # say what would change, exit 1 if anything

Only list prices of text models by their own makers are taken; no network is used.
"""

import argparse
import difflib
import json
import sys
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from genai_prices import data_snapshot

PRICES = Path(__file__).resolve().parents[1] / "src" / "homespun" / "data" / "prices"
MODELS = {
    "anthropic": """claude-3-haiku claude-3-5-haiku-latest claude-3-5-sonnet claude-3-7-sonnet-latest claude-haiku-4-5
        claude-haiku-5-5 claude-opus-4-1 claude-opus-4-5 claude-opus-4-8 claude-opus-5 claude-opus-5-5 claude-sonnet-4-5
        claude-sonnet-4-6 claude-sonnet-5 claude-sonnet-5-5""",
    "openai": """gpt-3.5-turbo-0613 gpt-3.5-turbo-1106 gpt-3.5-turbo-instruct gpt-4-32k gpt-4-turbo gpt-4.1 gpt-4.1-mini
        gpt-4.1-nano gpt-4o gpt-4o-2024-05-13 gpt-4o-mini gpt-5 gpt-5-mini gpt-5-nano gpt-5.1 gpt-5.2 gpt-5.4
        gpt-5.4-mini gpt-5.4-nano gpt-5.5 gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra gpt-6-astra gpt-6-luna gpt-6-sol
        gpt-6.1-sol gpt-6.1-terra o1 o1-mini o3 o3-mini o4-mini""",
    "google": """gemini-1.5-flash gemini-1.5-pro gemini-2.0-flash gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-pro
        gemini-3.5-flash gemini-3.6-flash gemini-3.8-flash gemini-4-argon""",
    "mistral": "mistral-large-2512 mistral-large-4 mistral-medium-3-5 mistral-nemo mistral-small-2603 mixtral-8x7b",
    "x-ai": "grok-3 grok-3-mini grok-4-0709 grok-4.5 grok-4.7",
}
"""Text models of general use, by maker. DeepSeek is not here: its prices change with the hour of the day."""


def main() -> None:
    """Rewrites or checks the snapshot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    target, content = PRICES / "live.json", snapshot()
    if parser.parse_args().check:
        old = target.read_text() if target.exists() else ""
        changes = list(difflib.unified_diff(old.splitlines(), content.splitlines(), lineterm="", n=0))
        sys.stdout.write("\n".join([*changes, ""]))
        sys.exit(bool(changes))
    target.write_text(content)


def snapshot() -> str:
    """The text of live.json: aliases and rows, one row a line."""
    version = metadata.version("genai-prices")
    rows: list[dict[str, Any]] = []
    for provider in data_snapshot.get_snapshot().providers:
        wanted = MODELS.get(provider.id, "").split()
        found = [
            row for model in provider.models if model.id in wanted for row in model_rows(provider.id, model, version)
        ]
        missing = set(wanted) - {row["model"] for row in found}
        if missing:
            sys.exit(f"genai-prices {version} has no plain price for: {', '.join(sorted(missing))}")
        rows += found
    lines = ",\n    ".join(json.dumps(row) for row in rows)
    aliases = json.dumps({"gpt-4-1106-preview": "gpt-4-turbo", "gpt-4-0125-preview": "gpt-4-turbo"})
    return f'{{\n  "aliases": {aliases},\n  "rows": [\n    {lines}\n  ]\n}}\n'


def model_rows(provider: str, model: Any, version: str) -> list[dict[str, Any]]:
    """Rows of one model, one for each date from which a price holds; none if a price is no plain number."""
    prices = model.prices if isinstance(model.prices, list) else [model]
    rows: list[dict[str, Any]] = []
    for item in prices:
        constraint = getattr(item, "constraint", None)
        since = getattr(constraint, "start_date", None)
        if constraint is not None and since is None:
            return []  # a price by time of day: no date says when it holds
        rates = split_tiers(item.prices)
        if rates is None:
            return []
        rows.append(row(provider, model.id, since, rates, version))
    return rows


def row(provider: str, name: str, since: date | None, rates: list[dict[str, Any]], version: str) -> dict[str, Any]:
    """One line of the table."""
    plain = {key: value for key, value in rates[0].items() if key != "over"}
    long = {"long": rates[1]} if len(rates) > 1 else {}
    start = {"from": since.isoformat() if since else None}
    return {"model": name, "provider": provider} | start | plain | long | {"source": f"genai-prices {version}"}


def split_tiers(price: Any) -> list[dict[str, Any]] | None:
    """Base rates, and those of long prompts where there are any; ``None`` unless text in and out have prices."""
    kinds = {"input": price.input_mtok, "cached_input": price.cache_read_mtok, "output": price.output_mtok}
    if kinds["input"] is None or kinds["output"] is None:
        return None
    kinds["cached_input"] = kinds["input"] if kinds["cached_input"] is None else kinds["cached_input"]
    starts = sorted({tier.start for value in kinds.values() for tier in getattr(value, "tiers", ())})
    if len(starts) > 1:
        return None
    rates = [{key: float(getattr(value, "base", value)) for key, value in kinds.items()}]
    if starts:
        rates.append({"over": starts[0]} | {key: last(value) for key, value in kinds.items()})
    return rates


def last(value: Any) -> float:
    """The rate of the highest tier, or the only one."""
    tiers = getattr(value, "tiers", ())
    return float(tiers[-1].price if tiers else getattr(value, "base", value))


if __name__ == "__main__":
    main()
