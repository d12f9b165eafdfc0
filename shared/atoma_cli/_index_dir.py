"""Where an index is kept, what it was made with, and what can be wrong with it.

Everything here is known before anything is sent.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from ._console import CommandError, legible

__all__ = ["Maker", "check", "damaged", "default_directory", "prepare", "unwritable"]

_SETTINGS = "index.json"

# With the digest, and four bytes each, they stay below the 255 bytes of a file's name.
_NAME_CHARACTERS = 60
_WRITABLE_BY_OTHERS = 0o022


@dataclass(frozen=True, slots=True)
class Maker:
    """What makes an index; no other framework or model can use it.

    They would not find each other's records, nor compare each other's vectors.
    """

    framework: str
    embedding_model: str


@dataclass(frozen=True, slots=True)
class _Settings:
    maker: Maker
    dimensions: int


def default_directory(folder: Path, framework: str) -> Path:
    """Return where the index of `folder` is kept unless the user says otherwise.

    Not inside the folder: it may come from somebody else, and so would an index in it,
    which runs their code when opened.
    """
    place = folder.resolve()
    digest = hashlib.blake2b(os.fsencode(place), digest_size=6).hexdigest()
    name = legible(place.name)[:_NAME_CHARACTERS]
    home = Path(typer.get_app_dir("atoma"), "indexes")
    return home / framework / f"{name}-{digest}"


def check(directory: Path, maker: Maker) -> None:
    """Refuse what cannot be used, before anything is sent.

    Raises:
        CommandError: It was made with another framework or model, is damaged, or is in
            the hands of another user.
    """
    settings = _read_settings(directory)
    if settings is None or settings.maker == maker:
        return
    made, wanted = settings.maker, maker
    if made.framework != wanted.framework:
        why = f"was made with {made.framework}, not {wanted.framework}"
    else:
        why = (
            f"was made with the embedding model {made.embedding_model}, "
            f"not {wanted.embedding_model}"
        )
    raise _mismatch(directory, why)


def prepare(directory: Path, maker: Maker, dimensions: int) -> None:
    """Make the directory of a new index, or check that an old one fits.

    Raises:
        CommandError: It was made with something else, holds vectors of another length,
            or cannot be written.
    """
    check(directory, maker)
    settings = _read_settings(directory)
    if settings is None:
        try:
            _write_settings(directory, _Settings(maker, dimensions))
        except OSError as error:
            raise unwritable(directory, error.strerror) from None
    elif settings.dimensions != dimensions:
        raise _mismatch(
            directory,
            f"holds vectors of {settings.dimensions} dimensions, and "
            f"{maker.embedding_model} gives {dimensions} here",
        )


def _read_settings(directory: Path) -> _Settings | None:
    _check_owner(directory)
    try:
        text = (directory / _SETTINGS).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unwritable(directory, error.strerror) from None
    except ValueError:
        raise damaged(directory) from None
    match _parsed(text):
        case {
            "framework": str(framework),
            "embedding_model": str(model),
            "dimensions": int(dimensions),
        }:
            return _Settings(Maker(framework, model), dimensions)
    raise damaged(directory)


def _check_owner(directory: Path) -> None:
    """Refuse an index that others can change: it holds pickles, which run code."""
    if sys.platform == "win32":
        return  # it has access lists, and these numbers say nothing
    try:
        found = directory.stat()
    except OSError:
        return  # the settings cannot be read either, and that says why
    if found.st_uid != os.geteuid():
        why = "belongs to another user"
    elif found.st_mode & _WRITABLE_BY_OTHERS and (directory / _SETTINGS).exists():
        why = "can be changed by other users"
    else:
        return
    raise CommandError(
        f"The index in {directory} {why}, who could run code here.",
        "Name a directory of your own with --index-dir.",
    )


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _write_settings(directory: Path, settings: _Settings) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = directory / f"{_SETTINGS}.new"
    if {*directory.iterdir()} - {unfinished}:
        raise CommandError(
            f"{directory} holds something else than an index.",
            "Name a new or an empty directory with --index-dir.",
        )
    directory.chmod(0o700)  # it may have been there before
    written = {**asdict(settings.maker), "dimensions": settings.dimensions}
    unfinished.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(directory / _SETTINGS)
    (directory / ".gitignore").write_text("*\n", encoding="utf-8")


def _mismatch(directory: Path, why: str) -> CommandError:
    return CommandError(
        f"The index in {directory} {why}.",
        f"Delete {directory} to build it again, or keep both with --index-dir.",
    )


def damaged(directory: Path) -> CommandError:
    """Say that the index must be built again."""
    return CommandError(
        f"The index in {directory} cannot be read.",
        f"Delete {directory} and ask again: it is built from the folder.",
    )


def unwritable(directory: Path, reason: str | None) -> CommandError:
    """Say why nothing can be stored; `reason` comes from the system or SQLite."""
    return CommandError(
        f"The index in {directory} cannot be written: {reason}.",
        "Make room and check who may write there, or choose another --index-dir.",
    )
