"""Commands as processes that begin at once: forked from one that has imported what they need.

As in production, a command is a process with files, environment, folder and exit code of its own; only the
second of CPU that Python and the imports take is spent once. Run as a module, this is the process that forks.
"""

import atexit
import gc
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Timer
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS: Final = 120
"""Far more than any command takes: what hangs is killed."""

_STREAMS: Final = ("stdin", "stdout", "stderr")
_one_at_a_time = Lock()


def run(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """What became of `python -m module arguments`, run in that folder with that environment and no other."""
    with TemporaryDirectory() as scratch:
        files = {name: Path(scratch) / name for name in _STREAMS}
        files["stdin"].write_text(stdin)
        request = {
            "module": module,
            "arguments": [module, *arguments],
            "environment": dict(environment),
            "folder": str(folder),
            "files": {name: str(file) for name, file in files.items()},
        }
        code = _code_of(request)
        told = [files[name].read_text() for name in ("stdout", "stderr")]
    return subprocess.CompletedProcess([module, *arguments], code, *told)


def _code_of(request: dict[str, Any]) -> int:
    with _one_at_a_time:
        forking = _forking()
        assert forking.stdin
        assert forking.stdout
        forking.stdin.write(json.dumps(request) + "\n")
        forking.stdin.flush()
        answer = forking.stdout.readline()
    assert answer, f"no process to fork from: it ended with {forking.wait()}"
    return int(answer)


@cache
def _forking() -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    atexit.register(process.communicate)
    return process


def _import_what_commands_need() -> None:
    for module in ("ops_service.commands.cli", "projections.rebuild.cli"):
        import_module(module)
    gc.freeze()
    os.cpu_count = lambda: 1  # on one core a rebuild has no helpers, each of them a new interpreter


def _fork_for_each_request() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
        too_long = Timer(SECONDS, os.kill, (child, 9))
        too_long.start()
        _, status = os.waitpid(child, 0)
        too_long.cancel()
        too_long.join()
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(
    module: str, arguments: list[str], environment: dict[str, str], folder: str, files: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, name in enumerate(_STREAMS):
        opened = os.open(files[name], os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
        setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    sys.argv[:] = arguments
    # The last of this process: falling off its end, it exits as Python does, with what was registered for it.
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    _import_what_commands_need()
    _fork_for_each_request()
