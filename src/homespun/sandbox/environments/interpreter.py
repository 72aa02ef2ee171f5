"""The Interpreter: a program whose text and figures are the result, in any of the ten languages."""

from homespun.sandbox.environments import console_page, core_web, languages, mermaid, python_program
from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.jail.types import Jail


def run(work: Work, jail: Jail) -> Ran:
    """Runs a program where its language runs: Python with figures, JavaScript in Node or a page, the rest compiled.

    Raises:
        SandboxError: what the language needs is not installed, or the jail cannot be had.
    """
    match work.found.language:
        case "python":
            return python_program.run(work, jail)
        case "html":
            return core_web.run(work, jail)
        case "markdown":
            return mermaid.run(work, jail)
        case "javascript" | "typescript" if console_page.runs_in_page(work.found):
            return console_page.run(work, jail)
        case _:
            return languages.run(work, jail)
