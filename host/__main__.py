"""``python -m host``: the same as ``weft``."""

import sys

from host.cli.main import main

sys.exit(main())
