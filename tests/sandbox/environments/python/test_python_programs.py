"""Real programs through the real jail: text, figures, tests, faults."""

import io
from collections.abc import Callable

import pytest
from PIL import Image

from homespun.sandbox.environments import python_program
from homespun.sandbox.environments.types import Ran, Site, Work
from homespun.sandbox.jail import jail as jail_called

pytestmark = pytest.mark.slow
Run = Callable[..., Ran]

CASES = {
    "hello": ("print('hello')", "ok", 0, "hello\n", ""),
    "as __main__": (
        "import sys\nif __name__ == '__main__': print(sys.argv, __file__, sys.modules['__main__'].__name__)",
        "ok",
        0,
        "['main.py'] /work/main.py __main__\n",
        "",
    ),
    "exit code": ("import sys\nprint('a')\nsys.exit(3)", "failed", 3, "a\n", ""),
    "exit text": ("raise SystemExit('no luck')", "failed", 1, "", "no luck\n"),
    "async": ("import asyncio\nasync def main():\n    print('in')\nasyncio.run(main())", "ok", 0, "in\n", ""),
    "await outside": ("import asyncio\nprint(await asyncio.sleep(0, 'out'))", "ok", 0, "out\n", ""),
    "input": ("input('name? ')", "failed", 1, "name? ", "nobody can type here"),
    "syntax": ("print('a'", "failed", 1, "", "SyntaxError: '(' was never closed"),
    "spawned": (
        "import multiprocessing as m\ndef f(x): return x * x\n"
        "if __name__ == '__main__':\n    with m.get_context('spawn').Pool(1) as p: print(p.map(f, [2, 3]))",
        "ok",
        0,
        "[4, 9]\n",
        "",
    ),
    "unittest": (
        "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): self.assertEqual(1, 2)\nunittest.main()",
        "failed",
        1,
        "",
        "AssertionError: 1 != 2",
    ),
    "tests left alone": ("def test_fine(): pass\ndef test_bad(): assert 1 == 2\n", "failed", 1, "test_bad", ""),
    "passing tests left alone": ("def test_fine(): pass\n", "ok", 0, "test_fine", ""),
    "memory": ("def f():\n    raise MemoryError\nf()", "memory", 1, "", "MemoryError"),
    "warm packages": (
        "import numpy, pandas\nprint(numpy.arange(3).sum(), pandas.Series([1]).sum())",
        "ok",
        0,
        "3 1\n",
        "",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_text(run_python: Run, case: tuple[str, str, int, str, str]) -> None:
    code, status, exit_code, out, error = case
    ran = run_python(code)
    assert (ran.status, ran.exit_code) == (status, exit_code), ran.stderr
    assert out in ran.stdout
    assert error in ran.stderr
    assert "/packages" not in ran.stderr
    assert "inside" not in ran.stderr


def test_what_was_said_before_the_end_is_there(run_python: Run) -> None:
    ran = run_python("import time\nprint('so far')\ntime.sleep(60)", seconds=1.5)
    assert ran.status == "timeout"
    assert "so far" in ran.stdout


FIGURES = """
import matplotlib
matplotlib.use("TkAgg")
import matplotlib.pyplot as plt
from PIL import Image
plt.plot([1, 2]); plt.title("shown"); plt.show()
assert plt.get_fignums() == []
fig, ax = plt.subplots(figsize=(2, 1)); ax.plot([3, 1])
fig.savefig("saved.png", dpi=50); fig.savefig("same.png", dpi=50)
plt.show()
Image.new("RGB", (8, 6), (255, 0, 0)).save("red.jpg", quality=95)
Image.new("RGB", (5, 5), (0, 0, 255)).show()
open("notes.txt", "w").write("x")
plt.figure(figsize=(1, 1)); plt.plot([2, 2])
"""


def test_figures_come_back_in_order_and_once(run_python: Run) -> None:
    ran = run_python(FIGURES)
    assert ran.status == "ok", ran.stderr
    sizes = [Image.open(io.BytesIO(picture.png)).size for picture in ran.pictures]
    assert sorted(sizes) == sorted([(640, 480), (100, 50), (8, 6), (5, 5), (100, 100)])
    assert sizes[0] == (640, 480)
    assert ran.files == ("notes.txt", "red.jpg", "same.png", "saved.png")
    by_size = dict(zip(sizes, ran.pictures, strict=True))
    red = Image.open(io.BytesIO(by_size[8, 6].png)).convert("RGB").getpixel((4, 3))
    assert isinstance(red, tuple)
    assert red[0] > 240
    assert red[1] < 20


def test_a_program_has_no_more_figures_than_allowed(run_python: Run) -> None:
    ran = run_python("from PIL import Image\nfor n in range(30): Image.new('L', (n + 1, 1)).show()")
    assert len(ran.pictures) == 20


PLOTLY = """
import plotly.express as px
first = px.line(x=[1, 2], y=[3, 4], title="First")
first.show()
first.write_image("first.png")
second = px.bar(x=["</script>"], y=[1])
"""


def test_what_opencv_shows_is_a_picture(run_python: Run) -> None:
    code = """
import cv2, numpy
image = numpy.zeros((4, 6, 3), "uint8")
image[:, :, 2] = 255
while True:
    cv2.imshow("red", image)
    if cv2.waitKey(1) & 0xFF == ord("q"):
        break
cv2.destroyAllWindows()
"""
    ran = run_python(code)
    assert (ran.status, [picture.name for picture in ran.pictures]) == ("ok", ["red.png"]), ran.stderr
    assert Image.open(io.BytesIO(ran.pictures[0].png)).getpixel((0, 0)) == (255, 0, 0)


def test_plotly_figures_are_a_page(run_python: Run) -> None:
    ran = run_python(PLOTLY)
    assert ran.status == "ok", ran.stderr
    assert "first.png was not written" in ran.stderr
    assert isinstance(ran.app, Site)
    figures = [name for name in ran.app.files if name.startswith("figure-")]
    assert figures == ["figure-1.json", "figure-2.json", "figure-3.json"]
    assert b"First" in ran.app.files["figure-1.json"]
    assert len(ran.app.files["plotly.min.js"]) > 1_000_000


def test_figures_under_gvisor_are_the_same(work: Callable[..., Work], run_python: Run) -> None:
    code = "from PIL import Image\nImage.new('RGB', (40, 30), 'teal').show()\nprint('done')"
    here, there = run_python(code), python_program.run(work(code), jail_called("gvisor"))
    assert (there.status, there.stdout) == ("ok", "done\n"), there.stderr
    assert there.pictures == here.pictures
