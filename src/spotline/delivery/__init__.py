"""Deliver a treatment in a room, tell what happens, take orders, and replay what was recorded.

May know a room by its seam, and every room below.  Known to campaigns and faces.
"""

from __future__ import annotations

from spotline.delivery.command import Command, Order
from spotline.delivery.delivery import Delivery
from spotline.delivery.replay import replay
from spotline.delivery.resume import resume, resumption
from spotline.delivery.run import deliver
from spotline.delivery.session import DeliveryOptions

__all__ = ["Command", "Delivery", "DeliveryOptions", "Order", "deliver", "replay", "resume", "resumption"]
