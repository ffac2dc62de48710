"""Drives the generators of `_fetch` and `_connect`, which threads and asyncio share.

A generator yields steps. A driver takes each step in its own way, blocking or awaiting, and sends the result back;
`advance` moves to the next step.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any


def drive(steps: Generator[Any, Any, Any], take: Callable[[Any], Any]) -> Any:
    """Take step after step; return the result."""
    step, result = advance(steps, None)
    while step is not None:
        step, result = advance(steps, take(step))
    return result


async def drive_async(steps: Generator[Any, Any, Any], take: Callable[[Any], Any]) -> Any:
    """Take step after step with a coroutine function; return the result."""
    step, result = advance(steps, None)
    while step is not None:
        step, result = advance(steps, await take(step))
    return result


def advance(steps: Generator[Any, Any, Any], sent: Any) -> tuple[Any, Any]:
    """Move to the next step; return ``(step, None)``, or ``(None, result)`` at the end."""
    try:
        return steps.send(sent), None
    except StopIteration as end:
        return None, end.value
    except RuntimeError as error:
        # A login raised StopIteration, which Python replaces when it leaves a generator: raise the original.
        if isinstance(sent, tuple) and error.__cause__ is not None and error.__cause__ is sent[1]:
            raise sent[1] from None
        raise
