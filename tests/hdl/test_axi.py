"""The bus master with a memory that breaks the rules: it drops and reports unrequested responses."""

import random

import pytest

from arrayloom.hdl.axi import FETCH_ID, LOAD_ID, Bus

BEATS = 5


class Master:
    """The bus with its readers and writer, driven by a script; ``words`` that each reader received, with ``last``."""

    def __init__(self, bench):
        self.bench, self.bus = bench, Bus(bench.config())
        self.words = {"fetch": [], "load": []}
        self.broken = self.answered = 0

    def run(self, script):
        done = []

        async def play(ctx):
            ctx.set(self.bus.axi.arready, 1)
            ctx.set(self.bus.axi.awready, 1)
            ctx.set(self.bus.load.beat.ready, 1)
            await script(self, ctx)
            await ctx.tick().repeat(3)
            done.append(True)

        async def watch(ctx):
            fetch, load = self.bus.fetch.beat, self.bus.load.beat
            while True:
                *_, first, word, last, second, other, end, broken, answered = await ctx.tick().sample(
                    fetch.valid, fetch.payload.data, fetch.payload.last, load.valid, load.payload.data, load.payload.last,
                    self.bus.status.broken, self.bus.store.answered)
                self.words["fetch"] += [(word, last)] * first
                self.words["load"] += [(other, end)] * second
                self.broken += broken
                self.answered += answered

        self.bench.run(self.bus, [play, watch], lambda: bool(done))

    async def ask(self, ctx, name, beats=BEATS):
        port = getattr(self.bus, name)
        ctx.set(port.request.payload.beats, beats - 1)
        ctx.set(port.request.valid, 1)
        await ctx.tick().until(port.request.ready)
        ctx.set(port.request.valid, 0)
        await ctx.tick().repeat(2)

    async def beat(self, ctx, word, identifier, last):
        axi = self.bus.axi
        for signal, value in ((axi.rvalid, 1), (axi.rdata, word), (axi.rid, identifier), (axi.rlast, last)):
            ctx.set(signal, value)
        await ctx.tick()
        ctx.set(axi.rvalid, 0)

    async def answer(self, ctx, identifier=0):
        ctx.set(self.bus.axi.bid, identifier)
        ctx.set(self.bus.axi.bvalid, 1)
        await ctx.tick()
        ctx.set(self.bus.axi.bvalid, 0)


def reads(ctx, master):
    return ctx.get(master.bus.status.reads)


@pytest.mark.parametrize(("name", "identifier"), [("fetch", FETCH_ID), ("load", LOAD_ID)])
@pytest.mark.parametrize("place", [0, 2, BEATS - 1, None])
def test_a_burst_ends_where_it_was_asked_to(bench, name, identifier, place):
    """RLAST in the right place, too early, or missing; the reader sees the same in each case."""
    async def script(master, ctx):
        await master.ask(ctx, name)
        for number in range(BEATS):
            assert reads(ctx, master) == 1
            await master.beat(ctx, number, identifier, number == place)
        await ctx.tick()
        assert reads(ctx, master) == 0 and ctx.get(master.bus.status.quiet)

    master = Master(bench)
    master.run(script)
    assert master.words[name] == [(number, number == BEATS - 1) for number in range(BEATS)]
    assert master.broken == {BEATS - 1: 0, None: 1}.get(place, 2)


@pytest.mark.parametrize("identifier", range(4))
def test_words_that_nobody_asked_for_are_dropped(bench, identifier):
    async def script(master, ctx):
        await master.beat(ctx, 7, identifier, 1)
        await master.beat(ctx, 8, identifier, 0)
        await ctx.tick()
        assert reads(ctx, master) == 0 and ctx.get(master.bus.status.quiet)

    master = Master(bench)
    master.run(script)
    assert master.broken == 2 and master.words == {"fetch": [], "load": []}


def test_words_go_to_their_own_reader(bench):
    """Interleaved words of both readers' bursts; each reader receives its own in order."""
    async def script(master, ctx):
        rng, left = random.Random(4), {"fetch": [3, 1, 4], "load": [5, 2]}
        for name, lengths in left.items():
            for beats in lengths:
                await master.ask(ctx, name, beats)
        waiting = {name: [(beats, beat == beats - 1) for beats in lengths for beat in range(beats)]
                   for name, lengths in left.items()}
        for number in range(15):
            name = rng.choice([name for name, beats in waiting.items() if beats])
            _, last = waiting[name].pop(0)
            await master.beat(ctx, number, {"fetch": FETCH_ID, "load": LOAD_ID}[name], last)
        await ctx.tick()
        assert reads(ctx, master) == 0

    master = Master(bench)
    master.run(script)
    assert not master.broken
    assert [last for _, last in master.words["fetch"]] == [0, 0, 1, 1, 0, 0, 0, 1]
    assert [last for _, last in master.words["load"]] == [0, 0, 0, 0, 1, 0, 1]


