"""Every error that homespun raises on purpose.

    HomespunError                  the root: catch this to catch them all
    ├── ConfigError  (ValueError)    a setting, flag or name is wrong                 exit 2
    ├── DataError    (ValueError)    a table, file or column is wrong                 exit 2
    ├── ModelError   (RuntimeError)  a model could not be reached or refused          exit 1
    ├── SandboxError (RuntimeError)  a sandbox could not be started                   exit 1
    ├── GradeError   (RuntimeError)  a grader could not work at all                   exit 1
    ├── BudgetError  (RuntimeError)  the next call would spend more than was allowed  exit 1
    └── RunError     (RuntimeError)  a run's folder is in use, damaged or missing     exit 1

A bad *row* is data (``value=None`` with a reason); only a bad *run* raises. To add a kind: inherit from
the root and from the builtin that it stands for, set ``exit_code``, and add a line to the tree above.
"""


class HomespunError(Exception):
    """The root. Its text is one line: what went wrong, where, and what to try.

    Args:
        what: What went wrong, with the offending value.
        where: The file, column, id or setting concerned.
        hint: What the reader can try next.
    """

    exit_code = 1

    def __init__(self, what: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, where, hint)
        self.what, self.where, self.hint = what, where, hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        text = f"{text}; try: {self.hint}" if self.hint else text
        return " ".join(text.split())


class ConfigError(HomespunError, ValueError):
    """A setting, flag or name is wrong."""

    exit_code = 2


class DataError(HomespunError, ValueError):
    """A table, file or column is wrong."""

    exit_code = 2


class ModelError(HomespunError, RuntimeError):
    """A model could not be reached, or refused."""


class SandboxError(HomespunError, RuntimeError):
    """A sandbox could not be started; this says nothing about the program."""


class GradeError(HomespunError, RuntimeError):
    """A grader could not work at all; a single ungradable row is a Verdict with ``value=None``."""


class BudgetError(HomespunError, RuntimeError):
    """The next call would spend more than was allowed; nothing was spent on it."""


class RunError(HomespunError, RuntimeError):
    """A run's folder is in use, damaged or missing."""
