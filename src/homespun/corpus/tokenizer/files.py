"""A tokenizer as files: how text is cut before merging, a vocabulary from a list of merges, reading for documents."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.corpus.tokenizer.specials import (
    BEGIN,
    CHAT_TEMPLATE,
    CONTROL,
    END,
    MARKERS,
    NUM_SPECIAL,
    PAD,
    SPECIALS,
    UNKNOWN,
)
from homespun.errors import ConfigError, DataError
from homespun.runs.tables import atomic

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LEAD = r"[^\r\n\p{L}\p{M}\p{N}]?"
PATTERN = "|".join(
    (
        _LEAD + r"[\p{Lu}\p{Lt}]{0,32}[\p{Ll}\p{M}]{1,64}",  # cased scripts: capitals, then small letters
        _LEAD + r"[\p{Lu}\p{Lt}]{1,64}",  # capitals alone
        _LEAD + r"[\p{Lo}\p{Lm}\p{M}]{1,64}",  # scripts without case, never joined to those with
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{M}\p{N}]{1,32}[\r\n]{0,8}",
        r"\s{0,64}[\r\n]{1,64}",
        r"\s{1,64}(?!\S)",  # but the last space, which belongs to the word behind it
        r"\s{1,64}",
    )
)
"""Where text is cut before merging: in the manner of tekken (case, at most three digits, punctuation, white space).
Every repetition is bounded, so that a text of one endless word costs no more than another of its length."""
SMALLEST = NUM_SPECIAL + 256
"""A vocabulary without merges."""
LARGEST = 1 << 20

Merge = tuple[str, str]
"""Two tokens that become one, in the byte-level alphabet."""


@dataclass(frozen=True, kw_only=True)
class Bpe:
    """What every tokenizer of ours is told."""

    vocab: int = 131_072
    """Tokens, the special ones and the 256 bytes included; Apertus: 2^17 (systems page, section 2)."""
    nfc: bool = True
    """Compose characters first; then decoding gives the NFC of what was encoded, else the very text."""
    min_frequency: int = 2
    """A pair seen less often is not merged; the vocabulary may then stay smaller."""

    def __post_init__(self) -> None:
        if not SMALLEST <= self.vocab <= LARGEST:
            raise ConfigError(f"{self.vocab:,} tokens", "vocab", f"from {SMALLEST} to {LARGEST:,}")
        if self.min_frequency < 1:
            raise ConfigError(f"{self.min_frequency}", "min_frequency", "at least 1")


def alphabet() -> list[str]:
    """The 256 characters that stand for bytes, in the order of their ids."""
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def blank(settings: Bpe) -> "Tokenizer":
    """A tokenizer without a vocabulary: normalises and cuts as all of ours do."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    made = Tokenizer(models.BPE())
    if settings.nfc:
        made.normalizer = normalizers.NFC()
    cut = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    return made


def plain_text(text: str, settings: Bpe) -> str:
    """A training text as its tokenizer will see it: normalised, without markers."""
    if "-pii>" in text:
        for marker in MARKERS:
            text = text.replace(marker, " ")
    return unicodedata.normalize("NFC", text) if settings.nfc else text


def assembled(merges: Iterable[Merge], settings: Bpe) -> "Tokenizer":
    """A tokenizer from its merges, in order; special tokens and bytes come first.

    Raises:
        ConfigError: a merge joins what does not exist yet, or spells a special token.
    """
    from tokenizers import AddedToken, models, processors

    vocab = {token: at for at, token in enumerate((*SPECIALS, *alphabet()))}
    pairs: list[Merge] = []
    for left, right in merges:
        if left not in vocab or right not in vocab or left in SPECIALS or right in SPECIALS:
            raise ConfigError(f"merge {len(pairs)} joins a part that doesn't exist", repr((left, right)))
        if left + right in SPECIALS:
            raise ConfigError(f"merge {len(pairs)} spells a special token", repr((left, right)))
        vocab.setdefault(left + right, len(vocab))
        pairs.append((left, right))
    made = blank(settings)
    made.model = models.BPE(vocab=vocab, merges=pairs, unk_token=None)
    made.add_tokens([AddedToken(token, special=token in CONTROL, normalized=False) for token in SPECIALS])
    made.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, SPECIALS.index(BEGIN))]
    )
    return made


def save(tokenizer: "Tokenizer", folder: Path) -> Path:
    """Writes ``tokenizer.json`` and ``tokenizer_config.json``, as ``transformers`` reads them.

    Raises:
        DataError: the place cannot be written.
    """
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "additional_special_tokens": [token for token in CONTROL if token not in (UNKNOWN, BEGIN, END, PAD)],
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000_000,
        "chat_template": CHAT_TEMPLATE,
    }
    files = {
        "tokenizer.json": tokenizer.to_str(pretty=True) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2, ensure_ascii=False) + "\n",
    }
    try:
        for name, text in files.items():
            with atomic(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(error.strerror or "cannot be written", str(folder), "check the folder") from None
    return folder


def tokenizer_file(path: Path) -> Path:
    """``tokenizer.json`` of a folder, or the file itself.

    Raises:
        DataError: there is none.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise DataError("no tokenizer.json", str(path), "a folder that `homespun corpus tokenizer train` wrote")
    return file


def read(path: Path, kept: Sequence[str] = MARKERS) -> "Tokenizer":
    """A tokenizer for documents: markers are read from text, every other special token's letters stay letters.

    Args:
        path: A folder or a ``tokenizer.json``, ours or another's.
        kept: Special tokens that text may hold.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    from tokenizers import Tokenizer

    file = tokenizer_file(path)
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        for token in said.get("added_tokens", []):
            token["special"] = token["content"] not in kept
        made = Tokenizer.from_str(json.dumps(said))
    except Exception as error:  # the library raises bare exceptions
        first = (str(error).splitlines() or ["?"])[0][:200]
        raise DataError(f"cannot be read as a tokenizer: {first}", str(file), "a whole tokenizer.json") from None
    made.no_truncation()
    made.no_padding()
    made.encode_special_tokens = True
    return made
