"""Loops over svmlight (libsvm) text; :mod:`fastadagrad.data.svmlight` calls them.

A line is ``label [qid:N] index:value ... [# comment]``; in a text with weights it begins with
``label:weight``. A number whose digits make an integer of at most 2**53 and whose power of ten is within
22 is one exactly rounded float64 operation (Clinger, 1990). A longer one, up to 19 digits, is a quotient
with one correction, used where that is provably enough. Every other number is set aside for Python's
``float``: all values are correctly rounded.
"""

from __future__ import annotations

import numpy as np

from ..jit import compiled, jitable
from ..memory.headers import borrowed

# Unsigned throughout: a signed index costs a test for negative ones at each access, and in Numba
# mixing uint64 with a plain literal makes a float64.
NOUGHT, ONE, TWO, THREE, FOUR, NINE, TEN = (np.uint64(value) for value in (0, 1, 2, 3, 4, 9, 10))
NEWLINE, TAB, SPACE, HASH = (np.uint64(ord(char)) for char in "\n\t #")
LETTER_Q, LETTER_I, LETTER_D, LETTER_E = (np.uint64(ord(char)) for char in "qide")
PLUS, MINUS, POINT, COLON, DIGIT_ZERO = (np.uint64(ord(char)) for char in "+-.:0")
SPAN_OF_CONTROLS = np.uint64(4)  # \t \n \v \f \r follow one another
LOWER_CASE = np.uint64(32)

EXACT_MANTISSA = np.uint64(2**53)
LARGEST_EXACT = 2.0**53  # from here on, two whole numbers may be one float64
EXACT_DIGITS = np.uint64(19)  # 19 decimal digits always fit uint64
EXACT_POWER = 22
DOUBT = 2.0**-50  # the correction of a long quotient is known to about 2**-52 of itself
SPLIT = 2.0**27 + 1.0
EXPONENT_DIGITS = np.uint64(4)
POWERS_OF_TEN = np.array([float(f"1e{power}") for power in range(EXACT_POWER + 1)])
LARGEST_INDEX = np.uint64(np.iinfo(np.int32).max)

SHORT_ROW = 64  # entries of a row that are sorted by insertion
# What a scan expects next: a label, a feature, or the weight right behind a label and its colon.
LABEL, FEATURE, WEIGHT = NOUGHT, ONE, TWO

# Indices of the numbers in the state of a scan, which lets the scan stop at any token and go on from there.
POS, ROW, ENTRY, EXPECTED, NEXT_INDEX, WIDTH, LOWEST, UNSORTED, FAILED, PENDING = range(10)


@compiled
def count(text):
    """Colons and newlines of the text."""
    colons = 0
    newlines = 0
    for char in text:
        colons += char == COLON
        newlines += char == NEWLINE
    return colons, newlines


@jitable
def is_space(char):
    return char == SPACE or np.uint64(char) - TAB <= SPAN_OF_CONTROLS


@jitable
def ends_token(char):
    return is_space(char) or char == HASH


@jitable
def next_line(text, pos):
    while text[pos] != NEWLINE:
        pos += ONE
    return pos + ONE


@jitable
def read_digits(text, pos, value):
    digit = np.uint64(text[pos]) - DIGIT_ZERO
    while digit <= NINE:
        value = value * TEN + digit
        pos += ONE
        digit = np.uint64(text[pos]) - DIGIT_ZERO
    return pos, value


@jitable
def read_exponent(text, pos, power):
    """End, power plus the exponent at pos, and whether there is one; one of many digits counts as 10**6."""
    negative = text[pos] == MINUS
    if negative or text[pos] == PLUS:
        pos += ONE
    end, size = read_digits(text, pos, NOUGHT)
    explicit = np.int64(10**6) if end - pos > EXPONENT_DIGITS else np.int64(size)
    return end, power - explicit if negative else power + explicit, end != pos


