"""The seams of the house: Protocols that more than one thing implements, each with one contract suite.

Nothing here has behaviour. Constructors store; `start` and `stop` act.
"""

from runtime.ports.access import Egress, HttpAccess, MailAccess, ModelAccess, ModelBackend, SqlAccess
from runtime.ports.acting import Agent, AgentFactory, Planner, SessionAccess, StepContext, StepResult, Task
from runtime.ports.bus import BusStore, Leave, MessageBus, Receive
from runtime.ports.clock import Clock, Progress, Record, Sleep, nothing_recorded
from runtime.ports.stores import MemoryStore, Minimiser, RunKind, RunSummary, StateStore
from runtime.ports.tools import ProgramTool, Sandbox, Tool, ToolContext

__all__ = [
    "Agent",
    "AgentFactory",
    "BusStore",
    "Clock",
    "Egress",
    "HttpAccess",
    "Leave",
    "MailAccess",
    "MemoryStore",
    "MessageBus",
    "Minimiser",
    "ModelAccess",
    "ModelBackend",
    "Planner",
    "ProgramTool",
    "Progress",
    "Receive",
    "Record",
    "RunKind",
    "RunSummary",
    "Sandbox",
    "SessionAccess",
    "Sleep",
    "SqlAccess",
    "StateStore",
    "StepContext",
    "StepResult",
    "Task",
    "Tool",
    "ToolContext",
    "nothing_recorded",
]
