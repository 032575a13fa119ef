"""Attacks by those who listen: a server that keeps everything, a wire that is read, members that share.

Rules kept here: a spy gets a `Loot` of what its adversary can have, and answers with guesses; whoever holds
the truth scores them. Nothing honest imports this package.
"""

from securefl.attacks.spying.loot import Loot, loot_of
from securefl.attacks.spying.spy import Answers, Spy
from securefl.attacks.spying.table import SPIES, named_spy
from securefl.attacks.spying.tape import GroupTape, Tape, tapped

__all__ = ["SPIES", "Answers", "GroupTape", "Loot", "Spy", "Tape", "loot_of", "named_spy", "tapped"]
