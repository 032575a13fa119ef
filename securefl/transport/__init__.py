"""How bytes travel between server and clients: in process, worker processes, with simulated losses."""

from securefl.transport.dropouts import Dropouts, Vanishing, lossy, vanishing
from securefl.transport.in_process import InProcess
from securefl.transport.processes import Processes

__all__ = ["Dropouts", "InProcess", "Processes", "Vanishing", "lossy", "vanishing"]
