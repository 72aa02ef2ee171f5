"""`homespun VERB …`: finds the verb, and turns every error into one line and an exit code.

Exit codes: 0 done · 1 a run failed · 2 the input was bad · 130 interrupted.
"""

import os
import sys
import traceback

from cyclopts import App, CycloptsError

from homespun import __version__
from homespun.errors import HomespunError

app = App(
    name="homespun",
    version=__version__,
    help="Know when to trust an answer, and answer each question at the lowest cost.",
    help_format="plaintext",
)
VERBS = {
    "demo": ("demo:demo", "Make the whole turn on real recorded answers, and write a report."),
    "grade": ("grade:grade", "Grade completions against gold answers; programs run in the sandbox."),
    "calibrate": ("calibrate:calibrate", "Measure how far agreement among samples can be trusted."),
    "route": ("route:app", "Fit, evaluate and explain a router."),
    "serve": ("serve:serve", "Serve the gateway: one OpenAI-compatible address, routed by quality and price."),
    "keys": ("keys:app", "Make, list, limit and revoke keys of the gateway."),
    "run-code": ("run_code:run_code", "Run a generated program in the sandbox, and show what came of it."),
    "arena": ("arena:arena", "Serve the battle room: programs run, people play with both, votes become a ranking."),
    "rank": ("rank:rank", "Rank models by the votes of those who compared them."),
    "sandbox": ("sandbox:app", "Install the packages that programs find installed, or see them."),
    "votes": ("votes:app", "Export and import the battle room's sessions and votes."),
    "corpus": ("corpus:app", "Gather text that may be used, with a reason for every document."),
    "runs": ("runs:app", "List, show and compare runs."),
    "doctor": ("doctor:doctor", "Check this machine for what the work needs."),
}
"""Verb → (where it lives, what it does). Loaded only when asked for, so that help is quick."""

for _name, (_place, _help) in VERBS.items():
    app.command(f"homespun.cli.{_place}", name=_name, help=_help)


def main(tokens: list[str] | None = None) -> None:
    """Entry point of the command line; always leaves through SystemExit."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads cost more than they win on busy machines
    sys.exit(run(sys.argv[1:] if tokens is None else tokens))


def run(tokens: list[str]) -> int:
    """Runs one command and returns its exit code; prints at most one line of error."""
    try:
        result = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return result if isinstance(result, int) and not isinstance(result, bool) else 0
    except CycloptsError as error:
        return _fail(f"{_one_line(error)}; try: homespun {' '.join(_verb(tokens))}--help", 2)
    except HomespunError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command goes on where it stopped", 130)
    except (BrokenPipeError, SystemExit):
        # The reader of our output (head, less) has left, which rich reports by leaving itself: that is no failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("HOMESPUN_DEBUG"):
            traceback.print_exc()
        kind = type(error).__name__
        return _fail(
            f"unexpected {kind}: {_one_line(error)}; try: HOMESPUN_DEBUG=1 for the whole trace, and report it", 1
        )


def _fail(line: str, code: int) -> int:
    print(f"homespun: {line}", file=sys.stderr)
    return code


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _verb(tokens: list[str]) -> list[str]:
    words = []
    for token in tokens[:2]:
        if token.startswith("-"):
            break
        words.append(f"{token} ")
    return words if words and words[0].strip() in VERBS else []


if __name__ == "__main__":
    main()
