"""Matplotlib's list of fonts beside the warm packages: made once, of the system's fonts alone, or not at all."""

from pathlib import Path

from homespun.sandbox.environments.types import FONTS
from homespun.sandbox.templates import fonts

LISTS = """
import os, pathlib
place = pathlib.Path(os.environ["MPLCONFIGDIR"], "fontlist-v1.json")
place.write_text(os.environ["HOME"])
"""


def packages(folder: Path, font_manager: str | None) -> Path:
    """Warm packages with a library of this name in them, or without."""
    made = folder / "packages"
    made.mkdir()
    if font_manager is not None:
        library = made / "matplotlib"
        library.mkdir()
        (library / "__init__.py").touch()
        (library / "font_manager.py").write_text(font_manager)
    return made


def test_the_list_is_made_once_and_of_nobodys_own_fonts(tmp_path: Path) -> None:
    place = packages(tmp_path, LISTS)
    fonts.make(place)
    made = place / FONTS / "fontlist-v1.json"
    assert Path(made.read_text()) != Path.home()
    assert Path(made.read_text()).parent == tmp_path
    made.write_text("kept")
    fonts.make(place)
    assert made.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["packages"]


def test_a_library_that_makes_none_or_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    for name, source in {"fails": "raise OSError", "none": "", "absent": None}.items():
        (tmp_path / name).mkdir()
        place = packages(tmp_path / name, source)
        fonts.make(place)
        assert not (place / FONTS).exists()
        assert [path.name for path in place.parent.iterdir()] == ["packages"]
