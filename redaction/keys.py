"""What the name of a key, a column or a label says about its values. Pure.

A name is read as words, in any spelling: `patientDOB`, `PATIENT_DOB`, `Patient's date of birth`. The last words
decide.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache

import re2

from redaction import scripts, tongues
from redaction.wording import words

_NAMED_BY: dict[str, str] = {
    "PASSWORD": """password pw passwd passphrase passcode passwort kennwort pwd pass pin pincode userpassword
        newpassword storepass keypass
        securityanswer secretanswer otp onetimecode masterpassword motdepasse wifipassword wifikey psk contrasena""",
    "API_KEY": """apikey secretkey clientsecret accesskey accesskeyid privatekeyid secretaccesskey
        privatekey encryptionkey
        signingkey
        secret apisecret appsecret consumersecret sharedsecret webhooksecret secretid sshkey servicekey licensekey
        appkey secretkeybase
        accountkey storagekey masterkey hmackey signingsecret jwtsecret subscriptionkey""",
    "TOKEN": """authorization proxyauthorization authtoken accesstoken refreshtoken bearertoken idtoken sessiontoken
        cookie
        setcookie xapikey xauthtoken token sessionid session sid sessionkey jsessionid phpsessid bearer jwt apitoken
        csrftoken
        xsrftoken bottoken usertoken resettoken pat sessioncookie authcookie xcsrftoken authentication xsessiontoken
        oauthtoken devicetoken pushtoken sastoken sig""",
    "PERSON": """firstname lastname fullname surname givenname familyname middlename maidenname patientname
        customername
        cardholder cardholdername accountholder accountname nameoncard employeename contactname mothersmaidenname
        nextofkin
        mothermaidenname legalname preferredname nickname fname lname forename vorname nachname prenom nombre apellido
        apellidos membername subscribername holdername accountholdername clientname guestname passengername studentname
        recipientname sendername payeename payername ownername authorname doctorname physicianname providername
        insuredname guardianname spousename emergencycontactname buyername sellername tenantname shiptoname billtoname
        beneficiaryname personname username1 realname namefamily namegiven familygiven candidatename agentname
        assigneename reportername managername signatory undersigned applicantname respondentname namefirst namelast
        attendingphysician referringphysician primaryphysician""",
    "DATE_OF_BIRTH": """dob dateofbirth birthdate birthday birthdt born geburtsdatum dateofbirthdob datenaissance
        fechanacimiento birthdatetime dobdate geburtstag bday birth patientbirthdate""",
    "EMAIL": """email emailaddress mail emailid useremail recipientemail contactemail replyto mailto""",
    "PHONE": """phone phonenumber mobile mobilenumber telephone telephonenumber cellphone cell fax faxnumber homephone
        workphone msisdn phoneno mobileno contactnumber tel telefon handy telefono whatsapp callbacknumber
        telecomvalue callerid calleridnumber phonehome phonework telno""",
    "ADDRESS": """address streetaddress street addressline addressline1 homeaddress postaladdress mailingaddress
        billingaddress shippingaddress deliveryaddress postcode zipcode postalcode zip line1 line2 streetname street1
        street2 addr addr1 residence domicile addressstreet adresse anschrift direccion strasse plz residentialaddress
        shipto addressline2 address1 address2""",
    "LOCATION": """gps gpscoordinates coordinates latlng latlon latitude longitude lat lng lon geolocation geo""",
    "NATIONAL_ID": """ssn socialsecuritynumber socialsecurity nino nationalid nationalinsurancenumber aadhaar
        aadhaarnumber
        cpf pesel bsn sin driverslicense driverlicense drivinglicence drivinglicense licensenumber nationalinsurance
        dni nie nif curp idnumber identitynumber personalnumber nationalidnumber driverslicensenumber
        driverlicensenumber
        drivinglicencenumber codicefiscale socialinsurancenumber governmentid aadhar dlnumber ssnnumber ninumber
        socialsecurityno ssno tfn""",
    "PASSPORT": "passport passportnumber passportno passportid reisepass",
    "TAX_ID": "taxid ein tin vatnumber taxnumber taxpayerid itin steuernummer steuerid vatid utr pannumber",
    "PAYMENT_CARD": """cardnumber creditcard creditcardnumber ccnumber pan debitcard cardno cvv cvc cvv2 cvc2
        securitycode
        cardcvv cardcvc cardcode primaryaccountnumber ccnum cc paymentcard debitcardnumber card cardpan
        cardverificationvalue""",
    "IBAN": "iban ibannumber accountiban",
    "BANK_ACCOUNT": """accountnumber bankaccount sortcode routingnumber accountno bankaccountnumber acctnumber acctno
        routing abanumber aba swift bic swiftcode bsb ifsc acct beneficiaryaccount kontonummer routingno
        transitnumber""",
    "MEDICAL_RECORD": """mrn medicalrecordnumber patientid medicalrecord patientidentifier patientnumber medrecno
        hospitalnumber chartnumber patientidentifiervalue medicalrecordno patientno patientmrn encounternumber
        medicalrecordid hospitalno personidentifiervalue healthrecordnumber""",
    "HEALTH_ID": """nhsnumber nhsno memberid npi medicareid medicaidid insuranceid policynumber subscriberid mbi
        membernumber
        insurancenumber healthplanid memberno policyno groupnumber dea deanumber medicarenumber medicaidnumber
        healthcardnumber insuranceno beneficiaryid coverageid policyid npinumber insurancepolicy nhs healthid
        insurancepolicynumber healthinsurancenumber coverageidentifiervalue providernpi practitioneridentifiervalue""",
    "IP_ADDRESS": """ip ipaddress ipaddr clientip remoteaddr remoteip sourceip sourceaddress xforwardedfor xrealip
        userip srcip dstip destip peerip ipv4 ipv6 peeraddress hostip lastloginip loginip""",
    "MAC_ADDRESS": "mac macaddress macaddr hwaddr hardwareaddress",
}  # fmt: skip
_MARKS = "".join(chr(code) for code in range(128) if not chr(code).isalnum())
_TO_WORDS = str.maketrans(dict.fromkeys(_MARKS, " "))
_TO_NOTHING = str.maketrans(dict.fromkeys(_MARKS, ""))
_ENTITY_BY_KEY = {
    tongues.plain_letters(key.translate(_TO_NOTHING)): entity
    for table in (scripts.NAMED_BY, tongues.NAMED_BY, _NAMED_BY)
    for entity, keys in table.items()
    for key in keys.split()
}
_ONLY_WHOLE = tongues.ONLY_WHOLE | words(
    """
    pass pw pin card cc pan session geo sig sid zip lat lon lng secret born birth cell mac ip mail street routing
    aba swift bic sin ein tin tel pat dea nhs line1 line2 address1 address2 otp nie cookie handy residence
    birthday token bearer authentication plz psk fax addr street1 street2 mobile nickname username1 licensekey
    policyid accountname account groupnumber identitynumber secretid sessionkey
    """
)
"""Words that say something alone, or behind an owner, but not at the end of any name."""
_OWNERS = tongues.OWNERS | words(
    """
    patient customer user client employee contact my your his her their our db database new old home work
    billing shipping primary secondary x admin smtp aws github stripe the personal private current account
    member person recipient sender owner buyer seller payer payee emergency guest student applicant beneficiary
    subscriber insured caller mother father spouse parent child doctor physician provider s main alternate
    alternative business office daytime evening card credit debit bank root redis mysql postgres postgresql
    mongo mongodb rabbitmq ftp ssh sftp ldap imap mail mailer wsse slack twilio sendgrid openai anthropic azure
    gcp google vault jenkins gitlab npm docker api app service svc proxy wifi wlan keystore truststore basic
    auth http https webhook bot access refresh session reset csrf xsrf full legal direct preferred last first
    login default temp temporary initial correct real confirm repeat registered permanent residential delivery
    postal mailing street remote source src peer end author reporter requester assignee holder cardholder
    passenger cust usr pt candidate tenant lead prospect jwt django flask rails laravel signing encryption
    grafana elastic elasticsearch kafka nats minio consul export set setx env arg declare const let var val final
    string str static char private
    readonly
    """
)
_VOID = words(
    """
    max min num count total is has no not next prev previous page continuation cancellation sync eos bos pad unk
    mask stop special start need needs requires require invalid missing valid format pattern regex file example
    sample public hash hashed encrypted template host server bind listen memory contract wallet
    """
)
"""Words before the last that make a name say nothing: `max_token`, `next_page_token`, `is_email`, `hashed_password`."""
ROLES = words(
    """
    patient customer client user employee contact person recipient sender owner buyer seller payer payee guest
    student applicant beneficiary subscriber insured caller holder cardholder passenger requester requestor
    reporter assignee author doctor physician attending surgeon nurse provider practitioner performer manager
    approver reviewer member guardian spouse parent mother father witness agent representative tenant landlord
    candidate interviewer consultant teacher instructor driver resident claimant signer signatory insuree
    policyholder accountholder subject individual recorder colleague supervisor lawyer attorney defendant
    plaintiff traveler traveller from to cc attendee organizer organiser speaker participant participants
    attendees employees customers patients contacts prescriber radiologist therapist dentist clinician
    technician paymentmethodholder beneficiaries nextofkin emergencycontact shipto billto name fullname
    displayname personalinfo profile identity kin courier signedby requestedby createdby updatedby assignedto
    preparedby approvedby reportedby submittedby submitter borrower
    """
)
"""Keys that name a person, whose value is one when it looks like a name."""
HANDLES = frozenset(
    [
        "user",
        "username",
        "login",
        "handle",
        "screenname",
        "userid",
        "account",
        "nick",
        "owner",
        "author",
        "user_name",
        "uid",
    ]
)
NAMES = (
    tongues.BARE_NAMES
    | frozenset(tongues.plain_letters(name.replace("'", "")) for name in scripts.BARE_NAMES)
    | {"name", "displayname", "text", "display", "title"}
)
HOLDERS = ("name", "key", "label", "field", "header", "question", "attribute", "property", "variable", "code", "prompt",
           "parameter", "param", "q")  # fmt: skip
"""Keys whose value names what stands beside it in `value`."""
NUMBERED = ("type", "scheme", "kind", "idtype", "doctype", "documenttype", "system")
"""Keys whose value says what `number` beside it is a number of."""
HELD = ("value", "val", "answer", "content", "data", "response", "input", "valuestring", "a")
PERSONAL = frozenset(
    ("EMAIL", "PHONE", "DATE_OF_BIRTH", "NATIONAL_ID", "PASSPORT", "MEDICAL_RECORD", "HEALTH_ID", "ADDRESS", "PERSON",
     "PAYMENT_CARD", "IBAN", "BANK_ACCOUNT", "IP_ADDRESS")
)  # fmt: skip
"""Entities that make a plain `name` beside them a person's."""

