"""Names, versions, install lines, addresses: what passes is a package, what is refused says why."""

import json
import re
import sys
from importlib import metadata, resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from homespun.errors import DataError
from homespun.sandbox.reply import Dependency, check_edit
from homespun.sandbox.reply.cdn import cdn_package
from homespun.sandbox.reply.installs import MAX_COMMANDS, Installs
from homespun.sandbox.reply.packages import known_packages, mended_install, npm_package, python_packages

RAW = json.loads(resources.files("homespun.data").joinpath("replies/packages.json").read_text(encoding="utf-8"))
SAFE = re.compile(r"@?[A-Za-z0-9~][A-Za-z0-9._~/-]*")


def installed(*lines: str) -> list[str]:
    found = Installs()
    found.read_all(lines, "install")
    return [f"{each.kind}:{each.name}{each.version}" for each in found.dependencies]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pip install numpy", ["python:numpylatest"]),
        ("$ pip3 install -U --quiet 'numpy>=1.2,<3' pandas==2.*", ["python:numpy>=1.2,<3", "python:pandas==2.*"]),
        ("python3 -m pip install numpy>=1.20", ["python:numpy>=1.20"]),
        ("uv pip install --system torch==2.1.0+cpu", ["python:torch==2.1.0+cpu"]),
        ("uv add httpx && npm i react", ["python:httpxlatest", "npm:reactlatest"]),
        ("sudo pip install 'uvicorn[standard]' # the server", ["python:uvicornlatest"]),
        (
            "pip install cv2 sklearn PIL",
            [f"python:{name}latest" for name in ("opencv-python", "scikit-learn", "pillow")],
        ),
        ("pip install -r requirements.txt flask", ["python:flasklatest"]),
        ("pip install -i http://x.invalid/simple flask", ["python:flasklatest"]),
        ("pip install --index-url=http://x.invalid flask", ["python:flasklatest"]),
        ("pip install git+https://x.invalid/a.git ./b ../c /d ~/e f.whl@https://x a@b", []),
        ("pip install $(id) `id` ${HOME} a;b 'c;d' \"e|f\" --pre", []),
        ("pip install \"x; sys_platform == 'win32'\" y", ["python:ylatest"]),
        ("pip install os sys json tkinter", []),
        ("pip install 1.2 _x -x ☃", []),
        (
            "npm install --save react@18.2.0 @scope/pkg@^1.0.0 vue@latest",
            ["npm:react@18.2.0", "npm:@scope/pkg@^1.0.0", "npm:vuelatest"],
        ),
        ("npm i -g typescript", []),
        ("npm i ./x ../y /z file:a git+ssh://x user/repo x@npm:y https://x.invalid/a.tgz a.tgz fs", []),
        ("yarn add a; pnpm add b; bun add c", ["npm:alatest", "npm:blatest", "npm:clatest"]),
        ("pip install 'unbalanced", []),
        ("pip uninstall numpy", []),
        ("npm run build", []),
        ("echo pip install numpy", []),
    ],
)
def test_install_lines(line: str, expected: list[str]) -> None:
    assert installed(line) == expected


def test_refusals_have_reasons() -> None:
    found = Installs()
    found.read("pip install -r req.txt --extra-index-url http://x.invalid ./here os cv2", "install")
    assert {each.what: each.why for each in found.dropped} == {
        "-r req.txt": "a requirement file is refused",
        "--extra-index-url http://x.invalid": "another package index is refused",
        "./here": "not a package from the index but an option, path or address",
        "os": "part of the standard library",
        "cv2": "an import's name; the package is opencv-python",
    }


def test_lines_are_joined_and_bounded() -> None:
    assert installed("pip install \\", "  numpy \\", "  scipy") == ["python:numpylatest", "python:scipylatest"]
    assert len(installed(*["pip install a"] * (MAX_COMMANDS + 5))) == MAX_COMMANDS
    assert installed("pip install " + "a " * 2000) == []


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("python", "numpy", "==1.26.4"), ("numpy", "==1.26.4")),
        (("python", " Flask ", ">= 2, < 4"), ("flask", ">=2,<4")),
        (("python", "uvicorn[standard]", "latest"), ("uvicorn", "latest")),
        (("npm", "react", "@18"), ("react", "@18")),
        (("npm", "@scope/a.b", "@^1.2.3-beta.1"), ("@scope/a.b", "@^1.2.3-beta.1")),
        (("npm", "vue", "latest"), ("vue", "latest")),
        (("npm", "vue", "@next"), ("vue", "@next")),
    ],
)
def test_edits(row: tuple[str, str, str], expected: tuple[str, str]) -> None:
    edited = check_edit(*row)
    assert (edited.kind, edited.name, edited.version, edited.source) == (row[0], *expected, "edit")


@pytest.mark.parametrize(
    "row",
    [
        ("python", "numpy", "1.26"),
        ("python", "numpy", ""),
        ("python", "numpy", "===1;rm"),
        ("python", "numpy", "==1; rm -rf"),
        ("python", "numpy==1", "latest"),
        ("python", "--index-url", "latest"),
        ("python", "-r", "latest"),
        ("python", "../up", "latest"),
        ("python", "a b", "latest"),
        ("python", "a@https://x.invalid", "latest"),
        ("python", "a;python_version>'3'", "latest"),
        ("python", "", "latest"),
        ("python", "1.2", "latest"),
        ("python", "x" * 300, "latest"),
        ("npm", "react", "18"),
        ("npm", "react", "@"),
        ("npm", "react", "@1 || rm"),
        ("npm", "react", "@https://x.invalid"),
        ("npm", "react", "@file:x"),
        ("npm", "-g", "latest"),
        ("npm", "@/x", "latest"),
        ("npm", "a/b", "latest"),
        ("npm", "..", "latest"),
        ("npm", ".hidden", "latest"),
        ("npm", "a$b", "latest"),
        ("cargo", "serde", "latest"),
        ("", "", ""),
    ],
)
def test_bad_edits(row: tuple[str, str, str]) -> None:
    with pytest.raises(DataError):
        check_edit(*row)


