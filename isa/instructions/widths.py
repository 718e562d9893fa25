"""Widths of the fields of instructions, and the sizes and limits that follow from them."""

ADDRESS = 36        # bits in a byte address of memory
WORD_ADDRESS = 20   # bits in a word address of the scratchpad
EXTENT = 16         # bits in a height, a width or a row pitch
TRANSFER = 24       # bits in the words of a transfer, or of one of its runs
MEMORY_PITCH = 28   # bits in the words between runs in memory
ORIGIN = 17         # bits in a source row or column outside the source too
STRIDE = 8          # bits in a stride or a dilation
TAPS = 10           # bits in the rows or columns of a kernel or a window
DEPTHWISE_TAPS = 3  # likewise of a kernel of the DEPTHWISE unit
EPSILON = 41        # bits in what is added to a variance
FACTOR = 16         # bits in the steps of a softmax's result
COUNTED = 16        # bits in the elements that are normalized together
ZERO_POINT = 9      # bits in a zero point or in what is added to a byte
SIGNIFICANT = 24    # bits of a float32 significand
ADD_FRACTION = 38   # fraction bits of the constants of the residual add
RATIO = 44          # bits in a ratio of the residual add
OFFSET = 54         # bits in the offset of the residual add
PRODUCT_OFFSETS = -127, 128     # least and largest a_offset and b_offset of a product: minus a zero point of signed bytes
BYTE_VALUES = 256   # values of a byte
LOOKUP_TABLE_WORDS = BYTE_VALUES   # words in a page of the lookup table FIFO: one for each value of a byte
THRESHOLDS = BYTE_VALUES    # parameter entries that an average uses: one for each value of its result
