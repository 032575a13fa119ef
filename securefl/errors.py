"""Every error that securefl raises on purpose, in one tree.

    SecureFLError
    |-- ConfigError            the configuration: its author can fix it before anything runs
    |-- DataError              the data: unreadable, out of range, or impossible to partition
    |-- PrivacyError           a privacy promise cannot be kept
    |   |-- BudgetExceeded     the ledger would pass its epsilon; nothing was released
    |   `-- LedgerError        the ledger cannot be read or written any more; nothing more is released
    |       `-- LedgerUnusable missing, damaged, locked or of another kind; nothing was started with it
    |-- ProtocolError          secure aggregation stopped; no sum was produced
    |   |-- DecodeError        bytes from outside that are not a canonical message
    |   |-- PolicyError        a peer asked for less than this party's own policy demands
    |   |-- PeerFault          a named party (`culprit`) sent something provably wrong
    |   `-- GroupAborted       too few members left to finish; nobody is to blame
    |-- RoundAbandoned         too few sound rows for the robust rule; the model is unchanged
    |-- AgentError             an agent's turn stopped; what stopped it was not carried out
    |   |-- CallRefused        model output that is no valid call; no tool ran
    |   |-- LimitReached       a caller has used up its calls, or a turn its steps
    |   `-- ToolFailed         a tool ran and raised; the call counts
    |-- RunDirectoryError      the output folder: occupied, incomplete or of another run
    `-- NotAvailable           named in the design, not in this version, and no stub stands in for it

Rules kept here: a message says what was expected, what came and what to do; the class says who
is at fault; verification raises and never returns False.
"""

from __future__ import annotations


class SecureFLError(Exception):
    """Root of the tree: `except SecureFLError` catches everything raised on purpose."""


class ConfigError(SecureFLError):
    """A configuration that cannot run, or that would break a guarantee.

    Attributes:
        path: dotted path of the offending key, e.g. `secure_aggregation.threshold`; "" for the whole.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class DataError(SecureFLError):
    """Data that cannot be read, holds values out of range, or cannot be split as asked."""


class PrivacyError(SecureFLError):
    """A differential-privacy promise cannot be kept."""


class BudgetExceeded(PrivacyError):
    """Charging the ledger would pass the declared epsilon. Nothing was released."""


class LedgerError(PrivacyError):
    """The ledger is damaged, in use by another process, or belongs to something else."""


class LedgerUnusable(LedgerError):
    """The same, found when the ledger was opened or checked as a whole: nothing was started with it."""


class ProtocolError(SecureFLError):
    """The secure-aggregation protocol stopped without a sum."""


class DecodeError(ProtocolError):
    """Bytes from outside that are not exactly one canonical message within the size caps."""


class PolicyError(ProtocolError):
    """A request that this party's own policy refuses; peers may only tighten it."""


class PeerFault(ProtocolError):
    """A named party sent something provably wrong.

    Attributes:
        culprit: the id of the party at fault.
    """

    def __init__(self, culprit: int, message: str) -> None:
        super().__init__(f"party {culprit}: {message}")
        self.culprit = culprit


class GroupAborted(ProtocolError):
    """Too few members of a group are left to finish it; no sum was produced.

    Attributes:
        blame: (member, what it did) for those that provably sent something wrong on the way; often nobody.
    """

    def __init__(self, message: str, blame: tuple[tuple[int, str], ...] = ()) -> None:
        super().__init__(message)
        self.blame = blame


class RoundAbandoned(SecureFLError):
    """Too few sound group means for the robust rule. The model is unchanged, what was charged stays."""


class AgentError(SecureFLError):
    """An agent's turn stopped."""


class CallRefused(AgentError):
    """Model output that is no valid call and no answer. No tool ran."""


class LimitReached(AgentError):
    """A caller has used up its calls, or a turn its steps. Nothing more ran."""


class ToolFailed(AgentError):
    """A tool ran and raised. The call counts against the caller's limits."""


class RunDirectoryError(SecureFLError):
    """The run directory is occupied, incomplete, or belongs to another run."""


class NotAvailable(SecureFLError):
    """Part of the design, but not of this version; refused instead of stubbed."""
