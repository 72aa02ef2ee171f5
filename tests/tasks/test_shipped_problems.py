"""What ships: checksums, splits, gold answers that pass their own grader, ids that join with the recorded answers."""

import hashlib
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.data import path
from homespun.errors import ConfigError, DataError
from homespun.records import Problem
from homespun.tasks import bbh, grader_for, names, problems_from_table, task
from homespun.tasks.graders import FOR_DATASET
from homespun.tasks.graders.plan import PlanGrader, accepted

SIZES = {
    ("gsm8k", "train"): 7473,
    ("gsm8k", "test"): 1319,
    ("gsm8k", "recorded"): 1046,
    ("svamp", "test"): 1000,
    ("svamp", "recorded"): 798,
    ("strategyqa", "train"): 2061,
    ("strategyqa", "dev"): 229,
    ("strategyqa", "recorded"): 1823,
    ("date", "recorded"): 270,
    ("sports", "recorded"): 804,
    ("saycan", "recorded"): 79,
    ("penguins_in_a_table", "test"): 146,
    **{(name, "test"): 250 for name in bbh.GRADERS if name != "penguins_in_a_table"},
}
SPLITS = [(name, split) for name in names() for split in task(name).splits]
FOLDERS = ("recorded", "routellm", "gsm8k", "svamp", "strategyqa", "bbh")


@pytest.mark.parametrize("folder", FOLDERS)
def test_shipped_files_have_the_checksum_of_their_notice(folder: str) -> None:
    notice = path(f"{folder}/SOURCE.md").read_text(encoding="utf-8")
    assert path(f"{folder}/LICENSE").stat().st_size > 1000
    for file in path(folder).iterdir():
        if file.suffix in (".parquet", ".json", ".jsonl"):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            assert re.search(rf"{re.escape(file.name)}.*{digest}", notice), file.name


def test_routing_outcomes_have_the_accuracy_of_their_notice() -> None:
    frame = pl.read_parquet(path("routellm/outcomes.parquet"))
    assert frame.columns == ["dataset", "subject", "id", "prompt", "model", "score"]
    assert frame.null_count().sum_horizontal().item() == 0
    assert not frame.select("dataset", "id", "model").is_duplicated().any()
    means = {(d, m): round(100 * s, 1) for d, m, s in frame.group_by("dataset", "model").agg(pl.mean("score")).rows()}
    assert means == {
        ("gsm8k", "mixtral-8x7b"): 63.8,
        ("gsm8k", "gpt-4-1106-preview"): 85.7,
        ("mmlu", "mixtral-8x7b"): 68.1,
        ("mmlu", "gpt-4-1106-preview"): 80.6,
    }


@pytest.mark.parametrize("name", ["nothing", "../errors.py", "recorded/../../errors.py"])
def test_what_does_not_ship_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="ships"):
        path(name)


def test_every_split_has_its_size_and_is_listed() -> None:
    assert {key: len(task(key[0]).load(key[1])) for key in SPLITS} == SIZES


@pytest.mark.parametrize(("name", "split"), SPLITS)
@pytest.mark.parametrize("mode", ["strict", "paper"])
def test_every_gold_answer_passes_its_own_grader(name: str, split: str, mode) -> None:
    made = task(name).grader(mode)
    for problem in task(name).load(split):
        assert problem.task == name
        assert problem.licence
        assert problem.source
        gold = made.gold(problem)
        answer = problem.answer or ""
        if isinstance(made, PlanGrader):
            plans = accepted(answer)
            right = [made.same(found, gold) for plan in plans if (found := made.read(plan).answer) is not None]
            assert right
            assert all(right), problem.id
        else:
            reading = made.read(answer.rsplit("#### ", 1)[-1])
            assert reading.answer is not None, problem.id
            assert made.same(reading.answer, gold), (problem.id, answer)


def test_recorded_ids_are_rows_of_the_official_files() -> None:
    for name in ("gsm8k", "svamp"):
        official = {problem.id: problem for problem in task(name).load("test")}
        made = task(name).grader("strict")
        for problem in task(name).load("recorded"):
            same = official[problem.id]
            assert " ".join(same.question.split()) == " ".join(problem.question.split())
            assert made.gold(same) == made.gold(problem)


def test_recorded_answers_have_their_problems() -> None:
    for table in ("greedy", "variations"):
        asked = pl.read_parquet(path(f"recorded/{table}.parquet"), columns=["dataset", "id"]).unique()
        known = {
            (name, problem.id) for name, split in SPLITS if split == "recorded" for problem in task(name).load(split)
        }
        assert set(asked.rows()) <= known


def test_hard_sets_are_for_evaluation_only() -> None:
    for name in bbh.GRADERS:
        assert task(name).splits == ("test",)
        with pytest.raises(ConfigError, match="no split 'train'"):
            task(name).load("train")
        assert all("canary GUID" in problem.extra["canary"] for problem in task(name).load("test"))


def test_task_and_data_set_agree_on_the_grader() -> None:
    for name in names():
        one, other = task(name).grader("paper"), grader_for(name, "paper")
        assert (type(one), vars(one)) == (type(other), vars(other))
    assert set(names()) <= set(FOR_DATASET)


def test_unknown_tasks_and_splits_are_one_clear_line() -> None:
    with pytest.raises(ConfigError, match="no data set called 'gsm8' ships; try: gsm8k"):
        task("gsm8")
    for name in names():
        with pytest.raises(ConfigError, match="has no split 'nowhere'"):
            task(name).load("nowhere")


def _write(folder: Path, **columns: list[object]) -> Path:
    frame = pl.DataFrame(
        {"dataset": ["mine"] * 2, "id": ["1", "2"], "question": ["?", "!"], "gold": ["1", "2"]} | columns
    )
    frame.write_parquet(folder / "mine.parquet")
    return folder / "mine.parquet"


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    first, second = problems_from_table(_write(tmp_path, extra=['{"a": 1}', None]))
    assert first == Problem(id="1", task="mine", question="?", answer="1", extra={"a": 1})
    assert second.extra == {}
    (tmp_path / "mine.csv").write_text("dataset,id,question,gold\nmine,1,?,18\n")
    assert problems_from_table(tmp_path / "mine.csv")[0].answer == "18"


def test_a_bad_table_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1 is not a JSON object"):
        problems_from_table(_write(tmp_path, extra=["{}", "[1]"]))
    with pytest.raises(DataError, match="row 0 is not a JSON object"):
        problems_from_table(_write(tmp_path, extra=["{", "{}"]))
    with pytest.raises(DataError, match="row 0 repeats problem '1' of 'mine'"):
        problems_from_table(_write(tmp_path, id=["1", "1"]))
    pl.DataFrame({"id": ["1"]}).write_parquet(tmp_path / "mine.parquet")
    with pytest.raises(DataError, match="missing column 'dataset', 'question', 'gold'"):
        problems_from_table(tmp_path / "mine.parquet")


@given(
    st.lists(st.tuples(st.text(min_size=1), st.text(), st.text()), min_size=1, max_size=5, unique_by=lambda row: row[0])
)
def test_a_table_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    folder = tmp_path_factory.mktemp("table")
    ids, questions, golds = map(list, zip(*rows, strict=True))
    file = _write(folder, dataset=["mine"] * len(rows), id=ids, question=questions, gold=golds)
    assert [(p.id, p.question, p.answer) for p in problems_from_table(file)] == rows
