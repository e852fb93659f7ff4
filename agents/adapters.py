"""Low-rank adapters in the frozen model's layers (LoRA, 2106.09685), by PEFT, beside a soft prompt.

The soft prompt stands in front as for every other learner; it may learn along, or stay what it was at the beginning.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.layout import Ids
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.product import LowRank
from reasoning_arena.agents.steering import Export, Soft, Steering, prompt_tuning_export
from torch import Tensor, nn


def require_peft() -> None:
    """Say so where PEFT is not installed.

    Raises:
        AgentError: it is not.
    """
    if find_spec("peft") is None:
        raise AgentError("low-rank adapters need PEFT: pip install 'reasoning-arena[lora]'")


def taken_apart(layer: Any) -> tuple[nn.Linear, LowRank | None]:
    """A linear layer, and what PEFT has put beside it, if anything.

    Raises:
        ValueError: that is more than a product of low rank.
    """
    if not hasattr(layer, "base_layer"):
        return layer, None
    downs, ups = getattr(layer, "lora_A", None), getattr(layer, "lora_B", None)
    if not isinstance(downs, nn.ModuleDict) or not isinstance(ups, nn.ModuleDict) or len(downs) != 1:
        raise ValueError(f"{type(layer).__name__} is no layer with one low-rank adapter beside it")
    (name,) = downs
    down: Any = downs[name]
    up: Any = ups[name]
    special = layer.merged or layer.disable_adapters or layer.lora_variant or up.bias is not None
    if special or list(layer.active_adapters) != [name]:
        raise ValueError("an adapter that is switched off, merged or of a kind of its own is not computed here")
    return layer.base_layer, LowRank(down.weight, up.weight, layer.scaling[name])


class LowRankAdapters(Steering):
    """LoRA in the layers that PEFT chooses for the model's family, and a soft prompt in front.

    They learn in float32, and are computed in the model's dtype where ``agents.fused`` computes it.

    Args:
        lm: the model; its layers are wrapped in place, so it belongs to this steering from now on.
        weight: the soft prompt, ``[P, D]``.
        rank: of the adapters.
        prompt_learns: whether the soft prompt learns too.
        seed: of the adapters' first values.
        preamble: what stands in front of the soft prompt, ``[F, D]``, or None.

    Raises:
        AgentError: PEFT is not installed, or finds no layers to adapt.
    """

    UNIT = 0.02  # of the adapters' numbers: a learning rate of 0.1 is 0.002, a usual one for LoRA

    def __init__(
        self,
        lm: LoadedModel,
        weight: Tensor,
        rank: int,
        *,
        prompt_learns: bool,
        seed: int,
        preamble: Tensor | None = None,
    ) -> None:
        super().__init__(preamble, weight.shape[1])
        require_peft()
        from peft import LoraConfig, inject_adapter_in_model

        self.weight = nn.Parameter(weight.detach().float().clone().to(lm.device), requires_grad=prompt_learns)
        self._config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, task_type="CAUSAL_LM")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                inject_adapter_in_model(self._config, lm.model)
            except ValueError as error:
                raise AgentError(f"model {lm.name!r} cannot take low-rank adapters: {error}") from error
        named = [(name, one) for name, one in lm.model.named_parameters() if "lora_" in name]
        for _, parameter in named:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
        self.names = [name for name, _ in named]
        self.adapters = nn.ParameterList([parameter for _, parameter in named])

    def forward(self, prompts: Sequence[Ids] = (), tasks: Sequence[str] = ()) -> Soft:
        """The soft prompt, the same for all questions."""
        return Soft(self.preamble, self.weight)

    def units(self, embedding_rms: float) -> Iterator[tuple[nn.Parameter, float]]:
        """The soft prompt in units of the embeddings, the adapters in their own."""
        if self.weight.requires_grad:
            yield self.weight, embedding_rms
        for parameter in self.adapters:
            yield parameter, self.UNIT

    def exports(self, lm: LoadedModel) -> dict[str, Export]:
        """The adapters, and the soft prompt that stands in front of them."""
        fields: dict[str, object] = self._config.to_dict()  # type: ignore[no-untyped-call]
        config = {k: sorted(v) if isinstance(v, set) else v for k, v in fields.items()}
        config |= {"base_model_name_or_path": lm.path, "inference_mode": True}
        pairs = zip(self.names, self.adapters, strict=True)
        tensors = {
            f"base_model.model.{name.replace('.default', '')}": one.detach().cpu().contiguous() for name, one in pairs
        }
        return {"lora": Export(config, tensors, {}), "soft_prompt": prompt_tuning_export(self(), lm)}
