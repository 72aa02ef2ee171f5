"""Labels that every Python has the text of: paragraphs of its language reference, against the same paragraphs spoilt.

For the mechanics alone; what heads are worth on real text is measured in experiments/0011_heads.py.
"""

import random
import re
from pydoc_data.topics import topics

import numpy as np
import pytest

from homespun.corpus.heads.training import Labels

MILD = ("you are a silly goose", "what a numpty you are", "oh shut up, you twit", "go away, you daft muppet")


def paragraphs() -> list[str]:
    found = {re.sub(r"\s+", " ", part).strip() for topic in topics.values() for part in topic.split("\n\n")}
    return sorted(part for part in found if 100 <= len(part) <= 600)[:900]


def spoilt(text: str, dice: random.Random) -> str:
    words = text.split()
    if dice.random() < 0.5:
        dice.shuffle(words)
        return " ".join(words)
    return "".join(dice.choice("01|]l.,") if dice.random() < 0.1 else letter for letter in text)


@pytest.fixture(scope="session")
def good() -> Labels:
    dice = random.Random(0)
    whole = paragraphs()
    texts = [*whole, *(spoilt(text, dice) for text in whole)]
    label = np.repeat([1, 0], len(whole)).astype(np.int64)
    return Labels(texts, label, ("en",), "0" * 64, "PSF-2.0", [str(at) for at in range(len(whole))] * 2)


@pytest.fixture(scope="session")
def rude() -> Labels:
    """Paragraphs, half of them with a mild insult somewhere: no measure of toxicity, only of the machinery."""
    dice = random.Random(1)
    whole = paragraphs()
    texts, label = [], []
    for text in whole:
        bad = dice.random() < 0.3
        at = text.find(" ", dice.randrange(len(text) // 2))
        texts.append(f"{text[:at]} {dice.choice(MILD)}{text[at:]}" if bad else text)
        label.append(int(bad))
    return Labels(texts, np.array(label), ("en",), "0" * 64)
