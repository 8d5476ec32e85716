"""``python -m sfar``."""

import sys

from sfar.cli import main

sys.exit(main())
