"""The soak: both frameworks, sync and async, before an Atoma that misbehaves.

    python tests/soak --minutes 10 --seed 7
    python tests/soak --calls 20

Prints a summary; exits with 1 if an answer was wrong, an error not ours, a text
readable on the wire, a call without an end, or something grew.
"""

import argparse
import asyncio
import faulthandler
import logging
import multiprocessing
import os
import sys
import threading
import time
import warnings

import calls_langchain
import calls_llama_index
import chaos
import questions
import resources
from tally import Tally
from workers import HANG, Worker

from atoma_confidential import ConfidentialityWarning

FRAMEWORKS = {"langchain": calls_langchain, "llama-index": calls_llama_index}
SHELLS = {"sync": 2, "async": 3}
WARM_UP = 90.0  # seconds
ROUND = 60.0
_WORKFLOWS = "workflows/runtime"

# Python's own pools, and an arena for each thread, keep what is free: with these what
# is resident is what is held, and a leak can be told from holes.
_PLAIN_MEMORY = {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "2"}


def main():
    options = _options()
    if not _PLAIN_MEMORY.items() <= os.environ.items():
        environment = {**os.environ, **_PLAIN_MEMORY}
        os.execve(  # noqa: S606  this program again
            sys.executable, [sys.executable, *sys.argv], environment
        )
    warnings.simplefilter("ignore", ConfidentialityWarning)
    print(f"seed {options.seed}, {os.cpu_count()} cores", flush=True)
    tally = Tally()
    _note_loose_ends(tally)
    server, pipes = _server(options.seed)
    workers = [
        Worker(
            name,
            FRAMEWORKS[name.split(".")[0]].Calls,
            pipe,
            seed=options.seed,
            tally=tally,
            timeout=options.timeout,
        )
        for name, pipe in pipes.items()
    ]
    growth = resources.Growth()
    for go_on in _rounds(options):
        _round(workers, go_on, tally)
        _settle()
        questions.forget()
        tally.readings.append(resources.read())
        if options.trace:
            growth.tell()
        print(f"{tally.calls} calls, {tally.readings[-1]}", flush=True)
    shocks = workers[0].shocks()
    for pipe in pipes.values():
        pipe.close()
    server.join()
    sys.exit(_told(tally, shocks))


def _options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--calls", type=int, help="of a worker in a round, of three")
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument("--timeout", type=float, default=10, help="seconds")
    parser.add_argument(
        "--trace", action="store_true", help="tell where memory grew; slow"
    )
    return parser.parse_args()


def _server(seed):
    """Start the other process; return it, and a pipe for each worker by its name."""
    names = [
        f"{framework}.{shell}.{number}"
        for framework in FRAMEWORKS
        for shell, workers in SHELLS.items()
        for number in range(workers)
    ]
    context = multiprocessing.get_context("spawn")
    ours, theirs = {}, {}
    for name in names:
        ours[name], theirs[name] = context.Pipe()
    server = context.Process(target=chaos.serve, args=(seed, theirs))
    server.start()
    for pipe in theirs.values():
        pipe.close()
    return server, ours


def _rounds(options):
    """Yield for each round what says whether a worker makes a further call."""
    if options.calls is not None:
        for _ in range(3):
            yield lambda done: done < options.calls
        return
    now = time.monotonic()
    end = now + options.minutes * 60
    yield _until(min(now + WARM_UP, end))
    while (now := time.monotonic()) < end:
        yield _until(min(now + ROUND, end))


def _until(end):
    return lambda _done: time.monotonic() < end


def _round(workers, go_on, tally):
    threads = [
        threading.Thread(target=worker.run, args=(go_on,))
        for worker in workers
        if ".sync." in worker.name
    ]
    tasks = [worker for worker in workers if ".async." in worker.name]
    threads.append(threading.Thread(target=_loop, args=(tasks, go_on)))
    for thread in threads:
        thread.daemon = True
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(1)
            if hanging := [worker.name for worker in workers if worker.hangs]:
                tally.bad("hangs", ", ".join(hanging))
                faulthandler.dump_traceback()
                tally.readings.append(resources.read())
                os._exit(_told(tally, {}))


def _settle():
    """Wait for batches that were under way when another of their call failed."""
    end = time.monotonic() + HANG
    while threading.active_count() > 1 and time.monotonic() < end:
        time.sleep(0.1)


def _loop(workers, go_on):
    async def together():
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.arun(go_on))

    asyncio.run(together())


def _note_loose_ends(tally):
    """Count what Python can only complain of: it has nobody to raise it to."""

    class Noted(logging.Handler):
        def emit(self, record):
            told = record.getMessage()
            # What runs LlamaIndex's agents leaves its own tasks behind on an error.
            name = "left by workflows" if _WORKFLOWS in told else "loose ends"
            tally.bad(name, told)

    logging.getLogger("asyncio").addHandler(Noted(logging.ERROR))

    def unraisable(args):
        tally.bad("loose ends", f"{args.err_msg} {args.exc_value!r} {args.object!r}")

    def in_thread(args):
        tally.bad("loose ends", f"{args.thread}: {args.exc_value!r}")

    sys.unraisablehook = unraisable
    threading.excepthook = in_thread


def _told(tally, shocks):
    print("\n".join(tally.summary(shocks)), flush=True)
    failures = tally.failures()
    print("FAILED: " + "; ".join(failures) if failures else "passed", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    main()
