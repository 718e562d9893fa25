"""Windows: whole words within the registers' limits, counted from the base, and empty if the limits are inconsistent."""

import pytest

from arrayloom.hdl.windows import Windows


@pytest.mark.parametrize(("given", "load", "store"), [
    ({"base": 0x1000, "limit": 0x1800, "write_base": 0x1400, "write_limit": 0x1800}, 0x200, (0x100, 0x200)),
    ({"base": 0x1000, "limit": 0x1803, "write_base": 0x1401, "write_limit": 0x17FF}, 0x200, (0x101, 0x1FF)),
    ({"base": 0x1000, "limit": 0xFFF, "write_base": 0x800, "write_limit": 0x900}, 0, (0, 0)),
    ({"base": 0, "limit": (1 << 40) - 4, "write_base": 0, "write_limit": (1 << 40) - 4}, (1 << 38) - 1, (0, (1 << 38) - 1)),
    ({"base": 0, "limit": 0, "write_base": 0, "write_limit": 0}, 0, (0, 0)),
    ({"base": (1 << 40) - 0x100, "limit": (1 << 40) - 4, "write_base": 0x10, "write_limit": 0x20}, 0x3F, (0, 0)),
])
def test_windows(bench, given, load, store):
    windows, found = Windows(bench.config()), []

    async def script(ctx):
        for name, value in given.items():
            ctx.set(getattr(windows, name), value)
        await ctx.tick().repeat(2)
        found.append((ctx.get(windows.load.low), ctx.get(windows.load.high), ctx.get(windows.store.low),
                      ctx.get(windows.store.high)))

    bench.run(windows, [script], lambda: bool(found))
    assert found == [(0, load, *store)]
