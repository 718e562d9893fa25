"""Where a word of the scratchpad lies: a rule that the hardware and those who look into its memories share."""


def bank_bits(address_bits: int, banks: int) -> list[slice]:
    """For each bit of a word's bank, the bits of its address whose XOR it is.

    So powers of two as strides spread over the banks, and the address bits above the lowest ``log2(banks)`` are the
    place within the bank: with the bank they determine the address.
    """
    bits = banks.bit_length() - 1
    return [slice(bit, address_bits, bits) for bit in range(bits)]
