"""Where an archive should hold a file and holds a folder or a pipe, both readers say so and end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from given_archive import exported
from given_service import api
from ledger import errors
from ledger.archive.reading import Archive
from ledger.verifier.report import Outcome
from ledger.verifier.verify import Options, verify

NAMES = ("manifest.json", "events/000000000001.ndjson", "log/checkpoint")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("odd")
    with api(folder / "live") as client:
        assert client.submit().is_success
        exported(client.service.settings, folder / "archive")
        yield folder / "archive"


@pytest.mark.parametrize("put", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file_is_refused(
    whole: Path, tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    archive = Path(shutil.copytree(whole, tmp_path / "archive"))
    (archive / name).unlink()
    put(archive / name)
    with pytest.raises(errors.BrokenArchive, match="is not a plain file"):
        Archive.open(archive).check()
    report = verify(str(archive), Options())
    assert report.outcome is not Outcome.VERIFIED
    assert report.unchecked is not None
    assert "plain file" in report.unchecked
