"""The three ways to audit a run config, by name, and which unit each is for.

| method | unit | what is drawn |
|---|---|---|
| two-world | example, client | one release, again and again, with and without the record |
| one-run | example | all releases of one run, with canaries of which coins put half in |
| one-shot | client | sums in which all honest members are canaries |

Rules kept here: a method that does not fit the unit is refused with the reason and the nearest choice.

What this file does NOT do: draw anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from securefl.audit.canaries import one_run_audit
from securefl.audit.canary_clients import one_shot_audit
from securefl.audit.client import client_subject
from securefl.audit.example import example_subject
from securefl.audit.subject import Audit, Moved, audit
from securefl.config.messages import nearest
from securefl.crypto.randomness import Randomness
from securefl.errors import ConfigError
from securefl.guarantee import Terms

Sized = Literal["draws", "canaries"]


@dataclass(frozen=True)
class Method:
    """What is settled about a method.

    Attributes:
        units: that it is for.
        sized: what its size counts.
        size: the usual one.
        unfit: why it is for no other unit.
    """

    units: tuple[str, ...]
    sized: Sized
    size: int
    unfit: str = ""

    def sized_by(self, draws: int | None, canaries: int | None) -> int:
        """How large the audit is: what was said, or the usual.

        Raises:
            ConfigError: the number of something that the method has none of.
        """
        said: dict[Sized, int | None] = {"draws": draws, "canaries": canaries}
        for word, number in said.items():
            if word != self.sized and number is not None:
                raise ConfigError(f"expected {self.sized} with this method, got {word}; remove it", word)
        size = said[self.sized]
        return self.size if size is None else size


METHODS: Mapping[str, Method] = {
    "two-world": Method(("example", "client"), "draws", 2000),
    "one-run": Method(("example",), "canaries", 200, "its canaries are examples of one client"),
    "one-shot": Method(("client",), "canaries", 1000, "its canaries are whole clients"),
}
_OTHER = {"one-run": "one-shot", "one-shot": "one-run"}


def method_for(name: str, unit: str) -> Method:
    """The method called `name`.

    Raises:
        ConfigError: there is none, or it does not fit the unit; the nearest choice is named.
    """
    if unit == "none":
        raise ConfigError(
            "expected unit 'example' or 'client', got 'none', which promises nothing that an audit could "
            "refute; choose a unit",
            "privacy.unit",
        )
    if name not in METHODS:
        raise ConfigError(
            f"expected {', '.join(METHODS)}, got {name!r}; {nearest(name, tuple(METHODS))}", "method"
        )
    method = METHODS[name]
    if unit not in method.units:
        raise ConfigError(
            f"expected two-world or {_OTHER[name]} with privacy.unit {unit!r}, got {name!r}: {method.unfit}; "
            f"nearest to it is {_OTHER[name]}",
            "method",
        )
    return method


def _refuse_unseen(terms: Terms, name: str) -> None:
    if terms.turns is not None:
        raise ConfigError(
            "expected a model that travels whole in every round, got adapters that take turns (rolora) or "
            "leave a half at home (fedsa); audit the same run with `model.lora.method: ffa`",
            "model.lora.method",
        )
    if name == "one-run" and terms.dataset.vocabulary:
        raise ConfigError(
            "expected two-world for texts, got 'one-run', whose canaries are directions and no tokens",
            "method",
        )


def audited(
    terms: Terms,
    name: str,
    size: int,
    confidence: float,
    randomness: Randomness,
    moved: Moved | None = None,
) -> Audit:
    """An audit of a settled run.

    Args:
        terms: of the run.
        name: of the method.
        size: draws per world, or canaries.
        confidence: of the whole audit.
        randomness: where noise, samples, rounding and coins come from.
        moved: told how far it is.

    Raises:
        ConfigError: a method that does not fit, a size or a confidence that is none.
    """
    unit = terms.config.privacy.unit
    method_for(name, unit)
    _refuse_unseen(terms, name)
    if name == "one-run":
        return one_run_audit(terms, randomness, size, confidence, moved=moved)
    if name == "one-shot":
        return one_shot_audit(terms, randomness, size, confidence, moved)
    subject = (client_subject if unit == "client" else example_subject)(terms, randomness)
    return audit(subject, size, confidence, moved)
