"""What is left out of an export, what is taken out of it, and the checksums."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.arena.records import Duel, Judgement, Message, Run, Side
from homespun.arena.records.filters import Filters, Sieve
from homespun.arena.records.pii import iban, luhn, scrub, scrubbed


def duel(**more: object) -> Duel:
    talk = (Message(role="user", text="q"), Message(role="assistant", text="r"))
    side = Side(model="x", conversation="c", messages=talk, runs=(Run(),))
    fields = {"session": "s", "a": side, "b": side.model_copy(update={"model": "y"}), "vote": Judgement(winner="a")}
    return Duel.model_validate({**fields, **more})


def without(**more: object) -> Side:
    return duel().a.model_copy(update=more)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (duel(), None),
        (duel(b=None), "one side only"),
        (duel(mode="named"), "mode named"),
        (duel(vote=None), "no vote"),
        (duel(vote=Judgement(winner="a", void=True)), "void"),
        (duel(b=without(messages=duel().a.messages[:1])), "too few messages"),
        (duel(b=without(runs=())), "not executed"),
    ],
)
def test_the_filters_of_the_paper(one: Duel, reason: str | None) -> None:
    assert Sieve().why_not(one) == reason


def test_settings_and_counts() -> None:
    sieve = Sieve(Filters(min_messages=4))
    assert list(sieve.keep([duel()])) == []
    sieve = Sieve()
    assert (
        len(list(sieve.keep([duel(), duel(session="t"), duel(vote=Judgement(winner="b")), duel(mode="direct")]))) == 2
    )
    assert (sieve.kept, sieve.dropped) == (2, Counter({"duplicate": 1, "mode direct": 1}))
    lenient = Sieve(Filters(modes=("named",), executed=False, void=True, duplicates=True, min_messages=0))
    bare = duel(mode="named", a=without(runs=(), messages=()), vote=Judgement(winner="a", void=True))
    assert len(list(lenient.keep([bare, bare]))) == 2


FOUND = [
    ("write to jane.doe+x@mail.co.uk now", "write to [email] now"),
    ("host 8.8.8.8, port", "host [ip], port"),
    ("[2606:4700:4700::1111]:80", "[[ip]]:80"),
    ("IBAN DE89 3704 0044 0532 0130 00 ok", "IBAN [iban] ok"),
    ("GB82WEST12345698765432", "[iban]"),
    ("card 4111 1111 1111 1111.", "card [card]."),
    ("5500-0055-5555-5559", "[card]"),
    ("call +41 44 668 18 00 or", "call [phone] or"),
    ("call (212) 555-0123", "call [phone]"),
    ("key = 'sk-proj-abcdefghijklmnopqrstuvwx'", "key = '[key]'"),
    ("AKIAIOSFODNN7EXAMPLE", "[key]"),
    ("ghp_" + "a1" * 18, "[key]"),
]
LEFT = [
    "user@example.com and a@host.test",
    "127.0.0.1 0.0.0.0 192.168.1.7 10.0.0.1 ::1 192.0.2.1",
    "version 1.2.3.4.5 and 999.1.1.1",
    "4111 1111 1111 1112",
    "DE89 3704 0044 0532 0130 01",
    "x = 1234567890123; pi = 3.14159265358979",
    "0000000000000000",
    "std::vector<int> a::b::c",
    "2025-01-01 12:30:45",
    "sk-short and task-list-with-many-words-in-it",
    "@media (max-width: 600px) { a:hover { color: #fff } }",
    "np.array([1, 2, 3]) # 100-200-300",
]


@pytest.mark.parametrize(("text", "clean"), FOUND)
def test_what_is_found(text: str, clean: str) -> None:
    counts: Counter[str] = Counter()
    assert scrub(text, counts) == clean
    assert counts.total() == 1


@pytest.mark.parametrize("text", LEFT)
def test_what_is_left(text: str) -> None:
    assert scrub(text) == text


@given(st.text(max_size=80), st.sampled_from(FOUND))
def test_once_is_enough(text: str, personal: tuple[str, str]) -> None:
    clean = scrub(f"{text} {personal[0]} {text}")
    assert scrub(clean) == clean


@given(st.text("0123456789", min_size=12, max_size=18))
def test_luhn_finds_every_wrong_digit(digits: str) -> None:
    whole = next(digits + check for check in "0123456789" if luhn(digits + check))
    for place, digit in enumerate(whole):
        for other in set("0123456789") - {digit}:
            assert not luhn(whole[:place] + other + whole[place + 1 :])


@given(st.text("0123456789", min_size=18, max_size=18))
def test_iban_finds_every_wrong_digit(body: str) -> None:
    check = 98 - int(f"{body}131400") % 97
    whole = f"DE{check:02d}{body}"
    assert iban(whole)
    for place in range(4, len(whole)):
        assert not iban(whole[:place] + str((int(whole[place]) + 1) % 10) + whole[place + 1 :])


def test_everything_in_a_row_but_pictures() -> None:
    row = {"a": ["x@mail.com", {"b": "8.8.8.8"}], "n": 3, "screenshot_base64": "x@mail.com"}
    assert scrubbed(row) == {"a": ["[email]", {"b": "[ip]"}], "n": 3, "screenshot_base64": "x@mail.com"}
