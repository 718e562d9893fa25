"""The AXI4-Lite slave: the rules of the bus, and an answer for every access."""

from proving import Fault, Harness, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.axi_lite import SLAVE_ERROR, AxiLiteSlave

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]


class Rules(Harness):
    """Any host, any registers."""

    def describe(self) -> None:
        unit = AxiLiteSlave()
        inside = self.place(unit)
        self.drive(unit)
        axi, port = unit.axi, unit.port
        self.stays("answer to a write", axi.bvalid, axi.bready, axi.bresp)
        self.stays("answer to a read", axi.rvalid, axi.rready, axi.rdata, axi.rresp)
        took = {name: getattr(axi, name + "valid") & getattr(axi, name + "ready") for name in ("aw", "w", "b", "ar", "r")}
        owed = {name: self.count(f"owed_{name}", 3, took[name], took[answer])
                for name, answer in (("aw", "b"), ("w", "b"), ("ar", "r"))}
        for name, held in (("aw", "addressed"), ("w", "loaded")):
            self.claim(f"{name} is held or answered", owed[name] == inside[held] + axi.bvalid)
            self.claim(f"{name} waits for an answer at most once more", owed[name] <= 2)
        self.claim("a read is outstanding or answered", owed["ar"] == port.read + inside["answers"] + axi.rvalid)
        self.claim("only one read is outstanding", owed["ar"] <= 1)
        self.claim("only complete requests are answered", ~axi.bvalid | ((owed["aw"] != 0) & (owed["w"] != 0)))
        self._write_once(inside, unit, took)
        self._answers(unit)
        self.cover("two writes are outstanding", (owed["aw"] == 2) & (owed["w"] == 2))
        self.cover("a read is refused", axi.rvalid & (axi.rresp == SLAVE_ERROR))

    def _write_once(self, inside, unit, took) -> None:
        """Registers receive the address and data of each write together, once."""
        axi, port = unit.axi, unit.port
        same = self.past(took["aw"])
        self.claim("the register is the one addressed", ~same | (port.write_word == self.past(axi.awaddr[2:])))
        self.claim("address, word and strobe wait", ~(self.past(inside["addressed"] & inside["loaded"] & ~port.write)) | (
            (port.write_word == self.past(port.write_word)) & (port.write_data == self.past(port.write_data))
            & (port.write_strobe == self.past(port.write_strobe))))
        given = self.past(took["w"])
        self.claim("the word is the one given", ~given | ((port.write_data == self.past(axi.wdata))
                                                          & (port.write_strobe == self.past(axi.wstrb))))
        self.claim("a write takes what is held", ~self.past(port.write) | ~inside["addressed"] | self.past(took["aw"]))

    def _answers(self, unit) -> None:
        axi, port = unit.axi, unit.port
        wrote = self.past(port.write)
        refused = self.past(port.write_error)
        self.claim("a write is answered in the next cycle", ~wrote | (axi.bvalid & ((axi.bresp == SLAVE_ERROR) == refused)))
        ages = self.ages(port.read, 2, "read_was")
        self.claim("a read is answered two cycles later", ~ages[2] | (
            axi.rvalid & (axi.rdata == self.past(port.read_data))
            & ((axi.rresp == SLAVE_ERROR) == self.past(port.read_error))))


PROOFS = [
    Proof("rules of AXI4-Lite", "control",
          "The slave answers each complete access once, keeps its answers until they are accepted, and passes address "
          "and data to the registers unchanged.", Rules, depth=3, faults=[
              Fault("an answer is withdrawn", AxiLiteSlave._write, "m.Elif(axi.bready)", "m.Else()"),
              Fault("a second address is taken", AxiLiteSlave._write, "axi.awready.eq(~addressed)", "axi.awready.eq(1)"),
              Fault("a write needs no word", AxiLiteSlave._write, "addressed & loaded & ~axi.bvalid",
                    "addressed & ~axi.bvalid"),
              Fault("reads overlap", AxiLiteSlave._read, "~port.read & ~answers & ~axi.rvalid", "~port.read & ~axi.rvalid"),
              Fault("a refusal is lost", AxiLiteSlave._read, "axi.rresp.eq(SLAVE_ERROR)", "axi.rresp.eq(OKAY)")]),
]
