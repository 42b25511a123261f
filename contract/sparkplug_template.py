"""Templates (UDTs): the members of an instance are metrics `name/member`, those of a template within it as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from contract import sparkplug_b_pb2 as pb
from contract.sparkplug_wire import Odd, label, readable

MARK: Final = b"\x92\x01"
"""The tag of a template: bytes without it have none."""
MOST_MEMBERS: Final = 10_000
DEEPEST: Final = 8

Definitions: TypeAlias = Mapping[str, pb.Template]


def definitions_of(message: pb.Payload) -> dict[str, pb.Template]:
    """Return the definitions of templates in a birth, by name."""
    return {
        readable(metric.name): metric.template_value
        for metric in message.metrics
        if metric.HasField("template_value") and metric.template_value.is_definition
    }


def flat(
    message: pb.Payload, name_of: Callable[[int], str | None], definitions: Definitions, odd: list[Odd]
) -> list[tuple[int, pb.Metric]]:
    """Return all metrics, behind each instance its members, each with the index of the metric that it came in.

    `name_of` goes by alias, for data. Members that the instance leaves out are null, as in `definitions`; what is
    beyond DEEPEST or MOST_MEMBERS is noted in `odd`. The message is changed.
    """
    found: list[tuple[int, pb.Metric]] = []
    for index, metric in enumerate(message.metrics):
        for member in _with_members(metric, name_of, definitions, odd):
            if member is not metric and len(found) - index > MOST_MEMBERS:
                odd.append(Odd(label(metric), f"templates have more than {MOST_MEMBERS} members"))
                break
            found.append((index, member))
    return found


def _with_members(
    metric: pb.Metric, name_of: Callable[[int], str | None], definitions: Definitions, odd: list[Odd], depth: int = 0
) -> Iterator[pb.Metric]:
    yield metric
    if not metric.HasField("template_value") or metric.template_value.is_definition:
        return
    template = metric.template_value
    prefix = readable(metric.name) or name_of(metric.alias)
    definition = definitions.get(readable(template.template_ref))
    if definition is not None:
        _complete(template, definition)
    if template.parameters:
        odd.append(Odd(label(metric), "the parameters of a template are not kept"))
    if not template.metrics or not prefix or depth >= DEEPEST:
        why = "without members" if not template.metrics else "without a name" if not prefix else f"in {depth} others"
        odd.append(Odd(label(metric), f"a template {why} is not read"))
        return
    for member in template.metrics:
        known = name_of(member.alias) if member.HasField("alias") and not member.name else None
        if known or member.name:
            member.name = known or f"{prefix}/{readable(member.name)}"
        if metric.HasField("timestamp") and not member.HasField("timestamp"):
            member.timestamp = metric.timestamp
        if metric.is_historical:
            member.is_historical = True
        yield from _with_members(member, name_of, definitions, odd, depth + 1)


def _complete(instance: pb.Template, definition: pb.Template) -> None:
    """Add what a definition knows of its members, but not their values."""
    own = {readable(member.name): member for member in instance.metrics}
    for defined in definition.metrics:
        member = own.get(readable(defined.name))
        if member is None:
            member = instance.metrics.add()
            member.CopyFrom(defined)
            if member.HasField("template_value"):
                member.template_value.is_definition = False
                for inner in member.template_value.metrics:
                    _forget(inner)
            else:
                _forget(member)
        elif not member.datatype:
            member.datatype = defined.datatype


def _forget(member: pb.Metric) -> None:
    present = member.WhichOneof("value")
    if present is not None:
        member.ClearField(present)
    member.is_null = True
