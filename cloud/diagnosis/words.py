"""The words of a finding, by language: what its rule says of the fault."""

from __future__ import annotations

from pydantic import BaseModel, Field

from cloud.diagnosis.finding import Finding
from cloud.diagnosis.rule import Text
from cloud.diagnosis.rules import load


class Name(BaseModel):
    """What a fault and the component that has it are called in one language."""

    title: str = Field(examples=["Spindle bearing, outer ring"])
    component: str = Field(examples=["spindle bearing"])


class Words(Name):
    """What people read of a finding in one language."""

    explanation: str
    action: str
    spare: str = Field(description="the spare part; empty: none is needed")
    safety: str


def name_of(fault: str, component: str) -> dict[str, Name]:
    """Return the names of a fault and its component by language; of a rule that is no more, those of its code."""
    rule = load().get(fault)
    if rule is None:
        bare = Name(title=fault.replace("_", " "), component=component)
        return {"en": bare, "zh": bare}
    return {
        "en": Name(title=rule.title.en, component=component),
        "zh": Name(title=rule.title.zh, component=_chinese(rule.component, component)),
    }


def _chinese(said: Text, component: str) -> str:
    """Return the Chinese name of a component; `said` is that of its rule, with `{}` for one of several places."""
    before, several, after = said.en.partition("{}")
    if not several:
        return said.zh
    return said.zh.format(component.removeprefix(before).removesuffix(after))


def words_of(said: Finding) -> dict[str, Words]:
    """Return the words of a finding by language; of a rule that is no more, those of its code."""
    rule = load().get(said.rule)
    return {
        language: Words(
            title=name.title,
            component=name.component,
            explanation="" if rule is None else getattr(rule.explanation, language),
            action="" if rule is None else getattr(rule.action, language),
            spare="" if rule is None else getattr(rule.spare_part, language),
            safety="" if rule is None else getattr(rule.safety, language),
        )
        for language, name in name_of(said.rule, said.component).items()
    }