@pytest.mark.parametrize(("answers", "taken", "broken"), [([0], 1, 0), ([0, 0], 1, 1), ([1], 0, 1), ([2, 0], 1, 1)])
def test_answers_that_nobody_waits_for_are_dropped(bench, answers, taken, broken):
    async def script(master, ctx):
        await master.ask(ctx, "store")
        for identifier in answers:
            await master.answer(ctx, identifier)
        await ctx.tick()
        assert ctx.get(master.bus.status.writes) == 1 - taken

    master = Master(bench)
    master.run(script)
    assert (master.answered, master.broken) == (taken, broken)


@pytest.mark.parametrize("name", ["fetch", "load", "store"])
def test_the_bus_is_not_quiet_from_the_request_to_its_end(bench, name):
    async def script(master, ctx):
        port, quiet = getattr(master.bus, name), master.bus.status.quiet
        await ctx.tick().repeat(2)
        assert ctx.get(quiet)
        ctx.set(port.request.payload.beats, 0)
        ctx.set(port.request.valid, 1)
        await ctx.tick().until(port.request.ready)
        ctx.set(port.request.valid, 0)
        for _ in range(6):
            assert not ctx.get(quiet)
            await ctx.tick()
        await (master.answer(ctx) if name == "store" else master.beat(ctx, 7, {"fetch": FETCH_ID, "load": LOAD_ID}[name], 1))
        await ctx.tick().repeat(2)
        assert ctx.get(quiet)

    Master(bench).run(script)


def test_a_burst_that_begins_while_another_ends_is_counted_once(bench):
    async def script(master, ctx):
        request, axi = master.bus.load.request, master.bus.axi
        await master.ask(ctx, "load", 1)
        for signal, value in ((axi.rvalid, 1), (axi.rid, LOAD_ID), (axi.rlast, 1), (request.payload.beats, 0),
                              (request.valid, 1)):
            ctx.set(signal, value)
        assert ctx.get(request.ready)
        await ctx.tick()
        ctx.set(axi.rvalid, 0)
        ctx.set(request.valid, 0)
        await ctx.tick().repeat(3)
        assert reads(ctx, master) == 1
        await master.beat(ctx, 1, LOAD_ID, 1)
        await ctx.tick()
        assert reads(ctx, master) == 0

    Master(bench).run(script)


def test_words_of_a_reader_that_is_reset_are_taken(bench):
    async def script(master, ctx):
        bus = master.bus
        await master.ask(ctx, "load", 3)
        ctx.set(bus.load.beat.ready, 0)
        ctx.set(bus.abandoned, 1)
        await ctx.tick()
        ctx.set(bus.abandoned, 0)
        for number in range(3):
            assert ctx.get(bus.axi.rready) and not ctx.get(bus.status.quiet)
            await master.beat(ctx, number, LOAD_ID, number == 2)
        await ctx.tick().repeat(3)
        assert ctx.get(bus.status.quiet) and not ctx.get(bus.axi.rready)    # the reader has recovered

    master = Master(bench)
    master.run(script)
    assert not master.words["load"] and not master.broken


def test_words_of_a_writer_that_is_reset_write_no_byte(bench):
    strobes = []

    async def script(master, ctx):
        bus = master.bus
        await master.ask(ctx, "store", 3)
        ctx.set(bus.store.word.valid, 1)
        await ctx.tick()
        ctx.set(bus.store.word.valid, 0)
        ctx.set(bus.abandoned, 1)
        await ctx.tick()
        ctx.set(bus.abandoned, 0)
        ctx.set(bus.axi.wready, 1)
        for _ in range(30):
            *_, valid, strobe, last = await ctx.tick().sample(bus.axi.wvalid, bus.axi.wstrb, bus.axi.wlast)
            if valid:
                strobes.append((strobe, last))
        await master.answer(ctx)
        await ctx.tick().repeat(2)
        assert ctx.get(bus.status.quiet)

    master = Master(bench)
    master.run(script)
    whole = (1 << bench.config().size) - 1
    assert strobes == [(whole, 0), (0, 0), (0, 1)]
