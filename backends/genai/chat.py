"""The chat form that the starter model has learnt, as token ids, and token ids as text again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backends.genai.weights import unusable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from backends.base import Message

END: Final = "<|end|>"
_ASSISTANT: Final = "<|assistant|>"


class ChatForm:
    """Turns into ids: ``<|role|>``, a new line, the words, ``<|end|>``, a new line.

    The marks are put in as ids. A mark that somebody writes in a turn stays the characters it is
    written with, so that nobody can end a turn or speak as somebody else.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def read(cls, folder: Path) -> ChatForm:
        """Read ``tokenizer.json``.

        Raises:
            Misconfigured: It is absent or no tokenizer, or it lacks the marks.
        """
        from tokenizers import Tokenizer

        try:
            serialised = (folder / "tokenizer.json").read_text("utf-8")
            tokenizer = Tokenizer.from_str(serialised)
        except OSError as error:
            raise unusable(folder, f"tokenizer.json cannot be read: {error.strerror}") from error
        except Exception as error:
            # The library raises this very class.
            raise unusable(folder, f"tokenizer.json is no tokenizer: {error}") from error
        for role in ("system", "user", "assistant"):
            if tokenizer.token_to_id(f"<|{role}|>") is None:
                raise unusable(folder, f"its tokenizer has no <|{role}|>")
        if tokenizer.token_to_id(END) is None:
            raise unusable(folder, f"its tokenizer has no {END}")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # Special tokens in a text are plain characters.
        tokenizer.encode_special_tokens = True
        return cls(tokenizer)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids of a conversation and of the beginning of the next answer."""
        ids: list[int] = []
        between = self._plain("\n")
        for message in messages:
            ids.append(self._mark(f"<|{message.role}|>"))
            ids += self._plain(f"\n{message.content}")
            ids.append(self._mark(END))
            ids += between
        return [*ids, self._mark(_ASSISTANT), *between]

    def reader(self) -> AnswerReader:
        """Return what turns the ids of one answer into text."""
        return AnswerReader(self._tokenizer)

    def _mark(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        assert number is not None, "checked when it was read"
        return number

    def _plain(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


class AnswerReader:
    """Ids one after the other into text; a character comes once all of its bytes have come."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)

    def read(self, number: int) -> str:
        """Return the text that this id completes; empty where it completes none."""
        return self._stream.step(self._tokenizer, number) or ""
