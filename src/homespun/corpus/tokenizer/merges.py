"""Parity-aware byte pair encoding: the next merge is for the language that is worst off (Foroutan et al. 2025).

arXiv:2508.04796. Plain BPE merges the pair that is most frequent in the whole corpus, and so serves whoever wrote most.
Here each step (section 3) asks which language needs most tokens for the same lines of a parallel development text,
and merges the pair that is most frequent in *that language's* training text, everywhere. Variants of the paper: the
first ``global_merges`` steps are plain BPE (hybrid); and no language may be chosen more than ``alpha`` times its even
share of the last ``window`` steps, so that one which its merges don't help cannot hold up all others (moving window).

Where we differ: cost is tokens per line (the paper's unit for a parallel text); a language whose pairs have run out is
passed over; ties go to the smaller pair of ids, as in the library ``tokenizers``, so that with one language the list of
merges is the library's.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from homespun.corpus.tokenizer.files import Bpe, Merge
from homespun.corpus.tokenizer.symbols import MASK, SHIFT, Symbols, Words
from homespun.errors import ConfigError, DataError

Advance = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Parity(Bpe):
    """What a parity-aware tokenizer is told."""

    global_merges: int = 0
    """Merges of the whole corpus before the first that is for a language (the paper's hybrid variant)."""
    window: int = 0
    """Steps that are looked back on (the paper's moving window; its code says 100); 0: none."""
    alpha: float = 2.0
    """How many times its even share of the window a language may have."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_merges < 0 or self.window < 0:
            raise ConfigError(f"{min(self.global_merges, self.window)}", "global_merges, window", "0 or more")
        if not self.alpha >= 1:
            raise ConfigError(f"{self.alpha}", "alpha", "at least 1: below it nobody could be chosen")


class Merges(NamedTuple):
    """What was learnt."""

    merges: list[Merge]
    chosen: dict[str, int]
    """How many merges were for each language; those of the whole corpus are under an empty name."""


def learn(
    languages: Mapping[str, Words],
    alphabet: Sequence[str],
    size: int,
    settings: Parity,
    *,
    forbidden: Collection[str] = (),
    advance: Advance | None = None,
) -> Merges:
    """The merges, in order.

    Args:
        languages: Words of each.
        alphabet: Characters in the order of their ids.
        size: Tokens to reach, the alphabet included.
        settings: Variant.
        forbidden: Tokens that no merge may spell.
        advance: Told how many tokens there are, and of how many.

    Raises:
        DataError: a word holds a character that the alphabet lacks, or no language can be compared.
    """
    names = sorted(languages)
    text = Symbols([languages[name] for name in names], alphabet)
    vocab = _Vocabulary(alphabet, forbidden)
    tell = advance or _silent
    chosen: Counter[str] = Counter()
    text.group([0] * len(names))
    while len(vocab) < size and chosen[""] < settings.global_merges:
        pair = text.best(0, settings.min_frequency, vocab.allows)
        if pair is None:
            return Merges(vocab.merges, dict(chosen))
        text.merge(pair, vocab.add(pair))
        chosen[""] += 1
        tell(len(vocab), size)
    if len(vocab) >= size:
        return Merges(vocab.merges, dict(chosen))
    lines = [languages[name].lines for name in names]
    waiting = {at for at, count in enumerate(lines) if count}
    if not waiting:
        raise DataError("no language has development lines", "parity", "a parallel table with lang, line and text")
    text.group(range(len(names)))
    turns = _Turns(len(waiting), settings)
    while len(vocab) < size and waiting:
        at = max(turns.allowed(waiting), key=lambda at: (text.tokens[at] / lines[at], -at))
        pair = text.best(at, settings.min_frequency, vocab.allows)
        if pair is None:
            waiting.discard(at)
            continue
        text.merge(pair, vocab.add(pair))
        turns.took(at)
        chosen[names[at]] += 1
        tell(len(vocab), size)
    return Merges(vocab.merges, dict(chosen))


def _silent(done: int, total: int) -> None:
    pass


class _Vocabulary:
    """Tokens by id; two merges may spell the same one."""

    def __init__(self, alphabet: Sequence[str], forbidden: Collection[str]) -> None:
        self.tokens = list(alphabet)
        self.ids = {token: at for at, token in enumerate(alphabet)}
        self.merges: list[Merge] = []
        self.forbidden = frozenset(forbidden)

    def __len__(self) -> int:
        return len(self.tokens)

    def parts(self, pair: int) -> Merge:
        return self.tokens[pair >> SHIFT], self.tokens[pair & MASK]

    def allows(self, pair: int) -> bool:
        left, right = self.parts(pair)
        return left + right not in self.forbidden

    def add(self, pair: int) -> int:
        left, right = self.parts(pair)
        self.merges.append((left, right))
        new = self.ids.setdefault(left + right, len(self.tokens))
        if new == len(self.tokens):
            self.tokens.append(left + right)
        return new


class _Turns:
    """Who was chosen in the last steps: a window, this step included."""

    def __init__(self, count: int, settings: Parity) -> None:
        self.recent: deque[int] = deque()
        self.times: Counter[int] = Counter()
        self.window = settings.window
        self.most = settings.alpha * settings.window / count

    def allowed(self, waiting: set[int]) -> set[int]:
        if not self.window:
            return waiting
        return {at for at in waiting if self.times[at] + 1 <= self.most} or waiting

    def took(self, at: int) -> None:
        if not self.window:
            return
        self.recent.append(at)
        self.times[at] += 1
        if len(self.recent) == self.window:
            self.times[self.recent.popleft()] -= 1
