"""Our own recognisers: which patterns find which type of sensitive data."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ...streaming.patterns import Pattern, Validator
from . import checksums

_LIKELY = 0.6
_POSSIBLE = 0.4
_ONLY_IN_CONTEXT = 0.05
_LONGEST = 4096
"""For keys in several lines; the other expressions bound themselves."""

# A number stands alone: no word character and no "digit + separator" before it.
_FREE = r"(?<![\w+])(?<!\d[.,:/-])"
_END = r"(?!\w)(?![-.,]\d)"


def _of(
    entity: str,
    expression: str,
    validate: Validator | None = None,
    score: float = _LIKELY,
    *,
    context: str | None = None,
    context_score: float = _POSSIBLE,
    flags: str = "",
) -> Pattern:
    return Pattern(
        name=entity,
        expression=expression,
        replacement=f"<{entity}>",
        flags=flags,
        validate=validate,
        context=context,
        score=score,
        context_score=max(score, context_score) if context else score,
        max_match_length=_LONGEST,
        trusted=True,
    )


def _in_context(entity: str, expression: str, context: str, validate: Validator | None = None) -> Pattern:
    return _of(entity, expression, validate, _ONLY_IN_CONTEXT, context=context)


_EMAIL = (
    _of(
        "EMAIL_ADDRESS",
        r"(?<![\w%+-])[\w%+-][\w.%+'-]{0,63}@(?:[\w-]{1,63}\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,30})(?!\w)",
        score=0.9,
    ),
)

_CALLED = (
    r"\b(?:phone|tel|telephone|mobile|cell|cellphone|fax|desk|call|dial|ring|reach|text|sms|whatsapp"
    r"|messages? to|contact|hotline|landline)\b"
)
_PHONE = (
    _of(
        "PHONE_NUMBER",
        _FREE + r"(?:(?:\+|00)?1[ .-]?)?(?:\(\d{3}\) ?|[2-9]\d{2}[ .-])\d{3}[ .-]\d{4}"
        r"(?: ?(?:x|ext\.? ?)\d{1,5})?" + _END,
        checksums.phone,
    ),
    _of(
        "PHONE_NUMBER",
        r"(?<![\w+])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,5}"
        r"(?: ?(?:x|ext\.? ?)\d{1,5})?" + _END,
        checksums.phone,
    ),
    _of(
        "PHONE_NUMBER",
        r"(?<![\w+])\+1[ .-]?\d{3}[ .-]?\d{3}[ .-]?\d{4}(?: ?x\d{1,5})?" + _END,
        checksums.phone,
    ),
    _of(
        "PHONE_NUMBER",
        _FREE + r"0\d{1,4}[ .-]\d{2,4}(?:[ .-]\d{2,4}){1,4}" + _END,
        checksums.long_phone,
        0.5,
    ),
    _in_context(
        "PHONE_NUMBER",
        _FREE + r"(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,7}){1,4}" + _END,
        _CALLED,
        checksums.phone,
    ),
)

_CARD = tuple(
    _of("CREDIT_CARD", r"(?<!\w)(?<!\d[.,])" + shape + _END, checksums.card, 0.8)
    for shape in (
        r"\d{12,19}",
        r"\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}",
        r"\d{4}[ -]\d{6}[ -]\d{4,5}",
        r"\d(?:[ -]{0,2}\d){11,18}",
    )
)


def _iban_expression() -> str:
    countries: dict[int, list[str]] = {}
    for country, length in checksums.IBAN_LENGTHS.items():
        countries.setdefault(length, []).append(country)
    shapes = []
    for length, names in countries.items():
        groups, rest = divmod(length - 4, 4)
        tail = rf"[ -]?[A-Z0-9]{{{rest}}}" if rest else ""
        shapes.append(rf"(?<=(?:{'|'.join(names)})\d\d)(?:[ -]?[A-Z0-9]{{4}}){{{groups}}}{tail}")
    return rf"(?<!\w)[A-Z]{{2}}\d{{2}}(?:{'|'.join(shapes)})(?!\w)"


_IBAN = (_of("IBAN_CODE", _iban_expression(), checksums.iban, 0.95, flags="i"),)

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]\d|\d)"
_IP = (
    _of(
        "IP_ADDRESS",
        rf"(?<![\w.])(?<!ersion )(?:{_OCTET}\.){{3}}{_OCTET}(?![\w])(?!\.\d)(?:/\d{{1,2}}(?!\w))?",
        score=0.8,
    ),
    _of(
        "IP_ADDRESS",
        rf"(?<![\w:.])[0-9a-fA-F]{{0,4}}:[0-9a-fA-F]{{0,4}}:(?:[0-9a-fA-F]{{0,4}}:){{0,5}}(?:(?:{_OCTET}\.){{3}}{_OCTET}|[0-9a-fA-F]{{1,4}}|(?<=::))(?![\w:])",
        checksums.ip_v6,
    ),
)

_IN_URL = r"[^\s<>\"'`{}|\\^]"
_URL_END = r"[^\s<>\"'`{}|\\^.,;:!?)\]*_]"
_URL = (
    _of(
        "URL",
        rf"(?<!\w)(?:https?|ftps?|wss?)://{_IN_URL}{{0,2000}}{_URL_END}",
        flags="i",
    ),
    _of(
        "URL",
        rf"(?<![\w@.])www\.[\w-]{{1,63}}\.{_IN_URL}{{1,2000}}(?<={_URL_END})",
        flags="i",
    ),
    _of(
        "URL",
        r"(?<![\w@.-])[A-Za-z0-9-]{1,63}\.(?:[A-Za-z0-9-]{1,63}\.){0,3}(?:com|org|net|edu|gov)(?![\w-])(?!\.\w)"
        rf"(?:/(?:{_IN_URL}{{0,2000}}{_URL_END})?)?",
        score=0.5,
    ),
)
_URL_CREDENTIALS = (
    _of(
        "URL_CREDENTIALS",
        r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@<>\"']{0,64}:[^\s/@<>\"']{1,128}@",
        score=0.9,
    ),
)

_SSN_WORDS = r"\b(?:ssn|social security|soc sec)\b"
_SSN = (
    *(
        _of(
            "US_SSN", rf"{_FREE}(?!000|666|9)\d{{3}}{dash}(?!00)\d{{2}}{dash}(?!0000)\d{{4}}{_END}", score=0.7
        )
        for dash in (" ", "-")
    ),
    _in_context("US_SSN", rf"{_FREE}(?!000|666|9)\d{{3}}(?!00)\d{{2}}(?!0000)\d{{4}}{_END}", _SSN_WORDS),
)
_ITIN_GROUP = r"(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])"
_ITIN = (
    *(
        _of("US_ITIN", rf"{_FREE}9\d{{2}}{dash}{_ITIN_GROUP}{dash}\d{{4}}{_END}", score=0.7)
        for dash in (" ", "-")
    ),
    _in_context(
        "US_ITIN", rf"{_FREE}9\d{{2}}{_ITIN_GROUP}\d{{4}}{_END}", r"\b(?:itin|individual taxpayer|tax ?id)\b"
    ),
)
_PASSPORT = (_in_context("US_PASSPORT", rf"{_FREE}(?:[A-Za-z]\d{{8}}|\d{{9}}){_END}", r"\bpassport\b"),)
_BANK = (
    _in_context(
        "US_BANK_NUMBER",
        rf"{_FREE}\d{{8,17}}{_END}",
        r"\b(?:bank|account|acct|routing|checking|savings|deposit|debit)\b",
    ),
)
_LICENSE = (
    _in_context(
        "US_DRIVER_LICENSE",
        rf"{_FREE}(?:[A-Za-z]\d{{3,14}}|[A-Za-z]{{2}}\d{{3,14}}|\d{{6,14}}|\d{{3,4}})(?:-\d{{2,8}}){{0,3}}{_END}",
        r"\b(?:driver'?s?'? licen[cs]e|driving licen[cs]e|drivers? lic|dl (?:number|no|#)|learner'?s permit)",
        lambda text: len(checksums.digits_of(text)) >= 6,
    ),
)
_NHS_WORDS = r"\b(?:nhs|national health|health service|patient)\b"
_NHS = (
    _of(
        "UK_NHS",
        rf"{_FREE}\d{{3}}[ -]\d{{3}}[ -]\d{{4}}{_END}",
        checksums.nhs,
        0.5,
        context=_NHS_WORDS,
        context_score=0.9,
    ),
    _of("UK_NHS", rf"{_FREE}\d{{10}}{_END}", checksums.nhs, 0.1, context=_NHS_WORDS, context_score=0.9),
)
_CRYPTO = (
    _of(
        "CRYPTO",
        r"(?<!\w)(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[ac-hj-np-z02-9]{25,71}|0x[0-9a-fA-F]{40})(?!\w)",
        checksums.crypto,
        0.9,
    ),
)
_DEA = (_of("MEDICAL_LICENSE", r"(?<!\w)[A-Za-z][A-Za-z9]\d{7}(?!\w)", checksums.dea, 0.5),)

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAY = r"(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?:19|20)\d{2}"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
_DATE = (
    _of(
        "DATE_TIME",
        rf"{_FREE}{_YEAR}-\d{{1,2}}-\d{{1,2}}(?:[T ]{_TIME}(?:Z|[+-]\d{{2}}:?\d{{2}})?)?(?!\w)(?!-\d)",
        checksums.date,
    ),
    _of("DATE_TIME", rf"{_FREE}{_YEAR}[/.]\d{{1,2}}[/.]\d{{1,2}}{_END}", checksums.date),
    _of("DATE_TIME", rf"{_FREE}\d{{1,2}}/\d{{1,2}}/(?:\d{{4}}|\d{{2}}){_END}(?!/)", checksums.date),
    _of("DATE_TIME", rf"{_FREE}\d{{1,2}}(?:\.\d{{1,2}}\.|-\d{{1,2}}-){_YEAR}{_END}", checksums.date),
    _of("DATE_TIME", rf"(?<!\w){_MONTH}\.? {_DAY}(?:,? {_YEAR})?(?!\w)"),
    _of("DATE_TIME", rf"(?<![\w.]){_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?(?!\w)"),
    _of("DATE_TIME", rf"(?<!\w){_MONTH},? {_YEAR}(?!\w)"),
    _of("DATE_TIME", rf"{_FREE}{_TIME}(?: ?[AaPp]\.?[Mm]\b)?(?![\w:])"),
    _of("DATE_TIME", rf"{_FREE}(?:1[0-2]|0?[1-9])(?::[0-5]\d)? ?(?:[AaPp]\.[Mm]\.|[AaPp][Mm]\b)"),
    _of(
        "DATE_TIME",
        rf"{_FREE}{_YEAR}(?![\w%])(?![-.,:]\d)",
        score=_ONLY_IN_CONTEXT,
        context=r"\b(?:in|during|since|until|till|year|circa|founded|born|act of|early|late|mid) \Z",
    ),
    _of("DATE_TIME", rf"{_FREE}(?<= a ){_YEAR}(?= [A-Z][a-z])", score=0.3),
)

_KEY_NAME = (
    r"(?:api|access|secret|private|auth|client|encryption|signing|account)[ _-]?(?:key|token|secret)"
    r"|secret|token|passw(?:or)?d|apikey"
)
_ASSIGNMENT = re.compile(r"(?s)(.*?[:=]\s*[\"']?)([^\s\"':=].*)")


def _assigned(text: str) -> tuple[str, str]:
    """What stands before a value that is assigned, and the value."""
    found = _ASSIGNMENT.match(text)
    return (found[1], found[2]) if found else ("", text)


def _assigns_a_key(text: str) -> bool:
    return checksums.random_looking(_assigned(text)[1])


_SECRET = (
    _of(
        "SECRET_KEY",
        r"(?<![A-Za-z0-9])(?:sk-[\w-]{20,220}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,128}|nvapi-[\w-]{20,128}"
        r"|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_\w{22,255}|glpat-[\w-]{20,64}"
        r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}|AIza[\w-]{35}|hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}"
        r"|SG\.[\w-]{16,32}\.[\w-]{16,64}|pypi-[\w-]{50,255}|ya29\.[\w-]{20,255})(?!\w)",
        score=0.95,
    ),
    _of(
        "SECRET_KEY",
        r"(?<![\w-])eyJ[\w-]{8,2000}\.eyJ[\w-]{8,3000}\.[\w-]{0,2000}",
        score=0.95,
    ),
    _of(
        "SECRET_KEY",
        r"(?<![-\w])-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----"
        r"(?:[\sA-Za-z0-9+/=:,-]{0,3900}-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----)?",
        score=0.95,
    ),
    _of(
        "SECRET_KEY",
        rf"(?<![A-Za-z0-9])(?:{_KEY_NAME})[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?[\w\-./+=~]{{8,200}}",
        _assigns_a_key,
        0.8,
        flags="i",
    ),
)

OWN: dict[str, tuple[Pattern, ...]] = {
    patterns[0].name: patterns
    for patterns in (
        *(_EMAIL, _PHONE, _CARD, _IBAN, _IP, _URL, _URL_CREDENTIALS, _SSN, _ITIN, _PASSPORT, _BANK),
        *(_LICENSE, _NHS, _CRYPTO, _DEA, _DATE, _SECRET),
    )
}
"""The types that are found without any package, in order of precedence where matches tie."""


def masking(entity: str, mask_token: str) -> str | Callable[[str], str]:
    """What stands in for a match of a type; a token other than `*` is repeated over its length."""
    mark = f"<{entity}>"

    def cover(text: str) -> str:
        return mark if mask_token == "*" else (mask_token * len(text))[: len(text)]

    if entity == "SECRET_KEY":
        return lambda text: _keeping_the_name(text, cover)
    return mark if mask_token == "*" else cover


def _keeping_the_name(text: str, cover: Callable[[str], str]) -> str:
    before, value = _assigned(text) if re.match(rf"(?i:{_KEY_NAME})", text) else ("", text)
    return before + cover(value)


def known_types(custom: Iterable[str]) -> set[str]:
    """The types that can be found here: our own and those of the configuration's recognisers."""
    return {*OWN, *custom}
