"""homespun.toml: what it means, and that a wrong one is refused in one line that says where."""

import pytest

from homespun.errors import ConfigError
from homespun.serve.gateway.config import GatewayConfig, built_in, load, parse

ONE = {"target": [{"name": "a", "url": "http://model.example/v1", "model": "m"}]}


def test_without_a_file_what_ships_is_served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load()
    names = [target.name for target in config.target]
    assert names[0] == "local:smollm2"
    assert "recorded:gpt-4/ltm" in names
    assert len(names) == 31
    assert [target.name for target in config.tiers()] == names


def test_the_file_here_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "homespun.toml").write_text(
        '[alias]\nfast = "a"\n[[target]]\nname = "a"\nurl = "https://model.example/v1"\nmodel = "m"\n'
        'key_env = "A_KEY"\n'
    )
    config = load()
    assert config.find("fast").model == "m"
    assert config.find("fast").key_env == ("A_KEY",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"servr": {}}, "unknown setting 'servr'"),
        ({"server": {"port": 70_000}}, "server.port"),
        ({"server": {"port": "x"}}, "server.port"),
        ({"auto": {"stream_below": float("nan")}}, "auto.stream_below"),
        ({"target": [{"name": "a", "model": "m"}]}, "url must be http"),
        ({"target": [{"name": "a", "model": "m", "url": "http://user:pw@host/v1"}]}, "url must be http"),
        ({"target": [{"name": "a", "model": "m", "url": "file:///etc/passwd"}]}, "url must be http"),
        ({"target": [{"name": "homespun/x", "model": "m", "url": "http://h/v1"}]}, "are taken"),
        ({"target": [{"name": "r", "model": "gpt-4", "kind": "recorded"}]}, "needs a strategy"),
        ({"target": ONE["target"] * 2}, "two targets are called 'a'"),
        (ONE | {"alias": {"x": "b"}}, "no target is called 'b'; there are a"),
        (ONE | {"alias": {"a": "a"}}, "alias 'a' is the name of a model"),
        (ONE | {"auto": {"tiers": ["aa"]}}, "auto.tiers: no target is called 'aa'"),
        (ONE | {"auto": {"verifier": "v"}}, "auto.verifier: no target is called 'v'"),
        ({"target": [ONE["target"][0] | {"fallbacks": ["z"]}]}, "no target is called 'z'"),
        ({"learning": {"shadow": 0.5}}, "learning.shadow"),
    ],
)
def test_a_wrong_setting_is_named(content, says):
    with pytest.raises(ConfigError) as caught:
        parse(content)
    text = str(caught.value)
    assert says in text
    assert "\n" not in text
    assert "pw" not in text.replace("pwd", "")
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there_or_no_toml_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[server\n")
    with pytest.raises(ConfigError, match="no TOML"):
        load(tmp_path / "bad.toml")


def test_the_database_may_come_from_the_environment(monkeypatch):
    config = parse({"server": {"database_env": "HS_DB"}})
    monkeypatch.delenv("HS_DB", raising=False)
    with pytest.raises(ConfigError, match="HS_DB"):
        config.database_url()
    monkeypatch.setenv("HS_DB", "postgresql://u:secret@h/db")
    assert config.database_url() == "postgresql://u:secret@h/db"
    assert "secret" not in repr(config)


def test_arms_of_what_ships_are_named_as_outcomes_name_them():
    arms = {target.name: target.arm_name for target in built_in()}
    assert arms["recorded:gpt-4/ltm"] == "gpt-4/ltm"
    assert arms["local:smollm2"] == "local:smollm2"


def test_find_names_close_models():
    with pytest.raises(ConfigError, match="local:smollm2"):
        GatewayConfig(target=built_in()).find("local:smollm")
