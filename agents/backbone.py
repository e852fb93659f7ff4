"""The model's forward pass, computed in the best way that a probe at construction finds right for it.

Three ways, the best first: the fused decoder; transformers' own pass behind shared keys and values; and for models
whose memory is not a plain cache of keys and values, transformers' own pass over everything.

Notation: n rows, L columns, D hidden size, V vocabulary.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from reasoning_arena.agents.fused import FusedDecoder
from reasoning_arena.agents.kv_cache import SharedHeadCache
from reasoning_arena.agents.layout import positions_of
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.recorded_pass import Passes
from torch import Tensor


class Backbone:
    """Embeds tokens, and computes features and logits.

    Args:
        lm: the model; those of its parameters that want gradients are what learns, most often none.

    Attributes:
        layers: how many the model has.
        learnt: these parameters.
        shares_prefix: whether keys and values of what rows have in common can be computed once.
        fused: the fused decoder, where it computes this model.
    """

    def __init__(self, lm: LoadedModel) -> None:
        self.lm, self.model = lm, lm.model
        self.learnt = [one for one in self.model.parameters() if one.requires_grad]
        parameters = inspect.signature(self.model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"  # renamed by transformers 5.24
        # On a CPU fused attention decodes fast; on rows of this length its backward pass is slow, plain one's is not.
        self._switches_attention = lm.device.type == "cpu" and self.model.config._attn_implementation == "sdpa"
        self.layers = int(getattr(self.model.config.get_text_config(), "num_hidden_layers", 0))
        self.fused: FusedDecoder | None = None
        self._passes: Passes | None = None  # through it, where they are recorded
        self.shares_prefix = False
        self._plain_head = self._head_is_plain()
        # A window counts columns back from each token; only in the ordinary layout are those the tokens before it.
        if self._takes_positions and not _sees_less(self.model.config.get_text_config()):
            with _told_apart(self.learnt):
                self._choose_way()

    @property
    def skips_pads(self) -> bool:
        """Whether pads are not multiplied by weights."""
        return self.fused is not None and self.fused.skips_pads

    @property
    def derives_some(self) -> bool:
        """Whether gradients can be computed for some rows of a pass alone."""
        return self.fused is not None and self._passes is None

    @property
    def version(self) -> int:
        """Another number after each change of what learns, in place: what was computed before holds no more."""
        return sum(one._version for one in self.learnt)

    def embed(self, ids: Tensor) -> Tensor:
        """The embeddings of tokens, ``[…, D]``."""
        embedded: Tensor = self.model.get_input_embeddings()(ids)
        return embedded

    def forward(
        self, embeds: Tensor, mask: Tensor, cache: SharedHeadCache, wanted: int, derived: int | None = None
    ) -> Tensor:
        """What the logits of the last columns are made from, ``[n, wanted, ·]``; the cache grows by all columns.

        Args:
            embeds: ``[n, L, D]``.
            mask: which columns may be attended to, those that the cache holds first.
            cache: what came before.
            wanted: of how many columns.
            derived: of how many rows, the first ones, gradients are computed, where ``derives_some``; None for all.
        """
        if self._passes is not None:
            return self._passes(embeds, mask, cache, wanted)
        if self.fused is not None:
            return self.fused(embeds, mask, cache, wanted, derived)
        arguments: dict[str, Any] = {
            "inputs_embeds": embeds,
            "attention_mask": mask,
            "use_cache": self.shares_prefix,
        }
        if self.shares_prefix:
            arguments[self._cache_name] = cache
        if self._takes_positions:
            arguments["position_ids"] = positions_of(mask, embeds.shape[1])
        if self._switches_attention:
            self.model.set_attn_implementation("eager" if torch.is_grad_enabled() else "sdpa")
        if self._plain_head:
            features: Tensor = self.model.base_model(**arguments).last_hidden_state
        else:
            features = self.model(**arguments).logits
        features = features[:, features.shape[1] - wanted :]
        return features.to(embeds.device)  # a model that is spread over devices ends on another one

    def logits(self, features: Tensor) -> Tensor:
        """Logits in float32, ``[…, V]``, from what ``forward`` returns."""
        if self.fused is not None:
            return self.fused.logits(features).float()
        logits: Tensor = self.model.get_output_embeddings()(features) if self._plain_head else features
        return logits.to(self.lm.device).float()

    @torch.no_grad()
    def _head_is_plain(self) -> bool:
        """Whether logits are the output embeddings times the last hidden states, with nothing in between."""
        ids = torch.arange(4, device=self.lm.device)[None]
        try:
            output = self.model.get_output_embeddings()
            features = self.model.base_model(input_ids=ids).last_hidden_state.to(self.lm.device)
            logits = output(features).to(self.lm.device)
        except (AttributeError, TypeError):
            return False
        return bool(torch.equal(logits, self.model(input_ids=ids).logits))

    @torch.no_grad()
    def _choose_way(self) -> None:
        """Take the best way that gives the logits of transformers' own computation."""
        ids = torch.arange(1, 9, device=self.lm.device) * 7 % self.lm.vocabulary_size
        rows = [ids, torch.cat([ids[:4], ids[6:]])]  # of different lengths, which begin alike
        expected = torch.stack(
            [self.model(inputs_embeds=self.embed(row)[None]).logits[0, -1].float() for row in rows]
        )  # (2, V)
        self.shares_prefix = True
        if self._plain_head:
            try:
                self.fused = FusedDecoder(self.model)
                self._passes = Passes.of(self.fused, bool(self.learnt), self.lm.device)
            except ValueError:  # of another kind
                pass
            else:
                if self._is_right(rows, expected):
                    return
                self.fused = self._passes = None
        self.shares_prefix = self._is_right(rows, expected)

    def _is_right(self, rows: list[Tensor], expected: Tensor) -> bool:
        """Whether the logits behind the rows are as expected, when the first three columns are shared."""
        pad = rows[0][:2]
        text = self.embed(torch.stack([rows[0][3:], torch.cat([pad, rows[1][3:]])]))
        mask = torch.ones(2, 8, dtype=torch.bool, device=text.device)
        mask[1, 3:5] = False
        try:
            shared = SharedHeadCache(self.layers)
            self.forward(self.embed(rows[0][None, :3]), mask[:1, :3], shared, 0)
            cache = SharedHeadCache(self.layers, shared.own)
            logits = self.logits(self.forward(text, mask, cache, 1)[:, 0])
        except (TypeError, ValueError, AttributeError, RuntimeError, IndexError):
            return False
        error = (logits - expected).norm() / expected.norm()
        return bool(error < (1e-3 if self.lm.dtype == torch.float32 else 0.1))


@contextmanager
@torch.no_grad()
def _told_apart(parameters: list[torch.nn.Parameter]) -> Iterator[None]:
    """Give what learns other numbers for a while, since adapters begin as if they were not there."""
    kept, generator = [one.clone() for one in parameters], torch.Generator().manual_seed(0)
    try:
        for one in parameters:
            one.copy_(torch.randn(one.shape, generator=generator) * one.shape[-1] ** -0.5)
        yield
    finally:
        for one, numbers in zip(parameters, kept, strict=True):
            one.copy_(numbers)


def _sees_less(config: Any) -> bool:
    """Whether a layer attends to less than all tokens before, most often to a window of the last ones."""
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return getattr(config, "sliding_window", None) is not None
    return set(kinds) != {"full_attention"}
