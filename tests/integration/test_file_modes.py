"""Nobody else on the machine gets at the database: who could read it could stop its writers, too."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ops_service.commands.check import findings
from ops_service.commands.prepared_database import prepare
from projections.database.database import Database
from projections.database.sqlite_file import loose_modes
from tests.running_ops import settings_for


def modes_in(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.iterdir())}


@pytest.mark.parametrize(
    "command", [("ops-service", "migrate"), ("ops-rebuild-projections", "--session", "s1")], ids=" ".join
)
def test_what_a_command_makes_is_for_its_user_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = tmp_path / "var"
    environment = {**os.environ, "OPS_DATABASE_URL": f"sqlite:///{folder}/ops.db"}
    if command[0] != "ops-service":
        with Database(environment["OPS_DATABASE_URL"]) as database:
            prepare(database)
        (folder / "ops.db").chmod(0o600)
    program = Path(sys.executable).with_name(command[0])
    subprocess.run(
        [program, *command[1:]], env=environment, umask=0o022, capture_output=True, timeout=60, check=False
    )
    assert modes_in(folder)["var"] == "0o700"
    assert set(modes_in(folder).values()) == {"0o700", "0o600"}, modes_in(folder)


def test_a_loose_database_is_told_and_how_to_mend_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "the var"
    url = f"sqlite:///{folder}/ops.db"
    with Database(url) as database:
        prepare(database)
        folder.chmod(0o755)
        (folder / "ops.db").chmod(0o644)
        capsys.readouterr()
        prepare(database)
    [told] = [line for line in capsys.readouterr().err.splitlines() if "Other users" in line]
    assert told in findings(settings_for(url))
    subprocess.run(told.split("`")[1], shell=True, check=True)
    assert loose_modes(folder / "ops.db") == []
    folder.chmod(0o777)
    [told] = loose_modes(folder / "ops.db")
    subprocess.run(["sh", "-c", f"cd / && {told.split('`')[1]}"], check=True)
    assert loose_modes(folder / "ops.db") == []


def test_a_folder_that_others_cannot_enter_hides_what_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir(mode=0o700)
    (folder / "ops.db").touch(mode=0o644)
    assert loose_modes(folder / "ops.db") == []
    folder.chmod(0o750)
    (folder / "ops.db").chmod(0o604)
    assert loose_modes(folder / "ops.db") == []  # its group may enter, and may not read
    (folder / "ops.db").chmod(0o640)
    assert len(loose_modes(folder / "ops.db")) == 1
