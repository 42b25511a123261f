"""Who waits for a place, who is served first, and who is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from cloud.patience import Patience
from cloud.places import Budget, Places
from cloud.problems import Problem


async def begun(*waiting: Awaitable[None]) -> list[asyncio.Future[None]]:
    """Let them wait, in this order."""
    tasks = [asyncio.ensure_future(each) for each in waiting]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_clients_take_turns_however_much_each_asks() -> None:
    places = Places("queries", 1, waiting=100, wait_s=5.0)
    await places.take("greedy")
    served: list[str] = []

    async def ask(whose: str) -> None:
        async with places.one(whose):
            served.append(whose)

    tasks = await begun(*(ask("greedy") for _ in range(20)), ask("modest"), ask("greedy"))
    places.give_back()
    await asyncio.gather(*tasks)
    assert served.index("modest") == 1
    assert (len(served), places.waiting, places.refused) == (22, 0, 0)


async def test_a_full_queue_refuses_the_greedy_not_the_modest() -> None:
    places = Places("queries", 1, waiting=3, wait_s=5.0)
    await places.take("greedy")
    greedy = await begun(*(places.take("greedy") for _ in range(3)))
    with pytest.raises(Problem) as refused:
        await places.take("greedy")
    assert (refused.value.status, refused.value.code) == (503, "busy")
    assert refused.value.headers["Retry-After"] == "2"
    (modest,) = await begun(places.take("modest"))
    assert [task.done() for task in greedy] == [False, False, True]
    assert isinstance(greedy[2].exception(), Problem)
    assert (places.waiting, places.refused) == (3, 2)
    for task in (greedy[0], modest, greedy[1]):
        places.give_back()
        await task


async def test_one_of_each_known_client_goes_before_a_crowd() -> None:
    places = Places("log-ins", 1, waiting=4, wait_s=5.0)
    await places.take()
    served: list[str] = []

    async def ask(whose: str, *, is_known: bool = False) -> None:
        await places.take(whose, is_known=is_known)
        served.append(whose)
        places.give_back()

    crowd = await begun(*(ask(f"stranger {number}") for number in range(4)))
    known = await begun(ask("known", is_known=True), ask("known", is_known=True))
    assert isinstance(crowd[3].exception(), Problem), "the newest of the crowd makes room"
    assert isinstance(known[1].exception(), Problem), "a second of the same waits as any other"
    places.give_back()
    await asyncio.gather(*crowd[:3], known[0])
    assert served == ["known", "stranger 0", "stranger 1", "stranger 2"]


async def test_waiting_ends_in_time_and_leaves_nothing_behind() -> None:
    places = Places("queries", 1, waiting=3, wait_s=0.01)
    await places.take()
    with pytest.raises(Problem):
        await places.take()
    places.give_back()
    await places.take()
    assert (places.waiting, places.refused) == (0, 1)


async def test_a_client_that_has_gone_does_not_keep_its_turn() -> None:
    places = Places("queries", 1, waiting=3, wait_s=5.0)
    await places.take()
    gone = Patience()
    (task,) = await begun(places.take("gone", gone))
    gone.end()
    with pytest.raises(Problem):
        await task
    assert places.waiting == 0
    places.give_back()
    await places.take()


async def test_a_place_that_is_given_while_its_client_is_cancelled_is_not_lost() -> None:
    places = Places("queries", 1, waiting=3, wait_s=5.0)
    await places.take()
    (task,) = await begun(places.take())
    places.give_back()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(places.take(), 1.0)


def test_a_budget_is_given_back_whatever_happens() -> None:
    budget = Budget("bytes", 10)
    with budget.part() as one, pytest.raises(Problem), budget.part() as other:
        one.grow(6)
        other.grow(4)
        other.grow(1)
    with budget.part() as all_of_it:
        all_of_it.grow(10)


async def test_the_largest_body_of_a_greedy_client_gives_way_to_its_next() -> None:
    budget = Budget("bytes", 100, share=20)
    refused: list[str] = []

    async def come(name: str, whose: str, size: int) -> None:
        try:
            with budget.part(whose) as part:
                async with budget.coming(part):
                    part.grow(size)
                    await asyncio.Event().wait()  # the rest never comes
        except Problem as problem:
            refused.append(f"{name}: {problem.code}")

    sizes = {"small": 5, "large": 15, "next": 4}
    tasks = await begun(*(come(name, "greedy", size) for name, size in sizes.items()))
    assert refused == ["large: busy"]
    tasks += await begun(come("as large as it may be", "greedy", 20), come("modest", "modest", 20))
    assert refused == ["large: busy", "as large as it may be: busy"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with budget.part("modest") as all_of_it:
        all_of_it.grow(20)


async def test_a_body_that_is_whole_does_not_give_way() -> None:
    budget = Budget("bytes", 10)
    with budget.part("a") as one, budget.part("b") as other:
        async with budget.coming(one):
            one.grow(10)
        with pytest.raises(Problem):
            other.grow(1)
