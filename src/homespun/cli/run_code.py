"""`homespun run-code`: a model's reply or a source file goes in, what the program did comes out."""

import asyncio
import json
import re
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from homespun.cli.output import Dry, Json, Runs, say, show_json
from homespun.errors import ConfigError, DataError

if TYPE_CHECKING:
    from homespun.sandbox.reply import Found
    from homespun.sandbox.runner import Played

Environment = Literal["auto", "react", "vue", "core_web", "gradio", "streamlit", "pygame", "mermaid", "interpreter"]
Flag = Parameter(negative=())
MAX_BYTES = 1 << 20


def run_code(
    file: Annotated[Path, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    environment: Environment = "auto",
    timeout: float = 60.0,
    memory: int = 1024,
    jail: Literal["bubblewrap", "gvisor"] = "bubblewrap",
    look: Annotated[bool, Parameter(negative="--no-look")] = True,
    keep: Annotated[bool, Flag] = False,
    check: Annotated[bool, Flag] = False,
    runs: Runs = None,
    dry: Dry = False,
    as_json: Json = False,
) -> int:
    """Run a generated program in the sandbox, and show what came of it.

    Exit code 0 says that the program was run, whatever it did (with --check: and ended well); 1 that it could not be.

    Args:
        file: A model's reply (Markdown or text, the program is found in it) or a source file; - reads a reply from
            standard input.
        environment: Where it is to run; auto finds out.
        timeout: Seconds of wall clock; an app's page is shown for as long with --keep.
        memory: MiB that the program may use.
        jail: What isolates it: bubblewrap (namespaces and seccomp), or gvisor (a kernel of its own, slower).
        look: Whether a page is looked at by a browser for screenshots; --no-look is quicker.
        keep: Leave an app's page open, print its address, and wait for Ctrl-C.
        check: Exit with 1 unless the program ended well.
        runs: Folder of runs, where screenshots and figures are kept; default $HOMESPUN_RUNS, else ./runs.
        dry: Only read the file: say what would be run, where, with which packages.
        as_json: Print the Execution as one JSON object.
    """
    from homespun.sandbox.reply import NoProgram, read_reply, read_source

    if not 0.1 <= timeout <= 3600:
        raise ConfigError(f"{timeout:g} seconds", "--timeout", "0.1 to 3600")
    if not 64 <= memory <= 65_536:
        raise ConfigError(f"{memory} MiB", "--memory", "64 to 65536")
    text = _text(file)
    found = (
        read_reply(text, environment=environment)
        if str(file) == "-"
        else read_source(file.name, text, environment=environment)
    )
    if isinstance(found, NoProgram):
        raise DataError(
            f"no program in it: {found.reason}", str(file), "a fenced block with a language, or a source file"
        )
    if dry:
        show_json({"config": {"jail": jail, "timeout": timeout, "memory": memory}, **_about(found)})
        return 0
    folder = _folder(runs, file)
    return asyncio.run(_run(found, folder, timeout, memory, jail, look, keep, check, as_json))


async def _run(
    found: "Found",
    folder: Path,
    timeout: float,
    memory: int,
    jail: str,
    look: bool,
    keep: bool,
    check: bool,
    as_json: bool,
) -> int:
    from homespun.models.smollm2 import cache_folder
    from homespun.sandbox.jail.types import Bounds
    from homespun.sandbox.runner import open_runner

    bounds = Bounds(seconds=timeout, cpu_seconds=max(1, round(timeout)), memory_mb=memory)
    async with open_runner(jail=jail, cache=cache_folder() / "packages", look=look, bounds=bounds) as runner:
        played = await runner.run(found, run_id=f"run-{secrets.token_hex(4)}", on_log=_tell(as_json))
        row = {**_row(found, played), **_save(folder, played)}
        (folder / "execution.json").write_text(json.dumps(row, ensure_ascii=False, indent=1))
        show_json(row) if as_json else _show(row, folder)
        if keep and played.url is not None:
            say(f"open: {played.url} (Ctrl-C ends it)")
            try:
                await asyncio.sleep(timeout)
            except asyncio.CancelledError:
                say("closed")
    return 1 if played.execution.status == "unavailable" or (check and played.execution.status != "ok") else 0


def _tell(quiet: bool) -> Any:
    def tell(stream: str, text: str) -> None:
        if text and not quiet:
            say(text.rstrip())

    return tell


def _text(file: Path) -> str:
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if str(file) == "-" else _bytes(file)
    except OSError as error:
        raise DataError(error.strerror or "cannot be read", str(file), "a file with a reply or a program") from None
    if len(raw) > MAX_BYTES:
        raise DataError(f"more than {MAX_BYTES >> 20} MiB", str(file), "one program")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start}", str(file), "a text file") from None


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _folder(runs: Path | None, file: Path) -> Path:
    from homespun.runs.run import root_folder

    stem = re.sub(r"[^\w.-]+", "-", file.stem if str(file) != "-" else "reply")[:40].strip("-.") or "program"
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = root_folder(runs) / "run-code" / f"{stem}-{stamp}-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(f"cannot be made: {error.strerror}", str(folder), "--runs DIR") from None
    return folder


def _about(found: "Found") -> dict[str, Any]:
    return {
        "environment": found.environment,
        "language": found.language,
        "filename": found.filename,
        "dependencies": [item.model_dump(include={"kind", "name", "version"}) for item in found.dependencies],
        "reasons": found.reasons,
    }


def _row(found: "Found", played: "Played") -> dict[str, Any]:
    execution = played.execution
    return {
        "environment": execution.environment,
        "language": execution.language,
        "dependencies": _about(found)["dependencies"],
        "status": execution.status,
        "exit_code": execution.exit_code,
        "stdout": execution.stdout,
        "stderr": execution.stderr,
        "seconds": round(execution.seconds, 3),
        "files": list(execution.files),
        "notes": list(played.notes),
    }


def _save(folder: Path, played: "Played") -> dict[str, Any]:
    """Writes figures and screenshots; a look that failed stays in the list, as null with its reason."""
    pictures: list[str] = []
    for number, picture in enumerate(played.pictures):
        place = folder / f"figure-{number}.png"
        place.write_bytes(picture.png)
        pictures.append(str(place))
    shots: list[str | None] = []
    for number, shot in enumerate(played.shots):
        place = folder / f"screenshot-{number}.png"
        if shot.png is not None:
            place.write_bytes(shot.png)
        shots.append(str(place) if shot.png is not None else None)
    return {
        "pictures": pictures,
        "screenshots": shots,
        "blank": [shot.blank for shot in played.shots],
        "looks": [{"at": shot.at, "note": shot.note} for shot in played.shots],
    }


def _show(row: dict[str, Any], folder: Path) -> None:
    print(f"{row['environment']} · {row['language']} · {row['status']} in {row['seconds']:.2f} s", end="")
    print("" if row["exit_code"] is None else f" · exit code {row['exit_code']}")
    for name in ("stdout", "stderr"):
        if row[name].strip():
            print(f"\n{name}:\n{row[name].rstrip()}")
    places = [*row["pictures"], *(place for place in row["screenshots"] if place)]
    for place in places:
        print(f"picture: {place}")
    if not places:
        print(f"\nkept in {folder}")
