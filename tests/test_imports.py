"""What may be imported without paying for, or trusting, a learning framework."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "opacus", "transformers", "peft", "flwr", "ray", "matplotlib")
PRIMITIVES = (
    "securefl.errors",
    "securefl.crypto",
    "securefl.encoding",
    "securefl.robust",
    "securefl.secagg",
    "securefl.privacy",
    "securefl.calls",
    "securefl.data",
    "securefl.data.dialogues",
    "securefl.agent",
    "securefl.config",
    "securefl.training.shapes",
)
REPORT_HEAVY = f"import sys; print([name for name in {HEAVY!r} if name in sys.modules])"


def heavy_modules_after(code: str) -> str:
    command = [sys.executable, "-c", f"{code}\n{REPORT_HEAVY}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("module", PRIMITIVES)
def test_a_primitive_imports_without_a_learning_framework(module: str) -> None:
    assert heavy_modules_after(f"import {module}") == "[]"


def test_the_package_itself_imports_without_a_learning_framework() -> None:
    assert heavy_modules_after("import securefl") == "[]"


def test_the_help_of_the_command_line_does_not_load_a_learning_framework() -> None:
    code = (
        "import sys\n"
        "from securefl.cli import main\n"
        "sys.argv = ['securefl', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
    )
    assert heavy_modules_after(code) == "[]"
