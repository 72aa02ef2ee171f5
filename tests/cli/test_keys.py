"""`homespun keys`: the secret is printed once, mistakes are one line, and the list tells what was spent."""

import json
import time
from pathlib import Path

import pytest

from homespun.cli import main as cli
from homespun.serve.store import keys
from homespun.serve.store.database import Database


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    code = cli.run(["keys", *tokens])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.slow
def test_a_key_from_creation_to_revocation(capsys: pytest.CaptureFixture[str]) -> None:
    words = "ci --team core --models a,b --budget 2.50 --period week --rpm 60 --tpm 100000 --expires 30d --admin --json"
    code, out, err = run(capsys, "create", *words.split())
    made = json.loads(out)
    assert (code, err) == (0, "")
    assert made["expires"] == pytest.approx(time.time() + 30 * 86_400, abs=60)
    database = Database("sqlite:///.homespun/homespun.db")
    found = database.run_now(keys.load).key(made["key"], time.time())
    assert found is not None
    assert (found.models, found.admin, found.team) == ({"a", "b"}, True, "core")
    database.close()

    assert run(capsys, "limit", "dollars", "month", "100", "--team", "core")[0] == 0
    assert run(capsys, "limit", "tokens", "minute", "200_000", "--key", "ci")[0] == 0
    assert run(capsys, "limit", "requests", "minute", "none", "--key", made["id"])[0] == 0
    code, out, _ = run(capsys, "list", "--json")
    listed = json.loads(out)
    limits = {(limit["unit"], limit["period"]): limit["amount"] for limit in listed["rows"][0]["limits"]}
    assert limits == {("nanodollars", "week"): 2_500_000_000, ("tokens", "minute"): 200_000}
    assert [limit["amount"] for limit in listed["shared"]] == [100 * 10**9]
    code, out, _ = run(capsys)
    assert code == 0
    assert "ci (admin)" in out
    assert "$0.00 of $2.50 per week" in out
    assert made["key"].split("-", 2)[2] not in out + json.dumps(listed)

    assert run(capsys, "revoke", "ci") == (0, f"revoked {made['id']}\n", "")
    assert json.loads(run(capsys, "list", "--json")[1])["rows"] == []
    assert json.loads(run(capsys, "list", "--json", "--revoked")[1])["rows"][0]["revoked"] > 0
    assert run(capsys, "workers", "--json")[1] == '{"rows": []}\n'


def test_the_secret_alone_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "create", "ci")
    assert code == 0
    assert out.startswith("hs-")
    assert len(out.split()) == 1
    assert out.strip() not in err


@pytest.mark.parametrize(
    "tokens",
    [
        ["create"],
        ["create", ""],
        ["create", "a", "--budget", "ten"],
        ["create", "a", "--budget", "-1"],
        ["create", "a", "--budget", "nan"],
        ["create", "a", "--rpm", "-5"],
        ["create", "a", "--expires", "soon"],
        ["create", "a", "--expires", "0d"],
        ["create", "a", "--models", ","],
        ["create", "a", "--period", "year", "--budget", "1"],
        ["create", "a", "--config", "nowhere.toml"],
        ["limit", "dollars", "day", "much"],
        ["limit", "tokens", "day", "1", "--key", "nobody"],
        ["limit", "tokens", "day", "1", "--key", "a", "--team", "b"],
        ["revoke", "nobody"],
        ["release", "nobody"],
    ],
)
def test_a_mistake_is_one_line_and_exit_2(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *tokens)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("homespun: ")


def test_a_database_that_is_away_is_one_line_without_its_password(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "homespun.toml").write_text(f'[server]\ndatabase = "postgresql://me:geheim@/db?host={here}"\n')
    code, out, err = run(capsys, "list")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "geheim" not in err
