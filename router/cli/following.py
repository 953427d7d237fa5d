"""``router ingest --watch`` and ``--every``: stays, and tells what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from router.cli.opening import opened_ingestion
from router.cli.orders import Order
from router.cli.screen import count, err, out, plain, put_json
from router.cli.signals import ended_by_sigterm

if TYPE_CHECKING:
    from backends.ingest import Follower, News, Progress
    from router.config import Settings


async def follow(settings: Settings, order: Order, *, as_json: bool) -> None:
    """Take the documents in, and go on until somebody stops it.

    Returns when the process is asked to end (SIGTERM); Ctrl-C interrupts as everywhere.
    """
    from backends.ingest import Follower

    with ended_by_sigterm() as asked:
        try:
            async with opened_ingestion(settings) as (store, embedder):
                wishes = order.wishes(None if as_json else _tell)
                follower = Follower(store, embedder, wishes)
                async with aclosing(_news(follower, order)) as news:
                    _show(await anext(news), order, as_json=as_json, first=True)
                    async for one in news:
                        _show(one, order, as_json=as_json)
        except asyncio.CancelledError:
            if not asked.is_set():
                raise


def _news(follower: Follower, order: Order) -> AsyncGenerator[News, None]:
    if order.every is not None:
        return follower.by_clock(order.source(), order.every)
    return follower.by_changes(order.paths[0], name=order.name)


def _tell(progress: Progress) -> None:
    source = plain(progress.source)
    if progress.outcome == "published":
        told = f"{source}: published, {count(progress.passages, 'passage')}"
    elif progress.outcome == "pruned":
        told = f"{source}: deleted, as it is gone"
    else:
        return
    out().print(told, soft_wrap=True)


def _show(news: News, order: Order, *, as_json: bool, first: bool = False) -> None:
    from backends.ingest import Waiting
    from router.cli.progress import report_json, report_line, show_problems

    if isinstance(news, Waiting):
        err().print(plain(news.reason), style="yellow", soft_wrap=True)
        return
    if as_json:
        put_json(report_json(news) | {"acl": order.acl_json()})
    elif first or news.published or news.pruned:  # a run in which nothing happened says nothing
        out().print(report_line(news), style="bright_black")
    show_problems(news)
