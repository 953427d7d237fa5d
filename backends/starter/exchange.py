"""One exchange to learn from: what stands in front, what is asked, what is answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from backends.slots import Slots, slots_in


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and the answer to learn, with a system prompt that may be empty."""

    user: str
    assistant: str
    system: str = ""

    def messages(self) -> list[dict[str, str]]:
        """Return it as chat data."""
        turns = [
            {"role": "user", "content": self.user},
            {"role": "assistant", "content": self.assistant},
        ]
        return [{"role": "system", "content": self.system}, *turns] if self.system else turns


def slotted(user: str, assistant: str, system: str = "") -> Exchange | None:
    """Return the exchange with its facts in slots, as answering hides them.

    None where the answer would hold a fact that the question does not show: such a row would teach
    inventing.
    """
    slots = Slots()
    asked = _hidden(slots, user)
    values = {value: slot for slot, value in slots.values.items()}
    for value in values:
        if value.lower() in assistant.lower() and value not in assistant:
            return None
    answered = assistant
    if values:
        longest = sorted(values, key=len, reverse=True)
        either = "|".join(map(re.escape, longest))
        pattern = re.compile(rf"\[\d+\]|<[ndpc]\d+>|(?<![\w])(?:{either})(?![\w])")
        answered = pattern.sub(lambda found: values.get(found[0], found[0]), assistant)
    if not slots_in(answered) <= slots_in(asked) or _LOOSE.search(_MARKS.sub("", answered)):
        return None
    return Exchange(asked, answered, system)


def _hidden(slots: Slots, text: str) -> str:
    """Hide the facts of the wish and then of each numbered sentence, as they come to the model."""
    wish, *lines = _NUMBERED.split(text)
    hidden = [slots.hide(wish)]
    for mark, line in zip(lines[::2], lines[1::2], strict=True):
        hidden += (mark, slots.hide(line))
    return "".join(hidden)


_NUMBERED: Final = re.compile(r"^(\[\d+\] )", re.MULTILINE)
_MARKS: Final = re.compile(r"\[\d+\]|<[ndpc]\d+>")
_LOOSE: Final = re.compile(r"\d|@|\b(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b")
