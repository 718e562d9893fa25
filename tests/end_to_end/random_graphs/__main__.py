"""Compares many random graphs with ONNX Runtime, on the emulator and some on the RTL; prints failures by kind."""

import sys

import campaign

from .check import check_plans, check_share

COUNT = 500
RTL_SHARE = 10      # one graph in ten also runs on the RTL


def main() -> int:
    """Returns exit code 1 if a graph failed."""
    parser = campaign.parser("random_graphs", __doc__ or "", COUNT)
    parser.add_argument("--config", default="tiny", metavar="NAME|FILE.toml", help="accelerator (default %(default)s)")
    parser.add_argument("--rtl-share", type=int, default=RTL_SHARE, help="one in so many runs on the RTL too; 0: none")
    parser.add_argument("--plans", action="store_true", help="compare plans with the emulator, and nothing else")
    options = parser.parse_args()
    if options.plans:
        return campaign.run(options, check_plans, (options.config,))
    return campaign.run(options, check_share, (options.config, options.rtl_share))


if __name__ == "__main__":
    sys.exit(main())
