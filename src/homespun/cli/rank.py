"""`homespun rank`: votes in, ratings with intervals out."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from homespun.cli.output import Dry, Json, say, show_json, show_plan, show_rows
from homespun.errors import ConfigError

Setting = Literal["all", "environment", "code-language", "natural-language"]
Method = Literal["bt", "rao-kupper", "davidson"]
COLUMNS = {"rank": "d", "model": "", "rating": ".1f", "low": ".1f", "high": ".1f", "median": ".1f", "votes": ",d"}
EFFECTS = {"group": "", "covariate": "", "points": "+.1f", "low": "+.1f", "high": "+.1f"}


def rank(
    votes: Annotated[Path, Parameter(name="VOTES")],
    /,
    *,
    method: Method = "bt",
    setting: Setting = "all",
    by: str | None = None,
    control: str = "",
    anchor: str | None = None,
    bootstrap: int = 0,
    seed: int = 0,
    plot: Path | None = None,
    dry: Dry = False,
    as_json: Json = False,
) -> None:
    """Rank models by the votes of those who compared them.

    Ratings are on the Elo scale: 400 points are odds of ten to one. Intervals cover 95 % of resampled votes.

    Args:
        votes: Table with columns model_a, model_b, winner (model_a, model_b, tie, both_bad); a column propensity
            weighs each vote by one over it.
        method: bt counts a tie as half a win; rao-kupper and davidson give ties a chance of their own.
        setting: Only votes whose two answers have the same environment (columns environment_a, environment_b),
            code language (code_language_a, …) or natural language (natural_language_a, …).
        by: Column; each of its values gets a table of its own.
        control: Covariates with commas whose effect is taken out: lines needs columns lines_a and lines_b.
        anchor: MODEL=VALUE fixes one model's rating; by default the mean is 1000.
        bootstrap: Resamples for percentile intervals, and ranks by the median rating as in BigCodeArena, which
            takes 100. 0: sandwich intervals, and ranks by the rating.
        seed: Seed of the resamples.
        plot: Where to write the intervals as a picture, a .png.
        dry: Only say what would be done.
        as_json: Print one JSON object.
    """
    from homespun.arena import Config, leaderboard, read_votes
    from homespun.arena.plot import check_place, save_plot

    config = Config(
        method=method,
        setting=setting,
        by=by,
        control=tuple(dict.fromkeys(word.strip() for word in control.split(",") if word.strip())),
        anchor=_anchor(anchor),
        bootstrap=bootstrap,
        seed=seed,
    )
    config.check()
    if plot is not None:
        check_place(plot)
    if dry:
        options = {"method": method, "setting": setting, "by": by, "control": config.control, "anchor": config.anchor}
        show_plan({**options, "bootstrap": bootstrap, "seed": seed, "plot": plot and str(plot)}, {"votes": votes})
        return
    board = leaderboard(read_votes(votes, config.columns()), config)
    for note in board.notes:
        say(f"note: {note}")
    if plot is not None:
        save_plot(plot, board.rows, _title(board.fits, config.method))
    if as_json:
        show_json({"rows": board.rows, "by": by, "method": method, "fits": board.fits, "notes": board.notes})
        return
    _show(board.rows, board.fits, by)


def _anchor(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    name, sign, value = text.rpartition("=")
    try:
        if sign and name:
            return name, float(value)
    except ValueError:
        pass
    raise ConfigError(f"{text[:60]!r} is not MODEL=VALUE", "--anchor", "for instance --anchor 'my model=1000'")


def _title(fits: list[dict[str, Any]], method: str) -> str:
    return f"{sum(fit['votes'] for fit in fits):,} votes, {method}, 95 % intervals"


def _show(rows: list[dict[str, Any]], fits: list[dict[str, Any]], by: str | None) -> None:
    there = {name: spec for name, spec in COLUMNS.items() if name in rows[0]}
    titled = [{**row, by: row["group"]} for row in rows] if by else rows
    show_rows(titled, {by: "", **there} if by else there)
    print(f"\n{sum(fit['votes'] for fit in fits):,} votes")
    for fit in fits:
        if fit["tie"] is not None:
            print(f"tie parameter{_of(fit)}: {fit['tie']:.4f}")
    effects = [{**effect, "group": fit.get("group", "")} for fit in fits for effect in fit["style"]]
    if effects:
        print("\nwhat a standard unit more of it is worth, in points:")
        show_rows(effects, EFFECTS if by else {name: EFFECTS[name] for name in EFFECTS if name != "group"})


def _of(fit: dict[str, Any]) -> str:
    return f" of {fit['group']}" if "group" in fit else ""
