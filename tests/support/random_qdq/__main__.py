"""Checks many random networks and prints the failures, grouped by kind."""

import sys

import campaign

from .check import check_share

COUNT = 1000
DEVICE_SHARE = 10   # one network in ten is compiled and run on the emulator


def main() -> int:
    """Returns exit code 1 if a network failed."""
    parser = campaign.parser("random_qdq", __doc__ or "", COUNT)
    parser.add_argument("--jobs", dest="workers", type=int, metavar="N", help="the same as --workers")
    parser.add_argument("--device-share", type=int, default=DEVICE_SHARE, help="one in so many is emulated; 0: none")
    options = parser.parse_args()
    return campaign.run(options, check_share, (options.device_share,))


if __name__ == "__main__":
    sys.exit(main())
