"""The arena: attacks x defences x heterogeneity x attackers, over seeds, on a user's own run config."""

from securefl.attacks.arena.cell import Cell, Outcome, cell_config, play
from securefl.attacks.arena.config import Arena, load
from securefl.attacks.arena.contest import RESULTS, cells_of, check, hold, plain
from securefl.attacks.arena.standings import Estimate, Standing, estimate, standings

__all__ = [
    "RESULTS",
    "Arena",
    "Cell",
    "Estimate",
    "Outcome",
    "Standing",
    "cell_config",
    "cells_of",
    "check",
    "estimate",
    "hold",
    "load",
    "plain",
    "play",
    "standings",
]
