"""``python -m arrayloom``: the same as the command ``arrayloom``."""

import sys

if not sys.flags.safe_path:
    # Python puts the current folder first on the path for -m; a file of the user's there must not stand in for a module.
    del sys.path[0]

from arrayloom.host.cli.main import main

sys.exit(main())
