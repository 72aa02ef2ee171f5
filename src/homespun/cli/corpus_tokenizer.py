"""`homespun corpus tokenizer`: train one, and see how evenly it serves languages."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from homespun.cli.output import Dry, Json, progress, say, show_json, show_plan, show_rows
from homespun.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

app = App(name="tokenizer", help="Train a tokenizer; report how evenly it serves languages.", help_format="plaintext")
SUMMARY = {
    "tokenizer": "",
    "vocab": ",d",
    "gini": ".3f",
    "gini_low": ".3f",
    "gini_high": ".3f",
    "worst": ".2f",
    "worst_lang": "",
    "cost": ".2f",
    "cr_byte": ".2f",
    "fertility": ".2f",
    "used": ".1%",
}
LANGUAGES = {"tokenizer": "", "lang": "", "cost": ".2f", "factor": ".2f", "cr_char": ".2f", "cr_byte": ".2f"}


@app.command
def train(
    tables: Annotated[list[Path], Parameter(name="TABLE", negative=())],
    /,
    *,
    out: Path,
    vocab: int = 131_072,
    parity: Path | None = None,
    global_merges: int = 0,
    window: int = 0,
    alpha: float = 2.0,
    nfc: bool = True,
    dry: Dry = False,
    as_json: Json = False,
) -> None:
    """Learn a byte-level BPE tokenizer; with --parity one that is fair to languages.

    Args:
        tables: Tables with a column text (and lang, for --parity), or folders of such, as a corpus run's documents.
        out: Folder for tokenizer.json and tokenizer_config.json, as transformers reads them.
        vocab: Tokens, special ones and bytes included.
        parity: Parallel table with lang, text and, unless rows correspond by their order, line: each merge is then
            for the language that needs most tokens for it.
        global_merges: With --parity: so many merges of the whole corpus first.
        window: With --parity: steps that are looked back on so that no language holds up the others; 0: none.
        alpha: With --window: how many times its even share of those steps a language may have.
        nfc: Compose characters first.
        dry: Only say what would be done.
        as_json: Print one JSON object.
    """
    from homespun.corpus.tokenizer.fairness import parallel
    from homespun.corpus.tokenizer.files import Bpe, save
    from homespun.corpus.tokenizer.merges import Parity
    from homespun.corpus.tokenizer.train import train_bpe, train_parity

    if not parity and (global_merges or window):
        raise ConfigError("belongs to parity-aware training", "--global-merges, --window", "--parity TABLE")
    plain = Bpe(vocab=vocab, nfc=nfc)
    fair = Parity(vocab=vocab, nfc=nfc, global_merges=global_merges, window=window, alpha=alpha)
    if dry:
        config: dict[str, Any] = {"vocab": vocab, "nfc": nfc, "parity": bool(parity)}
        if parity:
            config |= {"global_merges": global_merges, "window": window, "alpha": alpha}
        show_plan(config, {**{str(path): path for path in tables}, "parity": parity})
        return
    said: dict[str, Any] = {}
    if parity:
        dev = parallel(_table(parity), str(parity))
        lines = ((lang, line) for lang, texts in zip(dev.languages, dev.texts, strict=True) for line in texts)
        with progress("merging") as advance:
            made = train_parity(_documents(tables, need_lang=True), lines, fair, advance=advance)
        tokenizer, said["merges_for"] = made.tokenizer, made.chosen
    else:
        tokenizer = train_bpe((text for _, text in _documents(tables, need_lang=False)), plain)
    save(tokenizer, out)
    size = tokenizer.get_vocab_size()
    if as_json:
        show_json({"folder": str(out), "vocab": size, **said})
        return
    print(f"{out}: {size:,} tokens")
    if size < vocab:
        say(f"fewer than {vocab:,}: no pair of tokens is left that occurs twice")


@app.command
def report(
    table: Annotated[Path, Parameter(name="TABLE")],
    /,
    *,
    tokenizer: Annotated[list[Path], Parameter(name="--tokenizer", negative=())],
    by_language: Annotated[bool, Parameter(negative=())] = False,
    plot: Path | None = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Report how evenly tokenizers serve languages.

    Args:
        table: Parallel table with lang, text and, unless rows correspond by their order, line.
        tokenizer: Folder with a tokenizer.json, ours or another's; may be given several times, the first is compared.
        by_language: Print a row for each language.
        plot: Write bars of tokens per line by language (.png).
        seed: Of the resampling behind the intervals.
        as_json: Print one JSON object.
    """
    from homespun.corpus.tokenizer.fairness import difference, measure_files, parallel, resampling
    from homespun.corpus.tokenizer.plot import save_plot

    text = parallel(_table(table), str(table))
    found = measure_files(tokenizer, text)
    weights = resampling(len(text.texts[0]), seed=seed)
    rows = [one.summary(weights) for one in found]
    languages = [row for one in found for row in one.rows()]
    differences: list[dict[str, Any]] = []
    for other in found[1:]:
        value, low, high = difference(other, found[0], weights)
        versus = {"tokenizer": other.name, "against": found[0].name}
        differences.append({**versus, "gini": value, "gini_low": low, "gini_high": high})
    if plot:
        save_plot(plot, found, f"{table.name}: {len(text.texts[0]):,} lines in {len(text.languages)} languages")
    if as_json:
        show_json({"rows": rows, "languages": languages, "differences": differences, "lines_left_out": text.left_out})
        return
    show_rows(rows, SUMMARY, title=f"{len(text.texts[0]):,} lines in {len(text.languages)} languages")
    for row in differences:
        low, high = row["gini_low"], row["gini_high"]
        print(f"\nGini of {row['tokenizer']} less {row['against']}: {row['gini']:+.4f} [{low:+.4f}, {high:+.4f}]")
    if by_language:
        print()
        show_rows(languages, LANGUAGES)
    if text.left_out:
        say(f"{text.left_out:,} lines left out: not every language has them")


def _table(path: Path) -> "pl.DataFrame":
    from homespun.runs.tables import read_table

    return read_table(path, {"lang": "text", "text": "text"}, {"line": "text"})


def _documents(tables: Iterable[Path], *, need_lang: bool) -> Iterator[tuple[str, str]]:
    """Language and text of all rows; a folder's files in the order of their names.

    Raises:
        DataError: a table cannot be read, a folder holds none, or a language is missing.
    """
    import polars as pl

    from homespun.runs.tables import FORMATS, read_table

    for path in tables:
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in FORMATS) if path.is_dir() else [path]
        if not files:
            raise DataError("no tables in this folder", str(path), f"files that end in {', '.join(FORMATS)}")
        for file in files:
            if path.is_dir() and file.suffix == ".parquet" and not pl.scan_parquet(file).head(1).collect().height:
                continue  # a shard of which nothing stayed
            frame = read_table(file, {"text": "text"}, {"lang": "text"})
            if "lang" not in frame.columns:
                if need_lang:
                    raise DataError("missing column 'lang'", str(file), "the language of each text")
                frame = frame.with_columns(lang=pl.lit(""))
            yield from frame.select(pl.col("lang").fill_null("und"), "text").iter_rows()


__all__ = ["app"]
