"""Disturbs many runs of random programs on the RTL, each in one way, and prints runs with a wrong end by kind."""

import sys

import campaign

from .check import check

COUNT = 500


def main() -> int:
    """Returns exit code 1 if a run, or the good run after it, did not end correctly."""
    parser = campaign.parser("random_faults", __doc__ or "", COUNT)
    parser.add_argument("--config", default="tiny", metavar="NAME|FILE.toml", help="accelerator (default %(default)s)")
    parser.add_argument("--checked", action="store_true", help="with the assertions of the design, which is slower")
    options = parser.parse_args()
    return campaign.run(options, check, (options.config, options.checked))


if __name__ == "__main__":
    sys.exit(main())
