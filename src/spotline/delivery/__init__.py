"""Deliver a treatment in a room, and replay what was recorded.

May know a room by its seam, and every room below.  Known to campaigns and faces.
"""

from __future__ import annotations

from spotline.delivery.replay import replay
from spotline.delivery.resume import resume
from spotline.delivery.run import deliver

__all__ = ["deliver", "replay", "resume"]