_PARTS = tongues.PARTS | {"first", "last", "given", "family", "middle", "surname", "prenom"}
_OF_SETTINGS = {"token": "TOKEN", "secret": "API_KEY", "pat": "TOKEN", "pass": "PASSWORD", "pw": "PASSWORD"}
"""Last words of variables of the environment, `CODECOV_TOKEN`, whatever stands before."""
_MOST_WORDS = 8
_LONGEST_TAIL = 24
_NUMBER_WORDS = words("nr no n num number numero nummer numer cislo broj numara numarasi stevilka numeris numurs nomor")
"""`Personalausweis Nr.` is what `Personalausweis` is."""
_NUMBERED = frozenset(
    ("NATIONAL_ID", "PASSPORT", "TAX_ID", "PHONE", "BANK_ACCOUNT", "PAYMENT_CARD", "HEALTH_ID", "MEDICAL_RECORD")
)
_SHORT_KEY = 64
"""Characters of the longest key whose words are remembered; payloads say the same few over and over."""
_ENDINGS = (
    ROLES
    | NAMES
    | _PARTS
    | tongues.PLACES
    | tongues.STREETS
    | frozenset(_ENTITY_BY_KEY)
    | frozenset(("names", "contact"))
)
_BY_TAIL = defaultdict[str, set[int]](set)
"""The last two letters of an ending → the lengths of those that have them."""
for _ending in _ENDINGS:
    _BY_TAIL[_ending[-2:]].add(len(_ending))
