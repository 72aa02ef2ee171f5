"""The list of fonts that comes with the warm packages is the one that Matplotlib would make in the jail itself."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from homespun.sandbox.environments import python_program
from homespun.sandbox.environments.types import FONTS, Work
from homespun.sandbox.jail.types import Jail
from homespun.sandbox.templates import fonts

pytestmark = pytest.mark.slow
COMPARES = """
import json, os
place = os.environ["MPLCONFIGDIR"]
given = {name: os.stat(os.path.join(place, name)).st_mtime_ns for name in os.listdir(place)}
from matplotlib import font_manager
def told(manager):
    return sorted(f"{font.fname} {font.name} {font.style} {font.weight}" for font in manager.ttflist)
read = told(font_manager.fontManager)
unchanged = given == {name: os.stat(os.path.join(place, name)).st_mtime_ns for name in given}
made = told(font_manager.FontManager())
print(json.dumps({"given": sorted(given), "unchanged": unchanged, "same": read == made, "number": len(read)}))
"""


def test_the_list_that_ships_is_read_and_right(work: Callable[..., Work], jail: Jail) -> None:
    wanted = work(COMPARES)
    fonts.make(wanted.layers.python)
    ran = python_program.run(wanted, jail)
    assert ran.status == "ok", ran.stderr
    told = json.loads(ran.stdout)
    assert told["given"] == sorted(path.name for path in (wanted.layers.python / FONTS).iterdir())
    assert told["unchanged"]
    assert told["same"]
    assert told["number"] > 10


def test_without_a_list_nothing_is_given(work: Callable[..., Work], jail: Jail, tmp_path: Path) -> None:
    wanted = work("import os\nprint(os.path.exists(os.environ['MPLCONFIGDIR']))")
    ran = python_program.run(replace(wanted, layers=replace(wanted.layers, python=tmp_path)), jail)
    assert (ran.status, ran.stdout) == ("ok", "False\n")
