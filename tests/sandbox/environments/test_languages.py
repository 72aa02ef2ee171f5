"""The seven languages with text output: each runs, refuses, fails and stops as it should, in a real jail."""

from pathlib import Path

import pytest

from homespun.errors import SandboxError
from homespun.sandbox.environments import NAMES, environment, languages
from homespun.sandbox.environments.types import Layers, Ran, Work
from homespun.sandbox.jail.bubblewrap import Bubblewrap
from homespun.sandbox.jail.types import Bounds
from homespun.sandbox.reply import Found, read_reply

HELLO = {
    "c": '#include <stdio.h>\n#include <math.h>\nint main(void) { printf("%.0f\\n", sqrt(49)); return 3; }',
    "cpp": "#include <iostream>\nint main() { auto v{3}; std::cout << v + 4; return 3; }",
    "go": 'package main\nimport (\n"fmt"\n"os"\n)\nfunc main() { fmt.Println(3 + 4); os.Exit(3) }',
    "rust": 'fn main() { println!("{}", (1..=2).map(|x| x * 2 + 1).sum::<i32>() - 1); std::process::exit(3); }',
    "java": "package a.b;\npublic class Seven { public static void main(String[] a) "
    "{ System.out.println(3 + 4); System.exit(3); } }",
    "javascript": "console.log([3, 4].reduce((a, b) => a + b)); process.exit(3)",
    "typescript": "enum A { x = 3 }\nconst y: number = A.x + 4;\nconsole.log(y); process.exit(3)",
}
REFUSED = {
    "c": "int main(void) { return undefined_name; }",
    "cpp": "int main() { std::string s = 1; }",
    "go": "package main\nfunc main() { x := 1 }",
    "rust": "fn main() { let x: i32 = true; }",
    "java": "public class A { public static void main(String[] a) { int x = true; } }",
}


def ran(tag: str, code: str, layers: Layers, bounds: Bounds | None = None) -> Ran:
    found = read_reply(f"```{tag}\n{code}\n```")
    assert isinstance(found, Found)
    return languages.run(Work(id="x", found=found, layers=layers, bounds=bounds or Bounds()), Bubblewrap())


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Layers:
    folder = tmp_path_factory.mktemp("layers")
    (folder / "node_modules" / "tiny").mkdir(parents=True)
    (folder / "node_modules" / "tiny" / "index.js").write_text("module.exports = 'from a package'")
    return Layers(python=folder, node=folder / "node_modules")


@pytest.mark.slow
@pytest.mark.parametrize("tag", HELLO)
def test_program_runs_and_its_exit_code_is_told(tag: str, layers: Layers) -> None:
    one = ran(tag, HELLO[tag], layers)
    assert (one.stdout.strip(), one.exit_code, one.status) == ("7", 3, "failed"), one.stderr
    assert "compiler" not in one.notes


@pytest.mark.slow
@pytest.mark.parametrize("tag", REFUSED)
def test_compiler_says_what_it_refuses(tag: str, layers: Layers) -> None:
    one = ran(tag, REFUSED[tag], layers)
    assert one.status == "failed"
    assert one.notes == {"compiler": "refused the program"}
    assert any(name in one.stderr for name in ("main.", "A.java"))


@pytest.mark.slow
def test_endless_program_is_stopped_and_what_it_said_is_kept(layers: Layers) -> None:
    code = '#include <stdio.h>\nint main(void) { puts("first"); fflush(stdout); for (;;); }'
    one = ran("c", code, layers, Bounds(seconds=1.5))
    assert (one.status, one.stdout) == ("timeout", "first\n")


@pytest.mark.slow
def test_script_finds_warm_packages_and_leaves_files(layers: Layers) -> None:
    one = ran("javascript", "require('fs').writeFileSync('left.txt', require('tiny'));", layers)
    assert (one.status, one.files) == ("ok", ("left.txt",)), one.stderr
    module = ran("javascript", "import tiny from 'tiny';\nconsole.log(tiny)", layers)
    assert module.stdout == "from a package\n", module.stderr


@pytest.mark.slow
def test_java_without_memory_is_told_as_such(layers: Layers) -> None:
    code = (
        "public class Big { public static void main(String[] a) { var l = new java.util.ArrayList<byte[]>(); "
        "while (true) l.add(new byte[1 << 24]); } }"
    )
    assert ran("java", code, layers).status == "memory"


def test_hostile_names_never_reach_the_shell(layers: Layers) -> None:
    found = read_reply("```c\nint main(void) { return 0; }\n```")
    assert isinstance(found, Found)
    for name in ("a b.c", "x;touch y.c", "$(id).c", "../../etc/x.c", "-o.c", "", "`id`.c"):
        job = languages.job(Work(id="x", found=found.model_copy(update={"filename": name}), layers=layers))
        assert set(job.files) <= {"main.c", "main", "x.c"}, name
        assert ";" not in job.argv[2].split("||")[0]
        assert "$(" not in job.argv[2]


def test_missing_compiler_is_one_clear_line(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages.shutil, "which", lambda name, path: None)
    with pytest.raises(SandboxError, match=r"gcc is not installed, so c cannot run.*apt install gcc"):
        ran("c", "int main(void) { return 0; }", layers)
    assert languages.available()["javascript"]
    assert not languages.available()["go"]


def test_eight_environments_are_there() -> None:
    assert len(NAMES) == 8
    with pytest.raises(KeyError):
        environment("desktop")
    assert Path(languages.__file__).name == "languages.py"
