"""Checksums and shapes that tell a real number from one that only looks like it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from hashlib import sha256
from math import log2

# Length of an IBAN by country. Source: SWIFT, IBAN registry.
IBAN_LENGTHS = {
    **dict.fromkeys(["NO"], 15),
    **dict.fromkeys(["BE"], 16),
    **dict.fromkeys(["DK", "FI", "FK", "FO", "GL", "NL", "SD"], 18),
    **dict.fromkeys(["MK", "SI"], 19),
    **dict.fromkeys(["AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"], 20),
    **dict.fromkeys(["CH", "CR", "HR", "LI", "LV"], 21),
    **dict.fromkeys(["BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA"], 22),
    **dict.fromkeys(["AE", "GI", "IL", "IQ", "OM", "SO", "TL"], 23),
    **dict.fromkeys(["AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"], 24),
    **dict.fromkeys(["LY", "PT", "ST"], 25),
    **dict.fromkeys(["IS", "TR"], 26),
    **dict.fromkeys(["BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"], 27),
    **dict.fromkeys(["AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"], 28),
    **dict.fromkeys(["BR", "EG", "PS", "QA", "UA"], 29),
    **dict.fromkeys(["JO", "KW", "MU", "YE"], 30),
    **dict.fromkeys(["MT", "SC"], 31),
    **dict.fromkeys(["LC"], 32),
    **dict.fromkeys(["RU"], 33),
}
_NOT_DIGITS = re.compile(r"\D+")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# Prefixes of card numbers by issuer, with the lengths they come in.
_CARD_ISSUERS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"6011|64[4-9]|65|622"), (16, 19)),
    (re.compile(r"3(?:0[0-59]|[689])"), (14, 16)),
    (re.compile(r"35"), (16,)),
    (re.compile(r"2131|1800"), (15,)),
    (re.compile(r"5018|5020|5038|5[6-9]|6[0-9]"), (12, 13, 14, 15, 16, 17, 18, 19)),
)
_LEAST_ENTROPY_BITS = 3.0
_LEAST_SECRET_LENGTH = 12


def digits_of(text: str) -> str:
    """The digits of a text."""
    return _NOT_DIGITS.sub("", text)


def luhn(text: str) -> bool:
    """Whether the digits pass the check of ISO/IEC 7812-1."""
    total = 0
    for place, char in enumerate(reversed(digits_of(text))):
        digit = int(char) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def card(text: str) -> bool:
    """Whether it is a card number of a known issuer, with a good check digit."""
    number = digits_of(text)
    if len(set(number)) == 1:
        return False
    known = any(prefix.match(number) and len(number) in lengths for prefix, lengths in _CARD_ISSUERS)
    return known and luhn(number)


def iban(text: str) -> bool:
    """Whether it has its country's length and a remainder of 1 modulo 97 (ISO 13616)."""
    plain = re.sub(r"[ -]", "", text).upper()
    if len(plain) != IBAN_LENGTHS.get(plain[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def nhs(text: str) -> bool:
    """Whether the tenth digit is the check digit of a number of the British health service."""
    number = digits_of(text)
    if len(number) != 10 or len(set(number)) == 1:
        return False
    check = 11 - sum(int(char) * (10 - place) for place, char in enumerate(number[:9])) % 11
    return check % 11 == int(number[9]) and check != 10


def dea(text: str) -> bool:
    """Whether the last digit is the check digit of a registration with the American DEA."""
    number = digits_of(text)[-7:]
    odd = sum(int(char) for char in number[0:6:2])
    even = sum(int(char) for char in number[1:6:2])
    return len(number) == 7 and (odd + 2 * even) % 10 == int(number[6])


def crypto(text: str) -> bool:
    """Whether it is a wallet: base58check by its checksum, others by their shape."""
    if text[0] not in "13":
        return True
    number = 0
    for char in text:
        number = number * 58 + _BASE58.index(char)
    if number >= 1 << 200:
        return False
    raw = number.to_bytes(25, "big")
    return sha256(sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def ip_v6(text: str) -> bool:
    """Whether it is an IPv6 address, and not just two words around `::`."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return any(char.isdigit() for char in text) and (text.count(":") > 2 or len(text) > 5)


def phone(text: str) -> bool:
    """Whether it has the digits of a phone number and does not read as a date or an IP address."""
    number = digits_of(re.split(r"\s?(?:x|ext)", text, maxsplit=1)[0])
    return 7 <= len(number) <= 15 and not _DATE_LIKE.fullmatch(text) and len(set(number)) > 1


_DATE_LIKE = re.compile(
    r"(?:19|20)\d\d([-./ ])\d\d?\1\d\d?(?: \d\d?)?|\d\d?([-./ ])\d\d?\2(?:19|20)\d\d(?: \d\d?)?"
    r"|(?:\d{1,3}\.){3}\d{1,3}|(?:19|20)\d\d ?- ?(?:19|20)\d\d"
)


def long_phone(text: str) -> bool:
    """As `phone`, with the 9 digits or more of a number that begins with a trunk or country code."""
    return phone(text) and len(digits_of(text)) >= 9


def date(text: str) -> bool:
    """Whether a date in figures has a possible day and month."""
    parts = [int(part) for part in re.findall(r"\d+", text)[:3]]
    day_and_month = parts[1:] if parts[0] > 31 else parts[:2]
    return min(day_and_month) >= 1 and max(day_and_month) <= 31 and min(day_and_month) <= 12


def random_looking(text: str) -> bool:
    """Whether a value has the length, the mixture and the entropy of a generated key."""
    if len(text) < _LEAST_SECRET_LENGTH:
        return False
    mixed = any(char.isdigit() for char in text) and any(char.isalpha() for char in text)
    shares = [count / len(text) for count in Counter(text).values()]
    return mixed and -sum(share * log2(share) for share in shares) >= _LEAST_ENTROPY_BITS
