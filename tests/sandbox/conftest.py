from collections.abc import Iterator

import pytest

from homespun.sandbox import Limits, Pool, Program


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """One warm worker for all tests: what one test leaves behind would show in the next."""
    with Pool(
        workers=1, limits=Limits(seconds=2, cpu_seconds=1, memory_mb=256, file_mb=2, output_bytes=20_000)
    ) as ours:
        ours.run(Program(id="warm", source="answer = 1"))  # the worker stands before any test takes a protection away
        yield ours
