"""Forks a child per line of standard input that plays a run, and kills it when the line says so.

Not a test: `test_kill` starts it. A child writes down what leaves the clients before it leaves, in a file of
which a killed process loses nothing. Points at which a child may kill itself: before and after each begin and
end of a transaction, each charge, each file that is written or renamed, and on both sides of the door to the
server.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import opacus  # noqa: F401 - so that no child waits for it

from securefl import building
from securefl import config as configuration
from securefl import run as runs
from securefl import run_directory as folder
from securefl.errors import LedgerError, RunDirectoryError
from securefl.federation import client
from securefl.federation.client import Answers, Party
from securefl.guarantee import settle
from securefl.privacy import database, ledger
from securefl.secagg import split, step_of
from securefl.transport import in_process

CONFIG, LOG = configuration.load(sys.argv[1]), Path(sys.argv[2])
POLL_SECONDS = 0.0005
NO_SPACE = 3
"""Exit code of a child that was refused space and said so in a typed error."""


class Points:
    """Counts the points that a child passes, and kills it at the one that its order names."""

    def __init__(self) -> None:
        self.passed = 0
        self.fatal = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: object, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
        inner = getattr(owner, name)

        def outer(*arguments: object, **words: object) -> object:
            if not when(*arguments):
                return inner(*arguments, **words)
            self()
            found = inner(*arguments, **words)
            self()
            return found

        setattr(owner, name, outer)


POINT = Points()


def answer_all(parties: Mapping[int, Party], requests: Mapping[int, bytes]) -> Answers:
    answers = client.answer_all(parties, requests)
    POINT()
    lines = []
    for who, reply in answers.replies.items():
        # Of two steps in one envelope the second may have been refused.
        for request, part in zip(split(requests[who]), split(reply), strict=False):
            step = step_of(request)
            digest = hashlib.sha256(part).hexdigest()
            line = [who, step.context.hex(), int(step.step), step.round, step.attempt, digest]
            lines.append(json.dumps(line) + "\n")
    with LOG.open("a", encoding="utf-8") as file:
        file.write("".join(lines))
    POINT()
    return answers


def instrument() -> None:
    POINT.around(
        database.Database, "rows", lambda _, text, *__: text.startswith(("BEGIN", "COMMIT", "ROLLBACK"))
    )
    POINT.around(database, "_place")
    POINT.around(ledger.Ledger, "intend")
    for name in ("write_atomically", "append_line", "truncate_lines"):
        POINT.around(folder, name)
    POINT.around(Path, "replace")
    in_process.answer_all = answer_all


def play(out: Path) -> None:
    if (out / folder.CONFIG).exists():
        runs.resume(out)
    else:
        runs.run(CONFIG, out)


def child(out: Path, fatal: int, file_bytes: int, tell: int) -> int:
    POINT.fatal = fatal
    if file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    try:
        play(out)
    except (LedgerError, RunDirectoryError) as error:
        print(error, file=sys.stderr)
        return NO_SPACE
    except BaseException:
        traceback.print_exc()
        return 1
    os.write(tell, str(POINT.passed).encode())
    return 0


def raise_one(order: Mapping[str, object]) -> dict[str, float]:
    listen, tell = os.pipe()
    born = os.fork()
    if born == 0:
        point, file_bytes = int(str(order["point"])), int(str(order["file_bytes"]))
        os._exit(child(Path(str(order["out"])), point, file_bytes, tell))
    os.close(tell)
    while (ended := os.wait4(born, os.WNOHANG))[0] == 0:
        if time.clock_gettime(cpu_clock(born)) > float(str(order["seconds"])):
            os.kill(born, signal.SIGKILL)
            ended = os.wait4(born, 0)
            break
        time.sleep(POLL_SECONDS)
    said = os.read(listen, 64)
    os.close(listen)
    return {
        "signal": os.WTERMSIG(ended[1]) if os.WIFSIGNALED(ended[1]) else 0,
        "exit": os.WEXITSTATUS(ended[1]) if os.WIFEXITED(ended[1]) else 0,
        "points": int(said or 0),
        "seconds": ended[2].ru_utime + ended[2].ru_stime,
    }


def cpu_clock(process: int) -> int:
    """The clock of another process's CPU time, as Linux numbers it (clock_getcpuclockid): a busy machine that
    starves the child does not move the moment of its death.
    """
    return (~process << 3) | 2


def main() -> None:
    instrument()
    settle(CONFIG, building.load_dataset(CONFIG))  # the children inherit the noise that it solves for
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(raise_one(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
