"""Numbers with a fixed count of decimals, as tables show them."""


def fixed(value: float, digits: int = 3) -> str:
    """A number with its decimals; what rounds to zero has no sign.

    >>> fixed(-0.0004), fixed(0.5), fixed(-1.25, 1)
    ('0.000', '0.500', '-1.2')
    """
    return f"{value:z.{digits}f}"


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign; what rounds to zero has none.

    >>> signed(-0.0004), signed(0.0004), signed(0.5), signed(-0.5)
    ('0.000', '0.000', '+0.500', '-0.500')
    """
    rounded = fixed(value, digits)
    return f"+{rounded}" if float(rounded) > 0 else rounded
