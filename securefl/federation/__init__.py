"""Where learning meets the protocol: one client, the server's round, the record, the checkpoint.

`secagg` is seen through its door alone (`respond`, `aggregate`, `draw_groups`), so that another
construction of the masked sum can stand behind it.
"""

from securefl.federation.client import Answers, Charge, Client, Party, Prepared, answer_all
from securefl.federation.contribution import Contributed, Contribution, LocalUpdate
from securefl.federation.optimizer import ServerOptimizer
from securefl.federation.record import GroupRecord, RoundRecord
from securefl.federation.server import Setting, State, initial_state, play
from securefl.federation.stopwatch import Stopwatch

__all__ = [
    "Answers",
    "Charge",
    "Client",
    "Contributed",
    "Contribution",
    "GroupRecord",
    "LocalUpdate",
    "Party",
    "Prepared",
    "RoundRecord",
    "ServerOptimizer",
    "Setting",
    "State",
    "Stopwatch",
    "answer_all",
    "initial_state",
    "play",
]
