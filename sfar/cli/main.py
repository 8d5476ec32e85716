"""The ``sfar`` command: its parser, and one message for what goes wrong. Each group of commands has a module."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys

from sfar.cli import bench, config, data, options, predict, records, reproduce, storyboard, subtexts, train
from sfar.data.disk import once
from sfar.errors import ConfigError, SfarError, closed
from sfar.util import processes

REFUSED = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO, errno.ESTALE)


def parser() -> argparse.ArgumentParser:
    """The command's parser."""
    top = argparse.ArgumentParser(prog="sfar", description="SFAR (NeurIPS 2025), a paper you can run.")
    sub = options.commands(top, "command", "COMMAND")

    def command(name: str, run, text: str, into=sub) -> argparse.ArgumentParser:
        p = into.add_parser(name, help=text, description=text)
        p.set_defaults(run=run)
        return p

    reproduce.add(command)
    train.add(command)
    predict.add(command)
    storyboard.add(sub, command)
    data.add(sub, command)
    subtexts.add(sub, command)
    records.add(sub, command)
    bench.add(sub, command)
    config.add(sub, command)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status.

    0; 1 where a check found something wrong; 2 for a user's mistake; 130 when interrupted.
    """
    # A terminal or file that has no dash or arrow gets its code in their place, as stderr does by itself.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    a = parser().parse_args(argv)
    options.expand(a)
    try:
        if processes.launched() and a.command not in ("train", "evaluate", None):
            raise ConfigError(
                f"`sfar {a.command}` is one process: start it without torchrun (several processes share the work of "
                "train and evaluate)"
            )
        with once():
            return a.run(a) or 0
    except SfarError as e:
        if not e.said and os.environ.get("RANK", "0") == "0":
            print(f"sfar: {e}", file=sys.stderr)
        return getattr(e, "status", 2)
    except OSError as e:
        # What the system says of a path that the user gave; any other error of it is the program's own.
        if e.filename is None or e.errno not in REFUSED:
            raise
        print(f"sfar: {e.filename}: {e.strerror}; {closed(e)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsfar: interrupted. Finished runs are kept; the same command goes on from there.", file=sys.stderr)
        return 130
    except Exception as e:
        if processes.launched():
            from sfar.training import distributed

            if distributed.lost(e):
                return 1
        torch = sys.modules.get("torch")  # not imported for a message
        if torch is None or not isinstance(e, torch.OutOfMemoryError):
            raise
        print(
            "sfar: out of GPU memory: lower train.batch, set train.checkpoint_activations=true, or free the device; "
            "finished runs are kept",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