_WORD = re2.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_HARMLESS = words(
    """
    string number integer boolean object array null none true false unknown required optional n/a na bearer
    basic text uuid nil undefined yes no redacted hidden masked empty default enabled disabled on off - -- ...
    anonymous guest email phone password token name address date self any
    """
)


def words_of(key: str) -> tuple[str, ...]:
    """The words of a key, in lower case: `patientDOB` gives `patient`, `dob`."""
    return _short_key_words(key) if len(key) <= _SHORT_KEY else _key_words(key)


def _key_words(key: str) -> tuple[str, ...]:
    found = list[str]()
    for part in key.translate(_TO_WORDS).split():
        if (not part.isascii() and part.lower() == part.upper()) or (
            part.isalpha() and (part.islower() or part.isupper() or part.istitle() or part.lower() == part.upper())
        ):
            found.append(tongues.plain_letters(part))
        else:
            found += _cut(part)
    return tuple(found)


_short_key_words = lru_cache(maxsize=4_096)(_key_words)


def _cut(part: str) -> list[str]:
    """The words of camel case; an acronym ends before the capital of the next word: `GPSLatitude`."""
    found = list[str]()
    for match in _WORD.finditer(part if part.isascii() else _unmarked(part)):
        word = match.group()
        if found and word.islower() and len(found[-1]) > 1 and found[-1].isupper():
            found[-1], word = found[-1][:-1], found[-1][-1] + word
        found.append(word)
    return [word.lower() for word in found]


