"""The command line: run, resume, check, budget, init, schema, report, evaluate, arena, verify, audit, ledger.

Rules kept here:
- Commands only translate: words into calls of the package, results and errors into text or JSON.
- What a command needs is imported inside it, so `securefl --help` and `securefl check` never wait for torch.
- Results go to stdout, progress and errors to stderr; with --json stdout holds one JSON value.
- Exit codes: 0 done, 1 the run failed, 2 bad input. A named error never shows a traceback.
"""

from securefl.cli.app import app, main

__all__ = ["app", "main"]
