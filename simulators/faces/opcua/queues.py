"""What clients have subscribed on asyncua's server, and what waits there for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from asyncua import Server, ua


def monitored(server: Server) -> set[ua.NodeId]:
    """Return the nodes that clients monitor."""
    return {
        item.read_value_id.NodeId
        for subscription in _of_clients(server)
        for item in subscription.monitored_item_srv._monitored_items.values()
    }


def fill(server: Server) -> float:
    """Return how full the fullest queue of a monitored item is: 0 empty, 1 half of its size, beyond which it is full.

    Whoever lets one value be kept wants the newest alone, and is not waited for.
    """
    fullest = 0.0
    for subscription in _of_clients(server):
        items = subscription.monitored_item_srv._monitored_items
        for queues in (subscription._triggered_datachanges, subscription._triggered_events):
            for item, queue in queues.items():
                size = items[item].queue_size if item in items else 0
                if size > 1:
                    fullest = max(fullest, 2.0 * len(queue) / size)
    return fullest


def _of_clients(server: Server) -> Iterator[Any]:
    every = server.iserver.subscription_service.subscriptions
    return (subscription for subscription in every.values() if subscription.pub_request_callback is not None)
