"""A model that says what a script tells it to: replies, errors and delays by rule. An ordinary provider.

A script is JSON: a list of rules, the first that matches a prompt answers it:

    [{"match": "capital of France", "replies": ["Paris", "Lyon"]},
     {"status": 429, "error": "slow down", "retry_after": 1, "times": 2},
     {"replies": ["I don't know"]}]
"""

import re
from collections.abc import Sequence
from pathlib import Path

import anyio
from pydantic import Field, TypeAdapter, ValidationError

from homespun.errors import ConfigError
from homespun.models.base import estimated_tokens, failure, input_text, reply
from homespun.records import Cost, Finish, Prompt, Record, Sample
from homespun.runs.cost import Rates

RETRYABLE = (408, 409, 429)


class Rule(Record):
    """What to do with the prompts that match."""

    match: str = ""
    """Regular expression searched in the messages; the empty one matches every prompt."""
    strategy: str | None = None
    """Only prompts of this strategy."""
    replies: tuple[str, ...] = ("",)
    """Sample ``i`` gets reply ``i`` modulo their number; ``{prompt}`` stands for the last message."""
    finish: Finish = "stop"
    logprobs: tuple[float, ...] | None = None
    error: str | None = None
    """The call fails with this reason."""
    status: int | None = None
    """The HTTP status that the failure stands for; 408, 409, 429 and 5xx may be tried again."""
    retry_after: float | None = Field(default=None, ge=0)
    delay: float = Field(default=0.0, ge=0)
    """Seconds before the answer."""
    times: int | None = Field(default=None, ge=1)
    """The rule is used up after so many calls."""


BUILT_IN: dict[str, tuple[Rule, ...]] = {
    "echo": (Rule(replies=("{prompt}",)),),
    "failing": (Rule(error="scripted to fail", status=503),),
    "silent": (Rule(),),
}


class Scripted:
    """A model by rules. Costs count four characters as a token, at ``rates`` (free unless given)."""

    def __init__(self, rules: Sequence[Rule], *, name: str = "script", rates: Rates | None = None) -> None:
        self.name = f"scripted:{name}"
        self.calls = 0
        """How many calls were made."""
        self._rules, self._used = tuple(rules), [0] * len(rules)
        self._rates = rates or Rates(input=0, cached_input=0, output=0)

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Answers by the first rule that matches and is not used up."""
        self.calls += 1
        rule = self._rule(prompt)
        if rule is None:
            return [failure(prompt, self.name, index, "no rule of the script matches") for index in range(n)]
        if rule.delay:
            await anyio.sleep(rule.delay)
        return [self._row(rule, prompt, index) for index in range(n)]

    def worst_case(self, prompt: Prompt, n: int = 1) -> float:
        """Dollars of the dearest reply to every sample."""
        lengths = (estimated_tokens(_text(text, prompt)) for rule in self._rules for text in rule.replies)
        longest = max(lengths, default=0)
        return n * self._rates.dollars(estimated_tokens(input_text(prompt)), longest)

    def _rule(self, prompt: Prompt) -> Rule | None:
        text = input_text(prompt)
        for number, rule in enumerate(self._rules):
            if rule.times is not None and self._used[number] >= rule.times:
                continue
            if rule.strategy in (None, prompt.strategy) and re.search(rule.match, text):
                self._used[number] += 1
                return rule
        return None

    def _row(self, rule: Rule, prompt: Prompt, index: int) -> Sample:
        if rule.error is not None or rule.status is not None:
            may = rule.status is not None and (rule.status in RETRYABLE or rule.status >= 500)
            fields = {"status": rule.status, "retryable": may, "retry_after": rule.retry_after}
            return failure(prompt, self.name, index, rule.error or f"status {rule.status}", **fields)
        text = _text(rule.replies[index % len(rule.replies)], prompt)
        tokens_in, tokens_out = estimated_tokens(input_text(prompt)), estimated_tokens(text)
        dollars = self._rates.dollars(tokens_in, tokens_out)
        cost = Cost(input_tokens=tokens_in, output_tokens=tokens_out, dollars=dollars, seconds=rule.delay)
        return reply(prompt, self.name, index, text, finish=rule.finish, logprobs=rule.logprobs, cost=cost)


def _text(template: str, prompt: Prompt) -> str:
    return template.replace("{prompt}", prompt.messages[-1].content if prompt.messages else "")


def scripted(script: str) -> Scripted:
    """A scripted model from a file, or one of the built-in scripts (echo, failing, silent).

    Raises:
        ConfigError: no such script, or a file that holds none.
    """
    if script in BUILT_IN:
        return Scripted(BUILT_IN[script], name=script)
    path = Path(script)
    if not path.is_file():
        raise ConfigError(f"no script {script[:80]!r}", "scripted:", f"a JSON file, or {', '.join(BUILT_IN)}")
    try:
        rules = TypeAdapter(tuple[Rule, ...]).validate_json(path.read_bytes())
        for rule in rules:
            re.compile(rule.match)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"not a script: {where} {first['msg']}", str(path), "a JSON list of rules") from None
    except re.error as error:
        raise ConfigError(f"not a regular expression: {error}", str(path), "another match") from None
    return Scripted(rules, name=path.stem)
