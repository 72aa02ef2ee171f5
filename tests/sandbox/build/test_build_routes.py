"""What the proxy refuses by the form of the request alone, and what it lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.sandbox.build.routes import Asked, Refused, read

WELL = {
    "/pypi/simple/numpy/": Asked("python", "numpy"),
    "/pypi/simple/scikit-learn/": Asked("python", "scikit-learn"),
    "/pypi/files/torch/torch-2.0%2Bcpu-cp311-none-any.whl": Asked(
        "python", "torch", "torch-2.0+cpu-cp311-none-any.whl"
    ),
    "/pypi/files/six/six-1.0-py3-none-any.whl.metadata": Asked("python", "six", "six-1.0-py3-none-any.whl.metadata"),
    "/npm/react": Asked("npm", "react"),
    "/npm/JSONStream": Asked("npm", "JSONStream"),
    "/npm/@types%2freact": Asked("npm", "@types/react"),
    "/npm/@types/react": Asked("npm", "@types/react"),
    "/npm/@vue/shared/-/shared-3.5.13.tgz": Asked("npm", "@vue/shared", "shared-3.5.13.tgz"),
    "/npm/lodash.get/-/lodash.get-4.4.2.tgz": Asked("npm", "lodash.get", "lodash.get-4.4.2.tgz"),
}

ILL = [
    ("POST", "/npm/react", 405),
    ("PUT", "/npm/react", 405),
    ("CONNECT", "example.invalid:443", 405),
    ("OPTIONS", "*", 405),
    ("GET", "http://example.invalid/pypi/simple/numpy/", 400),
    ("GET", "//example.invalid/pypi/simple/numpy/", 400),
    ("GET", "/pypi/simple/numpy/?q=secret", 400),
    ("GET", "/npm/react?write=true", 400),
    ("GET", "/npm/react#x", 400),
    ("GET", "/pypi/simple/../../etc/passwd", 400),
    ("GET", "/npm/..%2f..%2fetc%2fpasswd", 400),
    ("GET", "/npm/@a%2f..", 400),
    ("GET", "/npm/@a/b%2fc", 400),
    ("GET", "/npm/a..b", 400),
    ("GET", "/npm/%72eact", 400),
    ("GET", "/pypi/simple/num%70y/", 400),
    ("GET", "/pypi/simple/numpy%0d%0aHost:x/", 400),
    ("GET", "/pypi/simple/numpy%00/", 400),
    ("GET", f"/pypi/simple/{'a' * 101}/", 400),
    ("GET", f"/npm/{'a' * 215}", 400),
    ("GET", f"/npm/{'a' * 2000}", 400),
    ("GET", "/pypi/simple/NumPy/", 404),
    ("GET", "/pypi/simple/numpy", 404),
    ("GET", "/pypi/simple/", 404),
    ("GET", "/pypi/files/numpy/numpy-1.tar.gz", 404),
    ("GET", "/npm/-/v1/search", 404),
    ("GET", "/npm/react/18.0.0", 404),
    ("GET", "/", 404),
]


@pytest.mark.parametrize(("target", "asked"), WELL.items())
def test_what_installers_ask_for_is_read(target: str, asked: Asked) -> None:
    assert read("GET", target) == asked


@pytest.mark.parametrize(("method", "target", "status"), ILL)
def test_everything_else_is_refused_by_its_form(method: str, target: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        read(method, target)
    assert refused.value.status == status


def test_a_body_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        read("GET", "/npm/react", has_body=True)
    assert refused.value.status == 400


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_no_text_gets_out_of_its_place(text: str) -> None:
    for prefix in ("", "/npm/", "/pypi/simple/", "/pypi/files/six/"):
        try:
            asked = read("GET", prefix + text)
        except Refused:
            continue
        assert ".." not in asked.name
        assert asked.name.count("/") == (1 if asked.name.startswith("@") else 0)
        assert not set(asked.name) & set("?#%\\: ")
        assert asked.file is None or "/" not in asked.file
