"""Runs a program whose text and figures are the result: ``python -m inside.console FILE``."""

import os
import sys
import threading
import time
from typing import TextIO

from . import fonts, program, tests
from .figures import Figures

FLUSH_SECONDS = 0.1


def main() -> int:
    """Runs the program, then tests that it only defines; keeps its figures; returns its exit code."""
    path = os.path.join(program.WORK, os.path.basename(sys.argv[1]))
    figures = Figures()
    figures.install()
    fonts.give()
    threading.Thread(target=_flush, args=(sys.stdout,), daemon=True).start()
    code = program.run(path)
    names = vars(sys.modules["__main__"])
    if code == 0 and tests.left_alone(path, names):
        code = tests.run(path, names)
    try:
        figures.finish(names)
    except Exception as error:
        sys.stderr.write(f"a figure could not be kept: {error}\n")
    return code


def _flush(stream: TextIO) -> None:
    """Output is there even if the program is stopped in the middle."""
    while True:
        time.sleep(FLUSH_SECONDS)
        try:
            stream.flush()
        except (OSError, ValueError):
            return


if __name__ == "__main__":
    sys.exit(main())
