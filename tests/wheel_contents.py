"""Check that the built wheel carries everything that is not Python: run by .ci/run on the wheel."""

import sys
import zipfile
from pathlib import Path

WANTED = (
    "router/py.typed",
    "agents/py.typed",
    "backends/py.typed",
    "agents/prompts/factual.md",
    "backends/postgres/migrations/0001_",
    "backends/vllm/local/serve.sh",
    "backends/vllm/local/setup_cpu.sh",
    "router/classify/artefact/",
    "router/tuning/examples/paraphrases.jsonl",
    "router/tuning/examples/hidden.jsonl",
    "router/tuning/examples/languages.jsonl",
    "router/tuning/examples/steering.jsonl",
    "router/tuning/examples/dialogues.jsonl",
    "router/tuning/examples/adapters.jsonl",
    "agents/likeness.json",
    "router/demo/handbook/",
    "router/demo/questions.json",
)

[wheel] = Path(sys.argv[1]).glob("*.whl")
held = zipfile.ZipFile(wheel).namelist()
missing = [name for name in WANTED if not any(entry.startswith(name) for entry in held)]
strays = [
    entry
    for entry in held
    if entry.split("/")[0] not in {"router", "agents", "backends"} and ".dist-info/" not in entry
]
sys.exit(f"missing from {wheel.name}: {missing}; strays: {strays}" if missing or strays else 0)
