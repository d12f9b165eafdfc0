"""Fuzzes what reads bytes from elsewhere, led by coverage; `make fuzz` runs it.

    python tests/fuzz/fuzz.py --seconds 60 all            every target, one by one
    python tests/fuzz/fuzz.py --seconds 60 sse lease      these
    python tests/fuzz/fuzz.py --only sse crash-…          one target over one input

What is found stands in build/fuzz/found; what covered something new, in build/fuzz.
"""

import argparse
import importlib
import os
import random
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "fuzz"
LONGEST_INPUT = 1 << 16
SLOWEST = 20
"""Seconds for one input; none takes a hundredth of that on an idle machine."""
LARGEST = 2048
"""MiB for the process, of which both frameworks take about 300."""
_PACKAGES = ["atoma_confidential", "langchain_atoma", "llama_index_atoma"]
_PLUGINS = {
    "langchain": "langchain_atoma.chat_models",
    "llama-index": "llama_index_atoma.llms",
}
_FIGURES = {
    "executions": r"stat::number_of_executed_units:\s+(\d+)",
    "a second": r"stat::average_exec_per_sec:\s+(\d+)",
    "MiB": r"stat::peak_rss_mb:\s+(\d+)",
    "edges": r"cov: (\d+)",
    "features": r"ft: (\d+)",
    "corpus": r"corp: (\d+)",
}


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--seconds", type=int, default=60)
    asked.add_argument("--only", action="store_true")
    asked.add_argument("names", nargs="+")
    options, of_fuzzer = asked.parse_known_args()
    if options.only:
        name, *inputs = options.names
        fuzz(name, [*of_fuzzer, *inputs])
    return run_each(options.names, options.seconds)


def run_each(names, seconds):
    """Fuzz in processes of their own, for libFuzzer ends its process; print figures."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from fuzz_targets import TARGETS

    names = list(TARGETS) if names == ["all"] else names
    if unknown := set(names) - TARGETS.keys():
        print(f"No such target: {', '.join(unknown)}. There are: {', '.join(TARGETS)}.")
        return 2
    print("target", *_FIGURES, "found", sep=" | ", flush=True)
    found = 0
    for name in names:
        kept, seeds = _folders(name, TARGETS[name])
        limits = {
            "max_total_time": seconds,
            "timeout": SLOWEST,
            "rss_limit_mb": LARGEST,
            "max_len": LONGEST_INPUT,
            "print_final_stats": 1,
            "artifact_prefix": f"{WORK / 'found' / name}-",
        }
        if (words := WORK / f"{name}.dict").stat().st_size:
            limits["dict"] = words
        told = [f"-{limit}={value}" for limit, value in limits.items()]
        ran = subprocess.run(  # noqa: S603 - of our own making
            [sys.executable, __file__, "--only", name, kept, seeds, *told],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        (WORK / f"{name}.log").write_text(ran.stderr + ran.stdout)
        found += ran.returncode != 0
        told = [_last(figure, ran.stderr) for figure in _FIGURES.values()]
        print(name, *told, "yes" if ran.returncode else "no", sep=" | ", flush=True)
    if found:
        print(f"Inputs are in {WORK / 'found'}, what they did in {WORK}/*.log.")
    return 1 if found else 0


def fuzz(name, arguments):
    """Fuzz one target with libFuzzer's own arguments; does not return."""
    import atheris

    sys.path.insert(0, str(ROOT / "tests" / "support"))
    with atheris.instrument_imports(include=_PACKAGES):
        for prefix, plugin in _PLUGINS.items():
            if name.startswith(prefix):
                importlib.import_module(plugin)
        from fuzz_targets import TARGETS, attempt
    from fuzz_mutator import mutated

    target = TARGETS[name]

    def mutate(data, most, seed):
        rng = random.Random(seed)  # noqa: S311 - to be repeated, not secret
        if target.text and rng.randrange(4):
            return mutated(data, rng, target.words)[:most]
        return atheris.Mutate(data, most)

    atheris.Setup(
        [sys.argv[0], *arguments],
        lambda data: attempt(target, data),
        custom_mutator=mutate,
    )
    atheris.Fuzz()


def _folders(name, target):
    """Write what a target starts from, and return where new inputs go, and where."""
    kept, seeds = WORK / "kept" / name, WORK / "seeds" / name
    for folder in (kept, seeds, WORK / "found"):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (seeds / f"{number:03}").write_bytes(seed)
    words = [re.sub(rb"[^ -~]|[\"\\]", b"", word.encode()) for word in target.words]
    lines = b"".join(b'"%b"\n' % word for word in words if word)
    (WORK / f"{name}.dict").write_bytes(lines)
    return os.fspath(kept), os.fspath(seeds)


def _last(pattern, text):
    found = re.findall(pattern, text)
    return found[-1] if found else "-"


if __name__ == "__main__":
    sys.exit(main())
