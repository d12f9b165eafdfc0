"""What is counted, which counts must be zero, and how all is told."""

import threading
from collections import Counter

# Above what was there after the first round.
LIMITS = {"rss": 32, "descriptors": 4, "threads": 0, "objects": 1000}

MUST_BE_ZERO = (
    "errors not ours",
    "errors without a fault",
    "wrong answers",
    "hangs",
    "plaintext on the wire",
    "violations of the wire",
    "loose ends",
)


class Tally:
    """Counts of all workers; what must be zero keeps a few examples."""

    def __init__(self):
        self._guard = threading.Lock()
        self.requests = 0
        self.counts = Counter()
        self.kinds = {}
        self.faults = Counter()
        self.refusals = Counter()
        self.examples = []
        self.readings = []

    def add(self, worker, kind, outcome, report):
        """Count a call.

        Args:
            worker: Its name begins with its framework and its shell.
            kind: Of the question.
            outcome: `(right | left | refused | wrong | not ours, what of it)`.
            report: Of the chaos.
        """
        verdict, about = outcome
        hit = bool(report.hits)
        row = f"{worker.rpartition('.')[0]} {kind}"
        with self._guard:
            seen = self.kinds.setdefault(row, Counter())
            seen["calls"] += 1
            seen["hit"] += hit
            self.requests += report.requests
            self.faults.update(fault.partition(":")[0] for fault in report.hits)
            if verdict == "right":
                seen["recovered"] += hit
            elif verdict in {"left", "refused"}:
                seen[verdict] += 1
            if verdict == "refused":
                self.refusals[about] += 1
            met = f"{worker} {kind} {report.hits} shocked={report.shocked}"
            if verdict == "refused" and not hit and not report.shocked:
                self._bad("errors without a fault", f"{met}: {about}")
            if verdict == "wrong":
                self._bad("wrong answers", f"{met}: {about}")
            if verdict == "not ours":
                self._bad("errors not ours", f"{met}: {about}")
            for found in report.found:
                self._bad("plaintext on the wire", f"{met}: {found}")
            for violation in report.violations:
                self._bad("violations of the wire", f"{met}: {violation}")

    def bad(self, name, about):
        """Count something that must not happen."""
        with self._guard:
            self._bad(name, about)

    def _bad(self, name, about):
        self.counts[name] += 1
        if name in MUST_BE_ZERO and self.counts[name] <= 5:
            self.examples.append(f"{name}: {about}")

    @property
    def calls(self):
        """How many were made."""
        return sum(seen["calls"] for seen in self.kinds.values())

    def failures(self):
        """Name what makes this run a failed one."""
        found = [name for name in MUST_BE_ZERO if self.counts[name]]
        if not self.faults:
            found.append("no fault hit anything")
        first, last = self.readings[0], self.readings[-1]
        for name, limit in LIMITS.items():
            if getattr(last, name) - getattr(first, name) > limit:
                found.append(f"{name} grew by more than {limit}")
        return found

    def summary(self, shocks):
        """Tell all of it, in lines.

        Args:
            shocks: What hit everybody, and how often.
        """
        columns = ("calls", "hit", "recovered", "refused", "left")
        yield f"{'':<32}" + "".join(f"{name:>11}" for name in columns)
        total = Counter()
        for row, seen in sorted(self.kinds.items()):
            total += seen
            yield f"{row:<32}" + "".join(f"{seen[name]:>11}" for name in columns)
        yield f"{'all':<32}" + "".join(f"{total[name]:>11}" for name in columns)
        yield ""
        yield f"requests: {self.requests}"
        yield f"faults that hit: {self.faults.total()}, of {len(self.faults)} kinds"
        yield ", ".join(f"{name}: {count}" for name, count in shocks.items())
        refused = ", ".join(f"{n} {count}" for n, count in self.refusals.most_common())
        yield f"refused with: {refused or 'nothing'}"
        yield ""
        for name in MUST_BE_ZERO:
            yield f"{name + ':':<32}{self.counts[name]:>11}"
        theirs = self.counts["left by workflows"]
        yield f"{'left by LlamaIndex workflows:':<32}{theirs:>11}"
        yield from self.examples
        yield ""
        columns = ("MiB", "descriptors", "threads", "objects")
        yield f"{'after round':<32}" + "".join(f"{name:>12}" for name in columns)
        for number, one in enumerate(self.readings):
            yield (
                f"{number:<32}{one.rss:>12.1f}{one.descriptors:>12}{one.threads:>12}"
                f"{one.objects:>12}"
            )
