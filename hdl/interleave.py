"""The bank of a scratchpad word: a rule shared by the hardware and by code that inspects its memories."""


def bank_bits(address_bits: int, banks: int) -> list[slice]:
    """For each bit of a word's bank, the bits of its address whose XOR it is.

    Power-of-two strides are thus spread over the banks. The address bits above the lowest ``log2(banks)`` are the place
    within the bank; together with the bank they determine the address.
    """
    bits = banks.bit_length() - 1
    return [slice(bit, address_bits, bits) for bit in range(bits)]
