"""Values that identify persons, accounts and machines, drawn by Faker or as their issuers publish them.

Checksums are those of python-stdnum, phonenumbers, base58 and bech32, never those of the detectors.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import base58
import bech32
import phonenumbers
import stdnum.exceptions
import stdnum.iban
import stdnum.luhn
from Crypto.Hash import keccak
from faker import Faker
from stdnum import numdb
from stdnum.au import abn, acn, tfn
from stdnum.br import cnpj
from stdnum.de import idnr
from stdnum.eu import vat
from stdnum.gb import nhs
from stdnum.in_ import aadhaar, pan
from stdnum.kr import rrn

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

DIGITS = string.digits
UPPER = string.ascii_uppercase

TEMPLATES = {
    "EMAIL_ADDRESS": ["Please write to {} about it.", "From: {}\nSubject: offer", "{} has not answered yet"],
    "PHONE_NUMBER": ["Call me at {} tomorrow.", "Phone: {}", "My mobile is {}, my name is Kim."],
    "CREDIT_CARD": ["The card {} was declined.", "Charge {} for the order.", "cc={}"],
    "IBAN_CODE": ["Transfer it to {} by Friday.", "IBAN: {}", "account {} at the bank"],
    "US_SSN": ["My social security number is {}.", "SSN: {}", "The form says {} under ssn."],
    "US_ITIN": ["ITIN {}", "My individual taxpayer identification number is {}.", "He files with ITIN: {}."],
    "US_PASSPORT": ["My passport number is {}.", "US passport {} expires in May", "Passport No. {}"],
    "US_DRIVER_LICENSE": ["Driver's license: {}", "My driver license number is {}.", "DL# {} was suspended"],
    "US_BANK_NUMBER": [
        "My bank account number is {}.",
        "Account number: {}",
        "Deposit it to checking account {}.",
    ],
    "ABA_ROUTING_NUMBER": ["Routing number: {}", "ABA {}", "Use routing number {} for the wire."],
    "US_NPI": ["NPI: {}", "The provider's NPI is {}.", "National Provider Identifier {}"],
    "MEDICAL_LICENSE": ["DEA number {}", "Prescriber DEA: {}", "His DEA registration is {}."],
    "UK_NHS": ["NHS number: {}", "Her NHS no. is {}.", "Patient {} (NHS number) was seen today."],
    "UK_NINO": ["National Insurance number {}", "My NI number is {}.", "NINO: {}"],
    "EU_VAT_NUMBER": ["VAT number: {}", "Our VAT ID is {}.", "Invoice to Example BV, VAT {}"],
    "DE_TAX_ID": ["Steuer-ID: {}", "Meine Steueridentifikationsnummer lautet {}.", "IdNr. {}"],
    "DE_ID_CARD": ["Personalausweis {}", "Ausweisnummer: {}", "Mein Personalausweis hat die Nummer {}."],
    "FR_NIR": ["NIR : {}", "Numéro INSEE {}", "Mon numéro de sécurité sociale est le {}."],
    "ES_NIF": ["Mi DNI es {}.", "NIF: {}", "con DNI {} y domicilio en Madrid"],
    "ES_NIE": ["Mi NIE es {}.", "NIE: {}", "titular del NIE {}"],
    "IT_FISCAL_CODE": ["Codice fiscale: {}", "Il mio codice fiscale è {}.", "C.F. {}"],
    "PL_PESEL": ["PESEL: {}", "Numer PESEL {} w formularzu", "Mój PESEL to {}."],
    "NL_BSN": ["BSN: {}", "Mijn burgerservicenummer is {}.", "BSN-nummer {}"],
    "IN_PAN": ["PAN: {}", "My PAN card number is {}.", "Permanent Account Number {}"],
    "IN_AADHAAR": ["Aadhaar: {}", "My Aadhaar number is {}.", "UIDAI {}"],
    "SG_NRIC_FIN": ["NRIC: {}", "My FIN is {}.", "NRIC No. {} was checked at the door."],
    "AU_TFN": ["TFN: {}", "My tax file number is {}.", "Tax File Number {}"],
    "AU_ABN": ["ABN {}", "Our ABN is {}.", "Australian Business Number: {}"],
    "AU_ACN": ["ACN {}", "The company's ACN is {}.", "Example Pty Ltd (ACN {})"],
    "AU_MEDICARE": ["Medicare card {}", "My Medicare number is {}.", "Medicare: {}"],
    "KR_RRN": ["RRN: {}", "주민등록번호 {}", "The resident registration number {} is on the card."],
    "BR_CPF": ["CPF: {}", "Meu CPF é {}.", "inscrito no CPF sob o nº {}"],
    "BR_CNPJ": ["CNPJ: {}", "O CNPJ da empresa é {}.", "inscrita no CNPJ sob o nº {}"],
    "DATE_OF_BIRTH": ["Date of birth: {}", "She was born on {} in Leeds.", "DOB {}", "Geburtsdatum: {}"],
    "CRYPTO": ["Send it to {} today.", "wallet: {}", "Donations: {}"],
    "IP_ADDRESS": ["The host {} does not answer.", "from {} port 22", "Connect to {} first."],
    "MAC_ADDRESS": ["The card has {}.", "ether {} txqueuelen 1000", "MAC={}"],
    "URL": ["It is described at {} in short.", "<{}>", "See {}."],
}


class Values:
    """Whoever draws values, each entity by the method of its name."""

    def __init__(self, rng: random.Random) -> None:
        Faker.seed(rng.random())
        self.rng = rng
        self.english = Faker("en_US")
        self.local = {
            code: Faker(code)
            for code in ("de_DE", "en_IN", "es_ES", "fr_FR", "it_IT", "ko_KR", "nl_NL", "pl_PL", "pt_BR")
        }
        self.ibans = list(iban_forms())
        self.regions = sorted(phonenumbers.SUPPORTED_REGIONS)

    def some(self, alphabet: str, length: int) -> str:
        return "".join(self.rng.choice(alphabet) for _ in range(length))

    def until(self, draw: Callable[[], str], valid: Callable[[str], bool]) -> str:
        return next(value for value in iter(draw, None) if valid(value))

    def split(self, value: str, *lengths: int, separators: str = " ") -> str:
        """Write a value in groups, half of the time."""
        if self.rng.random() < 0.5:
            return value
        parts, at = [], 0
        for length in lengths:
            parts.append(value[at : at + length])
            at += length
        return self.rng.choice(separators).join(parts)

    def email_address(self) -> str:
        faker = self.rng.choice([self.english, *self.local.values()])
        return self.rng.choice([faker.email, faker.company_email, faker.free_email])()

    def phone_number(self) -> str:
        """Return a number of any region that libphonenumber calls valid."""
        region = self.rng.choice(self.regions)
        kind = self.rng.choice([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE])
        example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
        if example is None:
            return self.phone_number()
        number = phonenumbers.PhoneNumber()
        number.merge_from(example)
        tail = 10**4
        for _ in range(200):
            number.national_number = example.national_number // tail * tail + self.rng.randrange(tail)
            if phonenumbers.is_valid_number(number):
                break
        else:
            number = example
        forms = [phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164]
        if region in {"US", "GB", "FR", "DE", "IT", "ES", "NL"}:
            forms.append(phonenumbers.PhoneNumberFormat.NATIONAL)
        return phonenumbers.format_number(number, self.rng.choice(forms))

    def credit_card(self) -> str:
        kind = self.rng.choice(["visa16", "mastercard", "amex", "discover", "diners", "jcb16", "maestro"])
        digits = self.until(lambda: self.english.credit_card_number(kind), is_issued)
        separator = self.rng.choice(["", " ", "-"])
        if len(digits) in {14, 15}:
            return separator.join([digits[:4], digits[4:10], digits[10:]])
        return separator.join(digits[at : at + 4] for at in range(0, len(digits), 4))

    def iban_code(self) -> str:
        """Return an account of any country of the SWIFT registry."""
        country, bban = self.rng.choice(self.ibans)
        alphabets = {"n": DIGITS, "a": UPPER, "c": DIGITS + UPPER}
        body = "".join(self.some(alphabets[kind], length) for length, kind in bban)
        digits = stdnum.iban.calc_check_digits(f"{country}00{body}")
        compact = country + digits + body
        return self.rng.choice([compact, " ".join(compact[at : at + 4] for at in range(0, len(compact), 4))])

    def us_ssn(self) -> str:
        return self.english.ssn()

    def us_itin(self) -> str:
        return self.english.itin()

    def us_passport(self) -> str:
        """Return nine digits as older books have, or a letter and eight of the Next Generation Passport."""
        return self.rng.choice([self.some(DIGITS, 9), "A" + self.some(DIGITS, 8)])

    def us_driver_license(self) -> str:
        """Return a number as the ten most populous states issue them."""
        forms = [
            ("A", 7),
            ("", 8),
            ("A", 12),
            ("", 9),
            ("", 8),
            ("A", 11),
            ("AA", 6),
            ("", 9),
            ("", 12),
            ("A", 12),
        ]
        letters, digits = self.rng.choice(forms)
        return self.some(UPPER, len(letters)) + self.some(DIGITS, digits)

    def us_bank_number(self) -> str:
        return self.some(DIGITS[1:], 1) + self.some(DIGITS, self.rng.choice([7, 8, 9, 9, 10, 11, 11, 12, 13]))

    def aba_routing_number(self) -> str:
        return self.english.aba()

    def us_npi(self) -> str:
        body = self.rng.choice("12") + self.some(DIGITS, 8)
        return body + stdnum.luhn.calc_check_digit("80840" + body)

    def medical_license(self) -> str:
        digits = self.some(DIGITS, 6)
        check = sum(map(int, digits[::2])) + 2 * sum(map(int, digits[1::2]))
        return self.rng.choice("ABFGMPR") + self.some(UPPER, 1) + digits + str(check % 10)

    def uk_nhs(self) -> str:
        return self.split(self.until(lambda: self.some(DIGITS, 10), nhs.is_valid), 3, 3, 4, separators=" -")

    def uk_nino(self) -> str:
        """Return a number as HMRC allocates them, National Insurance Manual NIM39110."""

        def allocated(value: str) -> bool:
            return not (set("DFIQUV") & set(value[:2]) or value[1] == "O" or value[:2] in UNALLOCATED)

        letters = self.until(lambda: self.some(UPPER, 2), allocated)
        return self.split(letters + self.some(DIGITS, 6) + self.rng.choice("ABCD"), 2, 2, 2, 2, 1)

    def eu_vat_number(self) -> str:
        """Return a number of any member state that python-stdnum calls valid."""
        form = self.rng.choice(VAT_FORMS)
        return self.until(lambda: self.english.bothify(form, letters=UPPER), vat.is_valid)

    def de_tax_id(self) -> str:
        digits = self.rng.sample(DIGITS[1:], 1) + self.rng.sample(DIGITS, 10)
        digits = list(dict.fromkeys(digits))[:9]
        digits.insert(self.rng.randrange(1, 10), self.rng.choice(digits))
        body = "".join(digits)
        return self.split(self.until(lambda: body + self.some(DIGITS, 1), idnr.is_valid), 2, 3, 3, 3)

    def de_id_card(self) -> str:
        """Return a serial number with its check digit, ICAO Doc 9303."""
        alphabet = DIGITS + "CFGHJKLMNPRTVWXYZ"
        body = self.rng.choice("LMNPRTVWXY") + self.some(alphabet, 8)
        check = sum(int(char, 36) * weight for char, weight in zip(body, [7, 3, 1] * 3, strict=True)) % 10
        return f"{body}{check}"

    def fr_nir(self) -> str:
        compact = self.local["fr_FR"].ssn().replace(" ", "")
        return self.split(compact, 1, 2, 2, 2, 3, 3, 2)

    def es_nif(self) -> str:
        return self.local["es_ES"].nif()

    def es_nie(self) -> str:
        return self.local["es_ES"].nie()

    def it_fiscal_code(self) -> str:
        return self.local["it_IT"].ssn()

    def pl_pesel(self) -> str:
        return self.local["pl_PL"].pesel()

    def nl_bsn(self) -> str:
        return self.local["nl_NL"].ssn()

    def in_pan(self) -> str:
        return self.until(self.local["en_IN"].pan, pan.is_valid)

    def in_aadhaar(self) -> str:
        number = self.until(self.local["en_IN"].aadhaar_id, aadhaar.is_valid)
        return self.split(aadhaar.compact(number), 4, 4, 4, separators=" -")

    def sg_nric_fin(self) -> str:
        """Return an identity card's number; M is the series of foreigners since 2022."""
        series = self.rng.choice("STFGM")
        digits = self.some(DIGITS, 7)
        rest = sum(int(digit) * weight for digit, weight in zip(digits, (2, 7, 6, 5, 4, 3, 2), strict=True))
        rest += {"T": 4, "G": 4, "M": 3}.get(series, 0)
        letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "KLJNPQRTUWX"}.get(series, "XWUTRQPNMLK")
        place = 10 - rest % 11 if series == "M" else rest % 11
        return f"{series}{digits}{letters[place]}"

    def au_tfn(self) -> str:
        return self.split(self.until(lambda: self.some(DIGITS, 9), tfn.is_valid), 3, 3, 3)

    def au_abn(self) -> str:
        body = self.some(DIGITS, 9)
        return self.split(abn.calc_check_digits(body) + body, 2, 3, 3, 3)

    def au_acn(self) -> str:
        body = self.some(DIGITS, 8)
        return self.split(body + acn.calc_check_digit(body), 3, 3, 3)

    def au_medicare(self) -> str:
        """Return a card's number, its check digit and the issue."""
        body = self.rng.choice("23456") + self.some(DIGITS, 7)
        check = (
            sum(int(digit) * weight for digit, weight in zip(body, (1, 3, 7, 9, 1, 3, 7, 9), strict=True))
            % 10
        )
        return self.split(f"{body}{check}{self.rng.choice(DIGITS[1:])}", 4, 5, 1)

    def kr_rrn(self) -> str:
        """Return a number of the time before October 2020 with its check digit, or a later one without."""

        def issued(value: str) -> bool:
            return (
                value[2:4] in MONTHS
                and value[4:6] in DAYS
                and (self.rng.random() < 0.5 or rrn.is_valid(value))
            )

        return self.until(self.local["ko_KR"].ssn, issued)

    def br_cpf(self) -> str:
        return self.rng.choice([str, lambda value: value.replace(".", "").replace("-", "")])(
            self.local["pt_BR"].cpf()
        )

    def br_cnpj(self) -> str:
        """Return a company's number; since July 2026 new ones have letters."""
        alphabet = self.rng.choice([DIGITS, DIGITS + UPPER])
        body = self.some(alphabet, 8) + "0001"
        whole = body + cnpj.calc_check_digits(body)
        return self.rng.choice([whole, cnpj.format(whole)])

    def date_of_birth(self) -> str:
        day = self.english.date_of_birth()
        form = self.rng.choice(
            ["%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%d %b %Y"]
        )
        return day.strftime(form)

    def crypto(self) -> str:
        body = self.rng.randbytes(20)
        kind = self.rng.choice(["1", "3", "bc1q", "bc1p", "0x"])
        if kind in "13":
            return base58.b58encode_check((b"\0" if kind == "1" else b"\5") + body).decode()
        if kind == "bc1q":
            return bech32.encode("bc", 0, body)
        if kind == "bc1p":
            return self.rng.choice(TAPROOT)
        small = body.hex()
        digest = keccak.new(digest_bits=256, data=small.encode()).hexdigest()
        pairs = zip(small, digest[:40], strict=True)
        return "0x" + "".join(char.upper() if int(nibble, 16) > 7 else char for char, nibble in pairs)

    def ip_address(self) -> str:
        return self.rng.choice([self.english.ipv4_public, self.english.ipv4_private, self.english.ipv6])()

    def mac_address(self) -> str:
        return self.english.mac_address().replace(":", self.rng.choice(":-"))

    def url(self) -> str:
        return self.rng.choice([self.english.uri, self.english.url, self.english.image_url])()


