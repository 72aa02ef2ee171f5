"""Plans (SayCan): a list of actions, right if it equals any of the accepted plans.

Strict mode reads the actions in order wherever they stand, drops ``find(initial)``, ignores numbering, case and white
space, and wants the plan to end in ``done()``. Paper mode is the released rule of Faithful-COT (MIT; `is_correct`):
steps split at ", " or line ends, renumbered, compared as text. There a step that does not split in two makes the
function return a non-empty string, which counts as right: a defect, reproduced here and only here.
"""

import ast
import json
import re

from homespun.tasks.base import Reading
from homespun.tasks.graders.text import TextGrader, shown

ACTION = re.compile(r"(?<![A-Za-z_])([A-Za-z_]{1,20})\(\s{0,3}([^()\n]{0,60})\)")
SEPARATOR = " | "
MALFORMED = "[malformed plan, counted as right]"


class PlanGrader(TextGrader):
    """Grades plans; canonical plans are ``find(coke); pick(coke); done()``, accepted ones joined by a bar."""

    name = "plan"

    def read_strict(self, text: str) -> Reading:
        """The actions in order; a text without any, or one that is not finished, is no plan."""
        steps = [f"{name.lower()}({' '.join(what.lower().split())})" for name, what in ACTION.findall(text)]
        steps = [step for step in steps if step != "find(initial)"]
        if steps and text.rstrip(" .\n").endswith("done"):
            steps.append("done()")
        if not steps:
            return Reading(None, f"no plan: {shown(text)!r}")
        if steps[-1] != "done()":
            return Reading(None, "the plan does not end in done()")
        return Reading("; ".join(steps), "plan")

    def read_paper(self, text: str) -> Reading:
        """The steps as text, renumbered."""
        if "[invalid]" in text:
            return Reading(None, "no answer was extracted")
        steps: list[str] = []
        for step in re.split(r", |\n", text.strip().replace("\\n", "\n").strip()):
            parts = step.split(". ")
            if len(parts) != 2:
                return Reading(MALFORMED, "a step without a number; the released code counts it as right")
            if "find(initial)" not in parts[1]:
                steps.append(f"{len(steps) + 1}. {parts[1]}")
        return Reading("\n".join(steps), "plan")

    def read_gold(self, answer: str) -> Reading:
        """All accepted plans: a JSON (or Python) list of texts, or one plan as plain text.

        SayCan's lists hold a few plans that break off in the middle; strict mode accepts none of those.
        """
        texts = accepted(answer)
        plans = [self.read_strict(text).answer if self.mode == "strict" else text.strip() for text in texts]
        whole = dict.fromkeys(plan for plan in plans if plan)
        return Reading(SEPARATOR.join(whole) or None, "plans" if whole else "it holds no finished plan")

    def same(self, answer: str, gold: str) -> bool:
        """Whether a plan is among the accepted ones."""
        return answer in gold.split(SEPARATOR) or (self.mode == "paper" and answer == MALFORMED)


def accepted(answer: str) -> list[str]:
    """The texts in a gold answer: the items of a JSON or Python list, else the whole text; none if it is damaged."""
    if not answer.lstrip().startswith("["):
        return [answer]
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(answer.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return [str(item) for item in found] if isinstance(found, list) else []
    return []