def _unmarked(part: str) -> str:
    """The same in plain letters, capitals where they were."""
    plain = "".join(
        plain.capitalize() if char.isupper() else plain for char in part for plain in (tongues.plain_letters(char),)
    )
    return plain.encode("utf-8", "replace").decode()


def may_name(key: str) -> bool:
    """Whether a key ends in what some key of the table, or a person's part, ends in; a quick look before `words_of`."""
    plain = tongues.plain_letters(key.translate(_TO_NOTHING))
    bare = plain.rstrip("0123456789")
    return any(plain[-length:] in _ENDINGS for length in _BY_TAIL.get(plain[-2:], ())) or any(
        bare[-length:] in _ENDINGS for length in _BY_TAIL.get(bare[-2:], ())
    )


def may_be_part(key: str) -> bool:
    """Whether a key is `first`, `last` and the like, which mean parts of a name among other personal keys."""
    return tongues.plain_letters(key) in _PARTS


def among_people(key: str) -> str:
    """What a key means among what is known about a person: LOCATION for a town, ADDRESS for a street; else empty."""
    parts = words_of(key)
    last = parts[-1] if parts else ""
    if "".join(parts) in tongues.PLACES or (
        last in tongues.PLACES and (last not in tongues.SHORT_PLACES or len(parts) == 1)
    ):
        return "LOCATION"
    return "ADDRESS" if last in tongues.STREETS and len(parts) <= 2 else ""


def fits_among(entity: str, value: str) -> bool:
    """Whether a text can be what `among_people` says of its key."""
    if entity == "LOCATION":
        return is_place(value)
    return 3 <= len(value) <= 80 and (value[:1].isupper() or any(map(str.isdigit, value))) and "://" not in value


def is_place(value: str) -> bool:
    """Whether a text is one to five words of letters with a capital, as the names of towns are."""
    plain = value.replace("-", " ").replace("'", "").replace("’", "").replace(".", " ").split()
    return 1 <= len(plain) <= 5 and value[:1].isupper() and len(value) <= 50 and all(map(str.isalpha, plain))


def entity_of_key(key: str, parent: str = "") -> str:
    """What the values of a key are, by its name; empty when it says nothing. `max_tokens` says nothing.

    `parent`: the key of the mapping that it stands in, which may say what `number` is a number of.
    """
    is_short = len(key) <= _SHORT_KEY and len(parent) <= _SHORT_KEY
    return _entity_of_short_key(key, parent) if is_short else _entity_of_key(key, parent)


def _entity_of_key(key: str, parent: str) -> str:
    if not parent and not may_name(key):
        return ""
    parts = words_of(key)
    if not parts or len(parts) > _MOST_WORDS:
        return ""
    if key.isupper() and len(parts) > 1 and parts[-1] in _OF_SETTINGS and not _VOID.intersection(parts):
        return _OF_SETTINGS[parts[-1]]
    return _entity(parts) or (_entity_within(parts, parent) if parent else "")


_entity_of_short_key = lru_cache(maxsize=4_096)(_entity_of_key)


def _entity(parts: tuple[str, ...]) -> str:
    if parts[-1].isdigit() and len(parts) > 1 and len(parts[-1]) < 3:
        found = _ENTITY_BY_KEY.get("".join(parts))
        if found:
            return found
        parts = parts[:-1]
    if parts[-1] >= scripts.UNSPACED:
        return next((_ENTITY_BY_KEY[tail] for tail in _tails(parts[-1]) if tail in _ENTITY_BY_KEY), "")
    for first in range(len(parts)):
        plain = "".join(parts[first:])
        entity = _ENTITY_BY_KEY.get(plain)
        if entity is None:
            continue
        before = parts[:first]
        if not before:
            return entity
        if _VOID.intersection(before):
            return ""
        if plain not in _ONLY_WHOLE or all(word in _OWNERS or word.isdigit() for word in before):
            return entity
    if parts[-1] in _NUMBER_WORDS and len(parts) > 1:
        entity = _entity(parts[:-1])
        return entity if entity in _NUMBERED else ""
    return ""