@jitable
def long_quotient(mantissa, power):
    """Quotient mantissa / 10**power beyond 2**53, and whether the last bit is certain.

    The quotient of the leading bits is corrected by its exact remainder; if moving the correction by
    more than its own error changes the sum, the true value lies next to a rounding boundary.
    """
    divisor = POWERS_OF_TEN[power]
    leading = np.float64(mantissa)
    trailing = np.float64(np.int64(mantissa - np.uint64(leading)))
    quotient = leading / divisor
    high, low = product(quotient, divisor)
    correction = (((leading - high) - low) + trailing) / divisor
    value = quotient + correction * (1.0 + DOUBT)
    return value, value == quotient + correction * (1.0 - DOUBT)


@jitable
def product(a, b):
    """Product a * b as an unevaluated, exact sum of two doubles (Dekker, 1971)."""
    a_high, b_high = a * SPLIT, b * SPLIT
    a_high, b_high = a_high - (a_high - a), b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    high = a * b
    return high, ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low


@jitable
def leading_zeros(text, pos):
    zeros = NOUGHT
    while text[pos] == DIGIT_ZERO or text[pos] == POINT:
        zeros += np.uint64(text[pos] == DIGIT_ZERO)
        pos += ONE
    return zeros


@jitable
def read_decimal(text, pos):
    """End, digits as an integer, their number and the power of ten of the decimal at pos."""
    start = pos
    pos, mantissa = read_digits(text, pos, NOUGHT)
    digits = pos - start
    power = np.int64(0)
    if text[pos] == POINT:
        start = pos + ONE
        pos, mantissa = read_digits(text, start, mantissa)
        digits += pos - start
        power -= np.int64(pos - start)
    return pos, mantissa, digits, power


@jitable
def short_value(mantissa, digits, power):
    """Value of mantissa * 10**power, and whether one exactly rounded operation gave it."""
    if digits > EXACT_DIGITS or mantissa > EXACT_MANTISSA or power > EXACT_POWER or power < -EXACT_POWER:
        return 0.0, False
    value = np.float64(np.int64(mantissa))
    if power < 0:
        value /= POWERS_OF_TEN[np.uint64(-power)]
    elif power > 0:
        value *= POWERS_OF_TEN[np.uint64(power)]
    return value, True


@jitable
def long_value(text, pos, mantissa, digits, power):
    """Value of mantissa / 10**-power beyond 2**53, and whether its last bit is certain."""
    digits -= leading_zeros(text, pos)
    if digits > EXACT_DIGITS or power > 0 or power < -EXACT_POWER:
        return 0.0, False
    return long_quotient(mantissa, np.uint64(-power))


@jitable
def skip_query(text, pos):
    """End of a ``qid:N`` after pos; pos itself where there is none."""
    end = pos
    while is_space(text[end]) and text[end] != NEWLINE:
        end += ONE
    if text[end] != LETTER_Q or text[end + ONE] != LETTER_I or text[end + TWO] != LETTER_D:
        return pos
    if text[end + THREE] != COLON:
        return pos
    start = end + FOUR
    end, _ = read_digits(text, start, NOUGHT)
    return end if end != start and ends_token(text[end]) else pos


@jitable
def read_index(text, pos, lowest_allowed, highest_allowed):
    """Position after the colon, the index, and whether the ``index:`` at pos is sound."""
    end, index = read_digits(text, pos, NOUGHT)
    sound = end != pos and end - pos <= EXACT_DIGITS and text[end] == COLON
    sound = sound and lowest_allowed <= index <= highest_allowed
    return end + ONE, index, sound


@jitable
def ends_label(text, end, weighted):
    """Whether a label may end here: at the end of its token or, in a text with weights, at a colon with more behind."""
    return text[end] == COLON and not ends_token(text[end + ONE]) if weighted else ends_token(text[end])


