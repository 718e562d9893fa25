"""The options for waveforms, shared by all commands that run one network."""

import argparse
from pathlib import Path

from arrayloom.host.cli.common import require_no_board_port, require_writable
from arrayloom.host.runtime.backends import RtlDevice, open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.waves import Point, Waves, Window
from arrayloom.isa.config import Config

GIGABYTE = 10**9


def add_waves(parser: argparse.ArgumentParser) -> None:
    """``--waves`` and the options that limit the waveforms."""
    group = parser.add_argument_group(
        "waveforms", "POINT is a cycle, counted as the hardware counts them, layer:NAME or instruction:N. The cycles of a "
        "layer or an instruction are those in which its units compute, and 64 on both sides.")
    group.add_argument("--waves", type=Path, metavar="FILE.fst|FILE.vcd", help="record the RTL of the first image's run")
    group.add_argument("--from", dest="first", metavar="POINT", help="where the waveforms begin (default: cycle 0)")
    group.add_argument("--to", dest="last", metavar="POINT",
                       help="where the waveforms end (default: 10,000 cycles on, or the end of --from's layer or "
                            "instruction)")
    group.add_argument("--layer", metavar="NAME", help="the same as --from layer:NAME")
    group.add_argument("--instruction", metavar="N", help="the same as --from instruction:N")
    group.add_argument("--waves-limit", type=float, default=4.0, metavar="GB", help="file size at which to stop (default 4)")


def require_no_waves(options: argparse.Namespace, why: str) -> None:
    """Raises ``InputError`` with the reason if an option requests or limits waveforms."""
    asked = ["--waves"] if options.waves is not None else [*_given(options), *(["--to"] if options.last is not None else [])]
    if asked:
        raise InputError(f"{asked[0]}: waveforms cannot be had: {why}")


def _given(options: argparse.Namespace) -> dict[str, str]:
    """The given options for where waveforms begin."""
    return {name: text for name, text in (("--from", options.first), ("--layer", options.layer),
                                          ("--instruction", options.instruction)) if text is not None}


def device_of(options: argparse.Namespace, config: Config) -> Device:
    """The device that the options select; raises ``InputError`` naming the option that does not fit."""
    given = _given(options)
    if options.backend != "board":
        require_no_board_port(options, f"the backend {options.backend} has none")
    if options.waves is None:
        bounds = [*given, *(["--to"] if options.last is not None else [])]
        if bounds:
            raise InputError(f"{bounds[0]}: bounds waveforms, and there are none; add --waves FILE.fst")
        return open_device(options.backend, config, options.board_port)
    if options.backend != "rtl":
        raise InputError(f"--waves with --backend {options.backend}: only the rtl backend has waveforms")
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: each says where the waveforms begin; give one")
    if options.last is not None and not given.keys() <= {"--from"}:
        raise InputError(f"{next(iter(given))} and --to: the former says the end too; give --from and --to instead")
    if not options.waves_limit > 0:
        raise InputError(f"--waves-limit {options.waves_limit}: must be above 0")
    require_writable(options.waves)
    return RtlDevice(config, waves=_waves(options, given))


def _waves(options: argparse.Namespace, given: dict[str, str]) -> Waves:
    kinds = {"--from": "", "--layer": "layer:", "--instruction": "instruction:"}
    first = [Point.parse(option, kinds[option] + text) for option, text in given.items()] or [Point(cycle=0)]
    last = Point.parse("--to", options.last) if options.last is not None else None
    waves = Waves(options.waves, Window(first[0], last), int(options.waves_limit * GIGABYTE))
    waves.require_format()
    return waves
