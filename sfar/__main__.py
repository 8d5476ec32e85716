"""``python -m sfar``."""

import sys

from sfar.cli.main import main

sys.exit(main())
