"""The command under torchrun, whose training waits when it has first kept its state.

Until the file that is named first is there, or a signal has come. However busy the machine is, whoever ends a process
then ends it in the middle of the training.
"""

import sys
from pathlib import Path

from waiting import until

from sfar.cli.main import main
from sfar.training.resume import Keeper


def hold(released):
    save = Keeper.save

    def held(self, model, optimizer, scaler, at):
        save(self, model, optimizer, scaler, at)
        until(lambda: self.stop_asked() or released.exists())

    Keeper.save = held


if __name__ == "__main__":
    hold(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
