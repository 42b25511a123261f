"""The words of a finding, by language: what its rule says of the fault."""

from __future__ import annotations

from pydantic import BaseModel, Field

from cloud.diagnosis.finding import Finding
from cloud.diagnosis.rules import load


class Words(BaseModel):
    """What people read of a finding in one language."""

    title: str = Field(examples=["Spindle bearing, outer ring"])
    component: str = Field(examples=["spindle bearing"])
    explanation: str
    action: str
    spare: str = Field(description="the spare part; empty: none is needed")
    safety: str


def words_of(said: Finding) -> dict[str, Words]:
    """Return the words of a finding by language; of a rule that is no more, those of its code."""
    rule = load().get(said.rule)
    if rule is None:
        title = said.fault.replace("_", " ")
        bare = Words(title=title, component=said.component, explanation="", action="", spare="", safety="")
        return {"en": bare, "zh": bare}
    # a component of several places has a name that was made of the rule's
    components = {"en": said.component, "zh": said.component if "{" in rule.component.zh else rule.component.zh}
    return {
        language: Words(
            title=getattr(rule.title, language),
            component=component,
            explanation=getattr(rule.explanation, language),
            action=getattr(rule.action, language),
            spare=getattr(rule.spare_part, language),
            safety=getattr(rule.safety, language),
        )
        for language, component in components.items()
    }
