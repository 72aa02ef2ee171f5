"""arXiv:2402.13904: the released code's values on fixed vote lists, and what strict mode says instead."""

import polars as pl
import pytest

from homespun.confidence.consistency import MEASURES, agreement, entropy, fsd, score_groups, votes
from homespun.confidence.guidance import recommend
from homespun.errors import ConfigError, DataError

# votes, invalid, paper (agreement, entropy, fsd), strict (agreement, entropy, fsd)
VECTORS = [
    ((40,), 0, (1, 1, 1), (1, 1, 1)),
    ((39, 1), 0, (0.975, 0.831339, 0.95), (0.975, 0.831339, 0.95)),
    ((24, 12, 4), 0, (0.6, 0.182655, 0.3), (0.6, 0.182655, 0.3)),
    ((20, 10, 10), 0, (0.5, 0.053605, 0.25), (0.5, 0.053605, 0.25)),
    ((20, 20), 0, (0.5, 0, 0), (0.5, 0, 0)),
    ((1,) * 40, 0, (0.025, 0, 0), (0.025, 0, 0)),
    ((3, 1, 1), 0, (0.6, 0.135026, 0.4), (0.6, 0.135026, 0.4)),
    ((30, 5), 5, (0.75, 0.408327, 0.625), (0.75, 0.408327 * 35 / 40, 0.625)),
    ((20,), 20, (0.5, 1.0, 1.0), (0.5, 0.5, 0.5)),
    ((1,), 39, (0.025, 1.0, 1.0), (0.025, 0.025, 0.025)),
    ((), 40, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
]


def answers(counts: tuple[int, ...], invalid: int) -> list[str | None]:
    return [str(number) for number, count in enumerate(counts) for _ in range(count)] + [None] * invalid


@pytest.mark.parametrize(("counts", "invalid", "paper", "strict"), VECTORS)
def test_vectors_of_the_released_code_and_of_strict_mode(counts, invalid, paper, strict):
    tally = votes(answers(counts, invalid))
    for mode, expected in (("paper", paper), ("strict", strict)):
        found = [measure(tally, mode) for measure in (agreement, entropy, fsd)]
        assert found == pytest.approx(list(expected), abs=1e-6)


@pytest.mark.parametrize("mode", ["paper", "strict"])
def test_batch_form_gives_the_same_vectors(mode):
    rows = [
        {"id": number, "answer": answer}
        for number, (counts, invalid, _, _) in enumerate(VECTORS)
        for answer in answers(counts, invalid)
    ]
    frame = score_groups(pl.DataFrame(rows, schema={"id": pl.Int64, "answer": pl.String}), ["id"], mode=mode)
    expected = [vector[2] if mode == "paper" else vector[3] for vector in VECTORS]
    for row, values in zip(frame.rows(named=True), expected, strict=True):
        assert [row[name] for name in MEASURES] == pytest.approx(list(values), abs=1e-6)


def test_the_released_token_and_blanks_are_failed_extractions():
    tally = votes(["7", "[invalid]", "  ", None, "7"])
    assert tally == ("7", (2,), 5)
    assert (tally.valid, tally.invalid) == (2, 3)


def test_the_first_seen_answer_wins_a_tie_in_both_forms():
    drawn = ["b", "a", "a", "b", "c"]
    frame = pl.DataFrame({"id": [1] * 5, "answer": drawn})
    assert votes(drawn).answer == "b" == score_groups(frame, ["id"])["answer"][0]


def test_no_samples_and_no_keys_are_refused():
    with pytest.raises(DataError, match="no samples"):
        votes([])
    with pytest.raises(ConfigError, match="group by"):
        score_groups(pl.DataFrame({"answer": ["1"]}), [])
    with pytest.raises(ConfigError, match="unknown mode"):
        score_groups(pl.DataFrame({"id": [1], "answer": ["1"]}), ["id"], mode="loose")  # type: ignore[arg-type]


def test_guidance_follows_the_findings():
    assert recommend("base", False, 20, True) == "agreement"
    assert recommend("chat", False, 20, False) == "fsd"
    assert recommend("chat", True, 5, False) == "entropy"
    assert recommend("base", False, 1, True) == "mean_logprob"
    assert recommend("chat", False, 1, False) == "verbal_phrase"
    with pytest.raises(ConfigError):
        recommend("base", False, 0, False)
