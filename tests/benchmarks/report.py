"""What a benchmark says: each figure beside the limit that was measured in the same run, and what it ran on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Figure:
    """One measured rate and its limits by name; `reach` is what we want at least of the slowest of them."""

    name: str
    value: float
    unit: str
    limits: dict[str, float]
    reach: float

    @property
    def ratio(self) -> float:
        """Measured over the slowest limit."""
        slowest = min(self.limits.values())
        return self.value / slowest if slowest else 0.0

    @property
    def words(self) -> str:
        """One line for people."""
        verdict = "reached" if self.ratio >= self.reach else f"NOT reached, wanted {self.reach:g}"
        limits = ", ".join(f"{name} {limit:,.0f}" for name, limit in self.limits.items())
        return f"{self.name}: {self.value:,.0f} {self.unit}; limits: {limits}; ratio {self.ratio:.2f} ({verdict})"


@dataclass(frozen=True)
class Result:
    """Everything a benchmark has to say; `data` is what it ran on, `notes` what else a reader should know."""

    name: str
    data: str
    figures: list[Figure]
    notes: list[str] = field(default_factory=list)


def tell(result: Result) -> None:
    """Print a result and keep it in var/bench."""
    ground = _ground()
    print(f"\n{result.name}: {result.data}")
    print(f"  on {ground['machine']}, commit {ground['commit']}, load before {ground['load']}")
    for figure in result.figures:
        print(f"  {figure.words}")
    for note in result.notes:
        print(f"  {note}")
    folder = Path(os.environ.get("PORTAL_VAR", ROOT / "var")) / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    figures = [{**asdict(figure), "ratio": round(figure.ratio, 3)} for figure in result.figures]
    said = {**asdict(result), "figures": figures, **ground}
    (folder / f"{result.name}.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _ground() -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    model = next((line.split(":")[1].strip() for line in _cpu() if line.startswith("model name")), platform.machine())
    return {
        "machine": f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": commit.stdout.strip() or "unknown",
        "load": [round(one, 2) for one in os.getloadavg()],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
