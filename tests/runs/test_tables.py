"""Tables are hostile until checked: whatever is in the file, the reader gives the table or one line of DataError."""

import csv
import json
import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.errors import DataError
from homespun.runs.tables import FORMATS, Kind, atomic, read_table, sha256, write_table

KINDS: tuple[Kind, ...] = ("text", "number", "fraction", "count", "boolean", "any")
WANTED: dict[str, Kind] = {"id": "text", "score": "fraction"}


def refused(path: Path | str, required: dict[str, Kind], optional: dict[str, Kind] | None = None) -> str:
    """The one line with which a table is refused."""
    with pytest.raises(DataError) as caught:
        read_table(path, required, optional)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000 + 2 * len(str(path))
    assert "; try: " in line
    return line


def table_or_line(path: Path, required: dict[str, Kind]) -> pl.DataFrame | str:
    """What the reader makes of a file: a table, or the text of its DataError; nothing else may come out of it."""
    try:
        return read_table(path, required)
    except DataError as error:
        return str(error)


def whole(folder: Path, suffix: str = ".parquet") -> Path:
    return write_table(folder / f"t{suffix}", pl.DataFrame({"id": ["a", "b"], "score": [0.25, 1.0]}))


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_written_is_read(suffix: str, tmp_path: Path) -> None:
    frame = read_table(whole(tmp_path, suffix), WANTED)
    assert frame.to_dict(as_series=False) == {"id": ["a", "b"], "score": [0.25, 1.0]}


@pytest.mark.parametrize("suffix", FORMATS)
def test_same_frame_same_bytes(suffix: str, tmp_path: Path) -> None:
    assert sha256(whole(tmp_path / "x", suffix)) == sha256(whole(tmp_path / "y", suffix))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\0\1\2\3" * 64, b"\xff\xfe\xfa", b"{", b"PAR1", b"\n\n\n", b'"'])
def test_rubbish_is_one_line(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"rubbish{suffix}"
    path.write_bytes(content)
    assert str(path) in refused(path, WANTED)


@pytest.mark.parametrize("suffix", FORMATS)
@given(cut=st.floats(min_value=0, max_value=0.999))
def test_a_truncated_file_is_one_line_or_fewer_rows(
    suffix: str, cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = whole(folder, suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    found = table_or_line(path, WANTED)
    if isinstance(found, str):
        assert "\n" not in found
    else:
        assert suffix != ".parquet"  # its end says where everything is: no part of it can be read
        assert found.height <= 2


@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_flipped_byte_never_escapes(place: int, byte: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = whole(tmp_path_factory.mktemp("flip"))
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    found = table_or_line(path, WANTED)
    assert "\n" not in found if isinstance(found, str) else found.columns == ["id", "score"]


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.parquet.gz", "no.parquet", ".", "x" * 5000 + ".csv", "\0.csv"])
def test_what_is_no_table_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_text("x")
    refused(tmp_path / name, WANTED)


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    assert "no such file" in refused(tmp_path / "d.csv", WANTED)


def test_missing_columns_are_all_named_with_those_there(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", pl.DataFrame({"ID": [1], "scores": [2]}))
    line = refused(path, WANTED)
    assert all(word in line for word in ("'id'", "'score'", "ID, scores"))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_no_rows_is_refused(suffix: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / f"t{suffix}", pl.DataFrame(schema={"id": pl.String, "score": pl.Float64}))
    assert "no rows" in refused(path, WANTED)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("fraction", 0.5, 1.5),
        ("fraction", 0.5, -0.1),
        ("fraction", 0.5, math.nan),
        ("number", 0.5, math.inf),
        ("number", 0.5, -math.inf),
        ("count", 3.0, -1.0),
        ("count", 3.0, 2.5),
        ("boolean", 1.0, 2.0),
        ("boolean", 1.0, math.nan),
        ("number", "12", "twelve"),
        ("number", " 12 ", ""),
        ("fraction", "0.5", "nan"),
        ("boolean", "1", "maybe"),
    ],
)
def test_the_first_bad_row_is_named(kind: Kind, good: object, bad: object, tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", pl.DataFrame({"x": [good, good, bad, bad]}))
    line = refused(path, {"x": kind})
    assert "row 2" in line
    assert "column 'x'" in line


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "any"])
def test_nested_columns_are_refused(kind: Kind, tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", pl.DataFrame({"x": [[1, 2], [3]]}))
    assert "holds List" in refused(path, {"x": kind})


@pytest.mark.parametrize("kind", KINDS)
def test_a_required_column_holds_no_nulls_an_optional_one_may(kind: Kind, tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", pl.DataFrame({"x": [1, None, 0], "y": [None, None, None]}))
    assert "row 1 has no value" in refused(path, {"x": kind})
    assert read_table(path, {}, {"x": kind, "y": kind, "z": kind}).null_count().row(0) == (1, 3)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False), ("TRUE", True), ("0", False)])
def test_booleans_in_words(text: str, value: bool, tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", pl.DataFrame({"x": [text]}))
    assert read_table(path, {"x": "boolean"})["x"].to_list() == [value]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_cell_of_a_million_characters_is_kept(suffix: str, tmp_path: Path) -> None:
    text = "é\n\"'," * 200_000
    path = write_table(tmp_path / f"t{suffix}", pl.DataFrame({"id": [text], "score": [1]}))
    assert read_table(path, WANTED)["id"].to_list() == [text]


def test_a_bad_cell_of_a_million_characters_makes_a_short_line(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", pl.DataFrame({"x": ["9" * 10**6 + "x"]}))
    assert len(refused(path, {"x": "number"})) < 400
    names = pl.DataFrame({f"{i}" * 10**5: [1] for i in range(10)})
    assert len(refused(write_table(tmp_path / "n.parquet", names), {"x": "number"})) < 3000


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@given(rows=st.lists(st.tuples(TEXT, st.floats(0, 1)), min_size=1, max_size=6))
def test_csv_and_jsonl_of_other_writers_are_read_exactly(
    rows: list[tuple[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    (folder / "t.jsonl").write_text("\n".join(json.dumps({"id": text, "score": score}) for text, score in rows))
    with (folder / "t.csv").open("w", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("id", "score"), *rows])
    assert read_table(folder / "t.jsonl", WANTED).rows() == rows
    assert read_table(folder / "t.csv", WANTED)["id"].to_list() == [text for text, _ in rows]


@given(values=st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=4), st.booleans())))
def test_mixed_types_in_jsonl_never_escape(values: list[object], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("mixed") / "t.jsonl"
    path.write_text("\n".join(json.dumps({"x": value}) for value in values))
    for kind in KINDS:
        found = table_or_line(path, {"x": kind})
        if isinstance(found, str):
            assert "\n" not in found
        else:
            assert found["x"].null_count() == 0
            assert found.height == len(values)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = whole(tmp_path)
    before = path.read_bytes()
    temporaries: list[Path] = []

    def fails_midway() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half")
            temporaries.append(temporary)
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fails_midway()
    assert temporaries[0] != path
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_unknown_formats_and_places_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "t.xlsx", tmp_path / "file" / "t.csv"):
        with pytest.raises(DataError) as caught:
            write_table(place, pl.DataFrame({"x": [1]}))
        assert "\n" not in str(caught.value)


def test_checksum_of_a_folder_knows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = sha256(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, second, sha256(tmp_path)}) == 3
    with pytest.raises(DataError, match="check the path"):
        sha256(tmp_path / "gone")