@pytest.mark.slow
@given(st.sampled_from(["python", "npm"]), st.text(max_size=30), st.text("@=<>~!^.0123456789latest;$ |", max_size=12))
def test_no_edit_passes_that_an_installer_could_misread(kind: str, name: str, version: str) -> None:
    try:
        edited = check_edit(kind, name, version)
    except DataError:
        return
    assert SAFE.fullmatch(edited.name)
    assert not re.search(r"[;$|&`\s'\"\\]|://", edited.version)
    assert edited.version == "latest" or edited.version[0] in ("@" if kind == "npm" else "=<>~!")


@pytest.mark.slow
@given(st.text("pipnmstalyrdu -=@/.;$&|`'\"()\\<>~0aA\n", max_size=80))
def test_nothing_leaves_an_install_line_but_packages(tail: str) -> None:
    found = Installs()
    found.read_all([f"pip install {tail}", f"npm i {tail}"], "install")
    for each in found.dependencies:
        assert SAFE.fullmatch(each.name)
        assert not re.search(r"[;$|&`\s'\"\\]|://", each.version)


@pytest.mark.slow
def test_the_map_agrees_with_what_is_installed_here() -> None:
    checked = 0
    for name, distributions in metadata.packages_distributions().items():
        if name in known_packages().imports:
            ours = {str(canonicalize_name(package)) for package in known_packages().imports[name]}
            assert ours & {str(canonicalize_name(each)) for each in distributions}, name
            checked += 1
    assert checked >= 10


def test_the_map_is_sound() -> None:
    imports = RAW["python"]["imports"]
    assert len(imports) > 150
    for name, packages in imports.items():
        assert packages
        assert name.split(".")[0] not in sys.stdlib_module_names
        assert all(
            isinstance(mended_install(check_edit("python", package, "latest")), Dependency) for package in packages
        )
    assert all(check_edit("npm", package, "latest") for package in RAW["npm"]["cdnjs"].values())
    assert {"fs", "path", "http", "crypto", "child_process", "worker_threads"} <= known_packages().builtins


def test_imports_become_packages() -> None:
    have = [check_edit("python", "opencv-contrib-python", "latest")]
    names = [
        "os.path",
        "cv2",
        "yaml",
        "google.cloud.storage.Client",
        "mpl_toolkits.mplot3d",
        "mine.x",
        "js",
        "π",
        "a_b",
    ]
    found, dropped = python_packages(names, have, frozenset({"mine"}))
    assert sorted(each.name for each in found) == ["a-b", "google-cloud-storage", "matplotlib", "pyyaml"]
    assert {each.what for each in dropped} == {"import mine", "import js", "import π"}


@pytest.mark.parametrize(
    ("specifier", "name"),
    [
        ("lodash/fp", "lodash"),
        ("@a/b/c/d", "@a/b"),
        ("fs", None),
        ("fs/promises", None),
        ("node:test", None),
        ("./x", None),
        ("@/x", None),
        ("~/x", None),
        ("#imports", None),
        ("npm:chalk@5", "chalk"),
        ("style.css?inline", "style.css"),
    ],
)
def test_specifiers(specifier: str, name: str | None) -> None:
    read = npm_package(specifier, "import")
    assert (read.name if isinstance(read, Dependency) else read) == name


@pytest.mark.parametrize(
    ("address", "package"),
    [
        ("https://unpkg.com/react@18/umd/react.js", "react@18"),
        ("//cdn.jsdelivr.net/npm/@scope/a@1.2/x.js", "@scope/a@1.2"),
        ("https://cdn.jsdelivr.net/npm/vue", "vuelatest"),
        ("https://cdnjs.cloudflare.com/ajax/libs/Chart.js/3.9.1/chart.min.js", "chart.js@3.9.1"),
        (
            "https://cdnjs.cloudflare.com/ajax/libs/font-awesome/6.5.0/css/all.min.css",
            "@fortawesome/fontawesome-free@6.5.0",
        ),
        ("https://esm.sh/v135/preact@10.19.2/hooks", "preact@10.19.2"),
        ("https://esm.sh/*lit@3", "lit@3"),
        ("https://cdn.skypack.dev/pin/d3@v7.8.5-abc/mode=imports/d3.js", "d3@v7.8.5-abc"),
        ("https://ga.jspm.io/npm:htm@3.1.1/index.js", "htm@3.1.1"),
        ("https://maxcdn.bootstrapcdn.com/bootstrap/4.5.2/js/bootstrap.min.js", "bootstrap@4.5.2"),
        ("https://threejs.org/build/three.module.js", "threelatest"),
        ("https://cdn.tailwindcss.com/3.4.1", "tailwindcss@3.4.1"),
    ],
)
def test_addresses(address: str, package: str) -> None:
    read = cdn_package(address)
    assert isinstance(read, Dependency), read
    assert read.name + read.version == package


@pytest.mark.parametrize(
    "address",
    [
        "https://example.invalid/react@18.js",
        "https://cdn.jsdelivr.net/gh/user/repo@1/x.js",
        "https://unpkg.com/",
        "https://unpkg.com/../../etc/passwd",
        "https://unpkg.com/react@$(id)/x",
        "https://unpkg.com/-g",
        "https://[bad/x",
        "https://unpkg.com/" + "a" * 3000,
    ],
)
def test_addresses_that_are_no_package(address: str) -> None:
    assert isinstance(cdn_package(address), str)
