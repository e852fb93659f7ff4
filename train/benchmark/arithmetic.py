"""What a training step computes, and how near it comes to the rate that the machine multiplies matrices at.

A step's matrix products are written down as it runs, forward and backward. Then the same products are computed by
themselves, shape by shape in the step's own dtype and memory layout. The share of the machine's rate that the step
reaches is the time that its products take alone over the time that the step takes.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from reasoning_arena.agents.layout import Ids, common_start
from reasoning_arena.agents.models import LoadedModel, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.agents.product import Product
from reasoning_arena.train.benchmark.contest import asked, start
from reasoning_arena.train.benchmark.settings import ResolvedSettings
from reasoning_arena.train.losses import per_token, weighted_completions
from reasoning_arena.train.optimizer import Optimizer
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

ROUNDS = 5  # the step and its products in turn; the fastest count: what else the machine does slows both
AGAIN = 5  # times in a round that each product is timed; the fastest counts
IN_A_ROW = 4  # computations to each of those times
# Operators that multiply matrices, and where their two factors stand.
FACTORS: dict[str, tuple[int, int]] = {
    "aten::mm": (0, 1),
    "aten::bmm": (0, 1),
    "aten::addmm": (1, 2),
    "aten::baddbmm": (1, 2),
    "mkldnn::_linear_pointwise": (0, 1),  # the product with a packed weight, transposed
}


class Factor(NamedTuple):
    """A matrix, or a stack of them, as it lies in memory."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]  # nothing where it is packed
    dtype: torch.dtype

    def made(self, device: torch.device) -> Tensor:
        """One of this kind, with random numbers in it."""
        if not self.stride:
            return torch.randn(self.shape, dtype=self.dtype, device=device)
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=device).normal_()


class Multiplication(NamedTuple):
    """A matrix product."""

    left: Factor
    right: Factor
    packed: bool

    @property
    def flops(self) -> int:
        """Multiplications and additions, ``2 m k n`` for every matrix of the stack."""
        count = 2 * self.right.shape[-2 if self.packed else -1]
        for size in self.left.shape:
            count *= size
        return count

    def multiplied(self, device: torch.device) -> Callable[[], Tensor]:
        """What computes one of this kind, of random numbers."""
        left, right = self.left.made(device), self.right.made(device)
        if self.packed:
            return partial(Product(right, None, packed=True, packed_back=False), left)
        return partial(torch.mm if left.dim() == 2 else torch.bmm, left, right)


class Products(TorchDispatchMode):
    """Writes down the matrix products that are computed while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[Multiplication] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the product and compute it."""
        name = func.name().split(".")[0]
        if name in FACTORS:
            left, right = (args[i] for i in FACTORS[name])
            self.counts[Multiplication(_factor(left), _factor(right), right.is_mkldnn)] += 1
        return func(*args, **kwargs or {})

    @property
    def flops(self) -> int:
        """Of all of them."""
        return sum(product.flops * count for product, count in self.counts.items())

    def seconds(self, device: torch.device) -> float:
        """The time that they take by themselves."""
        total = 0.0
        for product, count in self.counts.items():
            multiply = product.multiplied(device)
            multiply()
            total += count * min(_timed(multiply, device, IN_A_ROW) for _ in range(AGAIN))
        return total


@dataclass(frozen=True)
class TrainingStep:
    """A step's arithmetic.

    Attributes:
        seconds: the step takes, at its fastest.
        product_flops: its matrix products hold, whatever they are spent on.
        answer_flops: those of scoring the same questions again hold, which tells the answers after the step.
        counted_flops: a step on these questions needs, by ``counted_flops``.
        product_rate: FLOP/s of the step's matrix products by themselves.
        share: of that rate that the step reaches with all products that it computes.
        counted_share: of that rate that the step reaches with what it needs to compute.
    """

    seconds: float
    product_flops: int
    answer_flops: int
    counted_flops: int
    product_rate: float
    share: float
    counted_share: float

    @property
    def floor_seconds(self) -> float:
        """Seconds that the products of a round take by themselves: the step's, and those for the answers after it."""
        return (self.product_flops + self.answer_flops) / self.product_rate


def counted_flops(lm: LoadedModel, soft_tokens: int, prompts: Sequence[Ids], completions: Sequence[Ids]) -> int:
    """What the linear layers of a training step need, attention's own products and pads left out.

    Every parameter is used in a multiplication and an addition a token, once forward and once for the gradient of the
    activations; frozen weights get no gradient. What all rows begin with is counted once. Behind the last layer's
    queries, keys and values, named as in Llama, only tokens that the next one is predicted from count.

    Args:
        lm: the model.
        soft_tokens: P.
        prompts: one a row.
        completions: one a row.
    """
    base = lm.model.base_model
    embeddings = {id(module.weight) for module in base.modules() if isinstance(module, nn.Embedding)}
    weights = {name: one for name, one in base.named_parameters() if one.dim() == 2 and id(one) not in embeddings}
    last, inputs = f"layers.{lm.model.config.num_hidden_layers - 1}.", tuple(f"{one}_proj.weight" for one in "qkv")
    late = sum(one.numel() for name, one in weights.items() if name.startswith(last) and not name.endswith(inputs))
    early = sum(one.numel() for one in weights.values()) - late
    head: Tensor = lm.model.get_output_embeddings().weight
    common = len(common_start(prompts)) if len(prompts) > 1 else 0
    own = sum(len(row) - common for row in prompts) + sum(len(row) - 1 for row in completions)
    return 4 * early * (soft_tokens + common + own) + 4 * (late + head.numel()) * sum(map(len, completions))


def training_step(settings: ResolvedSettings) -> TrainingStep:
    """Measure ours on the first batch of questions."""
    lm = load_model(settings.model, settings.device, settings.dtype)
    policy = SoftPromptPolicy(lm, start(lm, settings), chat_template=settings.chat_template)
    optimizer = Optimizer(policy, 0.1, 100)
    questions, gold = zip(*next(asked(settings, settings.batch_size)), strict=True)
    targets = [policy.encoder.completion_ids(answer) for answer in gold]

    def step() -> None:
        scored = policy.score(questions, targets)
        optimizer.step(weighted_completions(scored, per_token(scored), len(targets)))

    step()
    with Products() as products:
        step()
    with torch.no_grad(), Products() as again:
        policy.score(questions, targets)
    products.seconds(lm.device)  # warm
    steps, alone = [], []
    for _ in range(ROUNDS):
        steps.append(_timed(step, lm.device))
        alone.append(products.seconds(lm.device))
    seconds, rate = min(steps), products.flops / min(alone)
    prompts = [policy.encoder.prompt_ids(question) for question in questions]
    counted = counted_flops(lm, settings.soft_tokens, prompts, targets)
    shares = (flops / seconds / rate for flops in (products.flops, counted))
    return TrainingStep(seconds, products.flops, again.flops, counted, rate, *shares)


def _factor(tensor: Tensor) -> Factor:
    stride = () if tensor.is_mkldnn else tensor.stride()  # a packed weight has none
    return Factor(tuple(tensor.shape), stride, tensor.dtype)


def _timed(work: Callable[[], object], device: torch.device, times: int = 1) -> float:
    """Seconds that it takes, the mean of so many times in a row."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    for _ in range(times):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - begin) / times