@compiled
def scan(text, state, lowest_allowed, highest_allowed, slow, labels, weights, indptr, indices, data):
    """Fill the arrays from ``state[POS]`` to the end, the first malformed token, or a full ``slow``.

    The text ends in a newline, so that no inner loop has to look for its end. It has weights unless ``weights`` is
    empty. A row of ``slow`` is (LABEL, FEATURE or WEIGHT, position in its array, start, end) of a number left to
    Python, as a large label is too.
    """
    text, state, slow, labels, weights = borrowed((text, state, slow, labels, weights))
    indptr, indices, data = borrowed((indptr, indices, data))
    pos, row, entry, next_index = state[POS], state[ROW], state[ENTRY], state[NEXT_INDEX]
    width, lowest, unsorted = state[WIDTH], state[LOWEST], state[UNSORTED]
    expected, sound, pending = state[EXPECTED], True, NOUGHT
    size, room, weighted = np.uint64(text.size), np.uint64(slow.shape[0]), weights.size != 0
    while pos < size and pending < room:
        if text[pos] == NEWLINE or text[pos] == HASH:
            row += expected  # LABEL before anything, FEATURE once there is a label; there is no end before a WEIGHT
            indptr[row] = entry
            expected = LABEL
            pos = next_line(text, pos)
            continue
        if is_space(text[pos]):
            pos += ONE
            continue
        start, index, sound = pos, NOUGHT, True
        if expected == FEATURE:
            start, index, sound = read_index(text, pos, lowest_allowed, highest_allowed)
        if not sound:
            break
        negative = text[start] == MINUS
        digit = start + np.uint64(negative or text[start] == PLUS)
        end, mantissa, digits, power = read_decimal(text, digit)
        sound = digits != NOUGHT
        if np.uint64(text[end]) | LOWER_CASE == LETTER_E:
            end, power, present = read_exponent(text, end + ONE, power)
            sound &= present
        if expected == FEATURE:
            sound &= ends_token(text[end])
        elif expected == LABEL:
            sound &= ends_label(text, end, weighted)
        else:
            sound &= ends_token(text[end]) and not negative
        if not sound:
            break
        value, certain = short_value(mantissa, digits, power)
        if not certain:
            value, certain = long_value(text, digit, mantissa, digits, power)
        if not certain or (expected == LABEL and value >= LARGEST_EXACT):
            slow[pending, 0] = expected
            slow[pending, 1] = entry if expected == FEATURE else row
            slow[pending, 2] = start
            slow[pending, 3] = end
            pending += ONE
        value = -value if negative else value
        if expected == FEATURE:
            indices[entry], data[entry] = index, value
            entry += ONE
            unsorted |= np.uint64(index < next_index)
            next_index = index + ONE
            width, lowest = max(width, next_index), min(lowest, index)
        elif expected == LABEL and weighted:
            labels[row] = value
            expected = WEIGHT
            end += ONE
        else:
            if expected == LABEL:
                labels[row] = value
            else:
                weights[row] = value
            expected, next_index = FEATURE, NOUGHT
            end = skip_query(text, end)
        pos = end + np.uint64(text[end] == SPACE)
    state[POS], state[ROW], state[ENTRY], state[NEXT_INDEX] = pos, row, entry, next_index
    state[WIDTH], state[LOWEST], state[UNSORTED] = width, lowest, unsorted
    state[EXPECTED], state[FAILED], state[PENDING] = expected, not sound, pending


@compiled
def sort_rows(indptr, indices, data):
    """Sort each row by column, in place and stably; returns the first row with a repeated column, or -1."""
    repeated = -1
    for row in range(indptr.size - 1):
        start, stop = indptr[row], indptr[row + 1]
        ascending = True
        for entry in range(start + 1, stop):
            ascending &= indices[entry - 1] < indices[entry]
        if ascending:
            continue
        if stop - start <= SHORT_ROW:  # by insertion, which allocates nothing
            for entry in range(start + 1, stop):
                index, value, place = indices[entry], data[entry], entry
                while place > start and indices[place - 1] > index:
                    indices[place], data[place] = indices[place - 1], data[place - 1]
                    place -= 1
                indices[place], data[place] = index, value
        else:
            order = np.argsort(indices[start:stop], kind="mergesort")
            indices[start:stop] = indices[start:stop][order]
            data[start:stop] = data[start:stop][order]
        for entry in range(start + 1, stop):
            if repeated < 0 and indices[entry - 1] == indices[entry]:
                repeated = row
    return repeated
