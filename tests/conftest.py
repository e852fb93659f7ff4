"""Tiny random models of several families, made on the spot."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# One thread a worker: the threads of several processes would wait for each other. Read when torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hypothesis import settings
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.envs import ORIGINAL_FIVE, ProblemSource
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

# The same examples each time; --hypothesis-profile=default looks for new ones.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "max_position_embeddings": 512}
FAMILIES: dict[str, Callable[[int], PreTrainedConfig]] = {
    "llama": lambda v: LlamaConfig(vocab_size=v, intermediate_size=64, num_key_value_heads=2, **SMALL),
    "qwen2": lambda v: Qwen2Config(vocab_size=v, intermediate_size=64, num_key_value_heads=2, **SMALL),
    "gemma": lambda v: GemmaConfig(vocab_size=v, intermediate_size=64, num_key_value_heads=1, head_dim=8, **SMALL),
    "gpt2": lambda v: GPT2Config(vocab_size=v, n_layer=2, n_head=4, n_embd=32, n_positions=512),
    "gpt_neox": lambda v: GPTNeoXConfig(vocab_size=v, intermediate_size=64, **SMALL),
    "mistral": lambda v: MistralConfig(  # of which a layer sees the last tokens only
        vocab_size=v, intermediate_size=64, num_key_value_heads=2, sliding_window=6, **SMALL
    ),
    "mamba": lambda v: MambaConfig(vocab_size=v, hidden_size=32, state_size=4, num_hidden_layers=2, eos_token_id=2),
}


def _tokenizer() -> PreTrainedTokenizerFast:
    source = ProblemSource(ORIGINAL_FIVE, (1, 3), "train").stream(0)
    corpus = [text for _ in range(200) for text in (lambda p: (p.question, p.solution))(next(source).posed)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<unk>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<|im_end|>", pad_token="<unk>"
    )
    fast.chat_template = CHAT
    return fast


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return _tokenizer()


def _tiny(family: str, tokenizer: PreTrainedTokenizerFast) -> LoadedModel:
    torch.manual_seed(0)
    config = FAMILIES[family](len(tokenizer))
    config.eos_token_id = tokenizer.eos_token_id
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for parameter in model.parameters():  # larger weights than usual: a random model that attends to what it reads
        if parameter.dim() == 2:
            parameter.data.mul_(6)
    model.eval().requires_grad_(False)
    return LoadedModel(f"tiny-{family}", f"tiny-{family}", model, tokenizer)


@pytest.fixture(scope="session", params=list(FAMILIES))
def any_lm(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerFast) -> LoadedModel:
    """A tiny model of every family, among them one without a cache of keys and values."""
    return _tiny(request.param, tokenizer)


@pytest.fixture(scope="session")
def lm(tokenizer: PreTrainedTokenizerFast) -> LoadedModel:
    """A tiny Llama."""
    return _tiny("llama", tokenizer)


@pytest.fixture(scope="session")
def lm_folder(lm: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as a folder that transformers and this project load."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that take minutes, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("embedded") is None)