MONTHS = {f"{month:02}" for month in range(1, 13)}
DAYS = {f"{day:02}" for day in range(1, 29)}
UNALLOCATED = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}

# BIP-350's and BIP-341's own test vectors: there is no key to draw for an address of a point on a curve.
TAPROOT = [
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "bc1p2wsldez5mud2yam29q22wgfh9439spgduvct83k3pm50fcxa5dps59h4z5",
    "bc1pz37fc4cn9ah8anwm4xqqhvxygjf9rjf2resrw8h8w4tmvcs0863sa2e586",
    "bc1punvppl2stp38f7kwv2u2spltjuvuaayuqsthe34hd2dyy5w4g58qqfuag5",
    "bc1pwyjywgrd0ffr3tx8laflh6228dj98xkjj8rum0zfpd6h0e930h6saqxrrm",
]

# Numbers of each member state, as VIES describes them: `#` is a digit, `?` a letter.
VAT_FORMS = [
    *["ATU########", "BE0#########", "BG#########", "CY########?", "CZ########", "DE#########", "DK########"],
    *[
        "EE#########",
        "EL#########",
        "ESA########",
        "ESB########",
        "FI########",
        "FR###########",
        "HR###########",
    ],
    *[
        "HU########",
        "IE#######?",
        "IT###########",
        "LT#######1#",
        "LU########",
        "LV4##########",
        "MT########",
    ],
    *[
        "NL#########B0#",
        "PL##########",
        "PT#########",
        "RO########",
        "SE##########01",
        "SI########",
        "SK##########",
    ],
]


def is_issued(digits: str) -> bool:
    """Leave out what begins with 35 and is not in the range that JCB publishes, which Faker draws too."""
    return not digits.startswith("35") or 3528 <= int(digits[:4]) <= 3589


def iban_forms() -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Yield every country of the SWIFT registry with the rows of its account numbers."""
    countries = numdb.get("iban")
    for country in (first + second for first in UPPER for second in UPPER):
        info = countries.info(country)[0][1]
        if bban := info.get("bban"):
            rows = [row for row in bban.replace("!", "").split(" ") if row]
            yield country, [(int(row[:-1]), row[-1]) for row in split_rows("".join(rows))]


def split_rows(bban: str) -> Iterator[str]:
    """Split `4n4n12c` into its rows."""
    row = ""
    for char in bban:
        row += char
        if char.isalpha():
            yield row
            row = ""


def personal(rng: random.Random, count: int) -> Iterator[tuple[str, str, str]]:
    """Yield an entity, a value of it and a sentence with a place for that, `count` of each entity."""
    values = Values(rng)
    for entity, templates in TEMPLATES.items():
        draw = getattr(values, entity.lower())
        for _ in range(count):
            yield entity, draw(), rng.choice(templates)
