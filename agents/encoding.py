"""Text ↔ tokens: how a question is put to a model, and how an answer ends.

With the chat template a question is a user's message and the answer the assistant's, and the end of a turn ends it.
Without one the question is followed by ``Answer:``, and the end of the line ends the answer.
"""

from functools import lru_cache

from reasoning_arena.agents.models import LoadedModel

PLAIN = "{question}\nAnswer:"
PLAIN_END = "\n\n"
_PROBE = "<probe>"  # nothing that a template would strip


def readable(text: str) -> str:
    """The text without lone surrogates, which have no bytes that a tokenizer could read."""
    return text.encode("utf-8", "replace").decode()


class Encoder:
    """Encodes observations and answers for one model.

    Args:
        lm: the model.
        chat_template: use the tokenizer's chat template; ignored where it has none.

    Attributes:
        chat_template: whether it is used.
        end_ids: what the model's settings and its tokenizer call an end.
        stop_ids: the tokens that end a completion in decoding, those and any end of a line.
        stop_id: the one of them that ends a completion in training.
    """

    def __init__(self, lm: LoadedModel, chat_template: bool) -> None:
        self.tokenizer = lm.tokenizer
        self.chat_template = chat_template and bool(lm.tokenizer.chat_template)
        self.end_ids = _end_ids(lm)
        if self.chat_template:
            self.stop_ids, self.stop_id = self.end_ids, self._turn_end()
        else:
            self.stop_ids = self.end_ids | _line_ends(lm)
            self.stop_id = self._line_end()
        self.prompt_ids = lru_cache(maxsize=4096)(self._prompt_ids)

    def completion_ids(self, answer: str) -> tuple[int, ...]:
        """The tokens of an answer, the stop token last."""
        text = answer if self.chat_template else f" {answer}"
        return (*self._ids(text), self.stop_id)

    def text(self, completion: tuple[int, ...]) -> str:
        """The answer that a completion's tokens spell, without what ends it and outer blanks."""
        ids = [token for token in completion if token not in self.end_ids]
        text = str(self.tokenizer.decode(ids, skip_special_tokens=True))
        return (text if self.chat_template else text.partition("\n")[0]).strip()

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(readable(text), add_special_tokens=False).input_ids)

    def _prompt_ids(self, observation: str) -> tuple[int, ...]:
        if self.chat_template:
            return tuple(self._ids(self._chat(observation)))
        return tuple(self.tokenizer(readable(PLAIN.format(question=observation))).input_ids)

    def _chat(self, question: str, answer: str | None = None) -> str:
        messages = [{"role": "user", "content": question}]
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        rendered = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer is None)
        return str(rendered)

    def _turn_end(self) -> int:
        """The first stop token that the chat template puts behind an assistant's message."""
        _, _, tail = self._chat("question", _PROBE).rpartition(_PROBE)
        return next((token for token in self._ids(tail) if token in self.end_ids), self._end())

    def _line_end(self) -> int:
        """The token that a language model puts behind a line and before an empty one."""
        ids = self._ids(f"9{PLAIN_END}")
        return next((token for token in ids if token in self.stop_ids - self.end_ids), self._end())

    def _end(self) -> int:
        end = self.tokenizer.eos_token_id
        return int(end) if isinstance(end, int) else min(self.end_ids)


def _line_ends(lm: LoadedModel) -> frozenset[int]:
    """All tokens that hold the end of a line."""
    written = "\n", "Ċ", "<0x0A>"  # as it is, as one of GPT-2's byte characters, and as SentencePiece's byte
    ids = (i for token, i in lm.tokenizer.get_vocab().items() if any(mark in token for mark in written))
    return frozenset(i for i in ids if "\n" in lm.tokenizer.decode([i]))


def _end_ids(lm: LoadedModel) -> frozenset[int]:
    """What the model's generation settings and its tokenizer call an end."""
    ids: set[int] = set()
    for end in (
        getattr(lm.model.generation_config, "eos_token_id", None),
        lm.model.config.get_text_config().eos_token_id,
        lm.tokenizer.eos_token_id,
    ):
        ids |= set(end) if isinstance(end, list) else set() if end is None else {end}
    return frozenset(ids) or frozenset({0})
