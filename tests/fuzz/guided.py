"""Fuzz one reader with atheris, guided by coverage: python tests/fuzz/guided.py NAME --seconds 60.

Without a name every reader takes its turn, each in a process of its own. Exit code 1 where one
crashed; the input that did it is written to fuzz-findings/.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path[0] = str(Path(__file__).resolve().parents[1])

try:
    import atheris
except ImportError:
    print("atheris is not installed, so nothing is fuzzed: pip install atheris")
    sys.exit(0)

with atheris.instrument_imports(include=["sib", "yaml", "PIL", "csv", "json"]):
    from fuzz import targets

FINDINGS = Path("fuzz-findings")
LARGEST = 4096
"""Bytes of an input; enough for every seed, and small inputs run often."""


def fuzz(name: str, seconds: int) -> None:
    """Run one target until the time is over, or it crashes; ends the process."""
    FINDINGS.mkdir(exist_ok=True)
    with TemporaryDirectory() as corpus:
        for number, seed in enumerate(targets.TARGETS[name].seeds()):
            Path(corpus, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", "-timeout=25"]
        options += ["-rss_limit_mb=6000", "-print_final_stats=1", "-verbosity=0", corpus]
        options.append(f"-artifact_prefix={FINDINGS}/{name}-")
        atheris.Setup([sys.argv[0], *options], lambda data: targets.run(name, data))
        atheris.Fuzz()


def main() -> int:
    """Fuzz what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=list(targets.TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    if options.name:
        fuzz(options.name, options.seconds)
    crashed = [
        name
        for name in ([] if options.name else targets.TARGETS)
        if subprocess.run(
            [sys.executable, __file__, name, f"--seconds={options.seconds}"]
        ).returncode
    ]
    print(f"crashed: {', '.join(crashed)}" if crashed else "no crash")
    return bool(crashed)


if __name__ == "__main__":
    sys.exit(main())