def _tails(word: str) -> Iterator[str]:
    """The ends of a word of a script without blanks, the longest first: `患者氏名`, `者氏名`, `氏名`."""
    return (word[first:] for first in range(max(0, len(word) - _LONGEST_TAIL), len(word) - 1))


def _entity_within(parts: tuple[str, ...], parent: str) -> str:
    """What a key of one word means by the key above it: `card.number`, `address.line`, `auth.pass`."""
    above = words_of(parent)[-2:]
    plain = "".join(parts)
    for first in range(len(above)):
        entity = _ENTITY_BY_KEY.get("".join(above[first:]) + plain)
        if entity:
            return entity
    is_address = bool(above) and above[-1] in ("address", "addresses", "adresse", "location", "residence")
    if is_address and plain in (
        "line",
        "lines",
        "full",
        "text",
        "city",
        "town",
        "formatted",
        "house",
        "value",
        "district",
    ):
        return "ADDRESS"
    if (
        above
        and above[-1] in ("name", "names")
        and plain in ("family", "given", "first", "last", "middle", "full", "text")
    ):
        return "PERSON"
    return ""


def is_plausible(entity: str, value: str) -> bool:
    """Whether a text can be a value of the entity that its key names, and no template, type or flag."""
    plain = value.strip()
    lowered = plain.lower()
    if (len(plain) < 2 and plain < scripts.UNSPACED) or lowered in _HARMLESS or _is_template(lowered):
        return False
    return _FORMS.get(entity, _is_identifier)(plain)


def _is_identifier(plain: str) -> bool:
    return _digits(plain) >= 2 and 4 <= len(plain) <= 40


def _is_mailbox(plain: str) -> bool:
    return any(mark in plain.lower() for mark in ("@", "%40", " at ", "[at]", "(at)"))


def _is_place(plain: str) -> bool:
    return _digits(plain) >= 4 and "." in plain and len(plain.rsplit(".", 1)[-1].rstrip("°NSEW ")) >= 3


def _is_account(plain: str) -> bool:
    is_bank = plain.isupper() and plain.isalpha() and len(plain) in (8, 11)
    return _digits(plain) >= 4 or is_bank


def _digits(plain: str) -> int:
    return sum(char.isdigit() for char in plain)


_FORMS: dict[str, Callable[[str], bool]] = {
    "PERSON": lambda v: any(c.isalpha() for c in v) and _digits(v) <= 2 and len(v) <= 80 and "://" not in v,
    "EMAIL": _is_mailbox,
    "PHONE": lambda v: 6 <= _digits(v) <= 22 and len(v) <= 48,
    "DATE_OF_BIRTH": lambda v: _digits(v) >= 3 and len(v) <= 40,
    "ADDRESS": lambda v: 3 <= len(v) <= 300 and "@" not in v and "://" not in v,
    "LOCATION": _is_place,
    "IP_ADDRESS": lambda v: _is_outside(v.split(",")[0]),
    "MAC_ADDRESS": lambda v: len(v) >= 12,
    "API_KEY": lambda v: len(v) >= 8 and len(v.split()) <= 3,
    "TOKEN": lambda v: len(v) >= 8 and len(v.split()) <= 3,
    "PASSWORD": lambda v: len(v) >= 3 and len(v.split()) <= 6,
    "PAYMENT_CARD": lambda v: _digits(v) >= 3 and _digits(v) >= len(v) // 2,
    "BANK_ACCOUNT": _is_account,
    "IBAN": _is_account,
}


def _is_template(lowered: str) -> bool:
    is_code = lowered.startswith(
        ("{{", "${", "$(", "%(", "os.", "process.env", "getenv", "env[", "secrets.", "<%", "vault:")
    )
    return is_code or lowered[0:1] + lowered[-1:] in ("<>", "[]", "{}") or not lowered.strip("*x.•-_ #")


def _is_outside(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified)
