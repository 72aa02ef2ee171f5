"""Rules about licences from a TOML file.

allow = ["CC0-1.0", "CC-BY-4.0"]       # instead of the default
also_allow = ["MPL-2.0"]               # besides it
deny = ["*-NC-*"]
providers = ["reddit.com"]             # instead of the default
named_only = false

[sources]
minutes = "LicenseRef-PublicDomain"    # looked into on 2026-03-01: records of a parliament
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from homespun.corpus.filters.licence import PERMISSIVE, SHARE_ALIKE, Licence
from homespun.errors import DataError

Name = Annotated[str, Field(min_length=1, max_length=500)]


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    allow: list[Name] = list(PERMISSIVE)
    also_allow: list[Name] = []
    deny: list[Name] = []
    providers: list[Name] = list(SHARE_ALIKE)
    named_only: bool = False
    sources: dict[Name, Name] = {}


def read(path: Path) -> Licence:
    """The rules of a file.

    Args:
        path: A TOML file; see above.

    Raises:
        DataError: it cannot be read, or holds what is no rule.
        ConfigError: a source's expression is none.
    """
    try:
        rules = _Rules.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"cannot be read: {error}", str(path), "a TOML file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{where}: {first['msg']}", str(path), ", ".join(_Rules.model_fields)) from error
    return Licence(
        allow=(*rules.allow, *rules.also_allow),
        deny=tuple(rules.deny),
        sources=tuple(rules.sources.items()),
        providers=tuple(rules.providers),
        named_only=rules.named_only,
    )
