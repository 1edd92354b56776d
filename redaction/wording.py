"""Words that are no names, words that may be either, and whether a text looks like a person's name. Pure."""

from redaction import scripts
from redaction.lists import words as words

NO_NAMES = words(
    """
    a about account accounts action active actually add added address admin after again agent alert all also am
    amount an and any api app application applied apply appointment approve approved are article as asap ask
    asked asset assistant at attached attachment attending available back balance bank base before below best
    billing board body book booking both branch budget bug build but button buy by call called calls can cancel
    cancelled card case cases cash category cc cell center centre change changed charge charged chat check
    checked city claim class clear client clinic close closed code college comment comments commit company
    complete completed confirm confirmed contact content contract cost country coverage create created credit
    currency current customer customers daily dashboard data database date day days deal dear debit default
    delete delivery department deploy description desk detail details device diagnosis did discharge do doctor
    document documents does domain done dose down draft due during each editor email emergency employee
    employees end engineer engineering enterprise entry error errors event events every example expired export
    extension failed failure false fax feedback field file files final finance first fix fixed flight follow
    following for form free friend from full function gateway general get given go gold good got great group
    guest had has have he header health hello help her here hi him his history hold home hospital hotel hour
    hours house how hr http https human id if important in inc info information input insurance internal into
    invoice invoices is issue issues it item items its job join just keep key kind know label last late later
    lead left legal let level license limit line link list local location log login logs ltd llc gmbh corp made
    mail main make manager many marketing may maybe me medical medication meeting member membership message
    messages method minutes mobile mode model module monday tuesday wednesday thursday friday saturday sunday
    money month months more morning most move mr mrs ms much must my name names need needs network new next nice
    night no none not note notes nothing notice notification now number office ok old on once online only open
    operations or order orders other our out over overview owner page paid parent part password path patient
    patients pay payment payments pending people per period phone plan please policy portal post premium
    prescription present previous price pricing primary priority private pro problem process product products
    production profile program project public purchase quality quantity query question questions quote rate read
    ready reason received recent record records ref reference refund regarding regards region register release
    remember reminder remote renewal reply report reports request requests required reservation reset response
    result results return review right role room rule run said sales same save say schedule search secret
    section secure security see send sent server service services session set settings several shall she
    shipment shipping should show sign signed silver since sincerely site size some soon sorry source specialist
    staff staging standard start started state statement status step still stop store street subject submit
    summary support sure system table task tax team tell terms test text than thank thanks that the their them
    then there these they thing this those ticket time title to today token tomorrow tonight too tool tools
    topic total trace transaction transfer trial true try two type unit university until up update updated
    upgrade urgent us use user username users using value vendor verify version very via view visa visit warning
    was way we web website week weekly weeks welcome well were what when where which while who whom why will
    with within without work workflow would write wrong year years yes yesterday you your zip could can't i'm
    i'll i've i'd it's one three four five six seven eight nine ten january february march april june july
    august september october november december jan feb mar apr jun jul aug sep oct nov dec mon tue wed thu fri
    sat sun north south east west northern southern american english german french visual studio windows linux
    python java javascript docker kubernetes postgresql mysql redis kafka github gitlab slack excel word outlook
    teams azure google amazon apple microsoft oracle salesforce jira apache nginx node react ubuntu debian
    android iphone ipad macbook chrome firefox safari sql json xml yaml csv html css pdf utc gmt usa uk eu mrn
    dob ssn pt dx rx er icu bp vertrieb einkauf buchhaltung abteilung kundenservice kundendienst serviceteam servicio
    departamento equipo ufficio dipartimento servizio équipe équipes serviço dział obsługa afdeling klantenservice
    avdelning osasto oddelení oddělení ihr ihre das der die kolleginnen kollegen
    """
)
"""Words, mostly in capitals at the start of a sentence or a label, that are no part of a name."""

MAY_BE_BOTH = NO_NAMES | words(
    """
    able abraham ace acre art ash baker bank banks banner barber bass bath bay bean bear bell berry best bill
    birch bird bishop black blank block bloom blue bolt bond book boone booth bow bowling box branch brand brave
    bridge bridges bright brook brooks brown buck bull burn burns bush butcher butler cannon carpenter carter
    cash castle chance chase cherry child church clay clear cliff close coal cole cook cool cooper crane cross
    crystal curry daisy dale dash dawn day dean dear diamond dollar dove drake drew duke early earl eve fair
    faith farmer field fields fine finch fish fisher fleet flint flower flowers ford forest foster fox frank
    freedom freeman frost gale garden gates gay gene gentry glass glen gold golden good grace grant graves gray
    green grey grove guy hall hand harbor hardy harper hart haven hawk hay hazel head heath heather hill hills
    holly honey hood hook hope horn horne house hunt hunter iris iron ivy jack jade jasmine jay jean jewel joy
    judge king knight lace lake lamb lance lane law lee light lily little long lord love low luck major manning
    mark marsh marshal martin mason may meadow melody mercy merit mill miller mills mint miracle moon moore moss
    mount myrtle nash noble north olive opal page pace paris park parker parks parsons patience pay payne peace
    peak pearl penny pepper pierce pike pine piper pitt pitts plant pollard pond pool poole pope potter pound
    pounds power powers price prince pride prior queen rain rains randy ray red reed rich rice rider ridge ring
    river rivers rob robin rock rod rose rowe royal ruby rush rusty sage salt sand sands savage sawyer serenity
    sharp shepherd shields shore short silver singer singleton skinner sky sloan small smart snow south sparks
    spear spring star stark steel stern stone storm strange stream strong sue summer summers sunny swan swift
    tanner taylor temple thorn tiger tony trinity troy true tucker turner vale van victor victory violet walker
    wall walls ward ware waters weaver webb weeks wells west wheat wheeler white wilder will willow winter
    winters wise wolf wood woods wren wright york young mobile reading orange london boston berlin madrid
    victoria chelsea dallas austin phoenix virginia georgia carolina florence sydney savannah jordan china
    israel india cruz bryce christian dominic monica harmony justice destiny journey legend memory max min pat
    sam ben dan ron don jan mar ali lin ann kit gus rex hal val von der den del las los san dos per
    """
)
"""Words that are found again as a part of a name only where they are written as one."""

PARTICLES = words(
    """
    de del della di da dos das la le van von der den ten ter el al bin ibn y zu zum i du san st
    """
)
TITLES = words(
    """
    mr mrs ms miss mx dr prof professor sir herr frau mme mlle sr sra señor señora rev hon capt sgt
    """
)
_SUFFIXES = words(
    """
    jr sr ii iii iv md phd dds rn esq dvm do pa np mba dphil
    """
)


def name_end(text: str, start: int, *, most: int = 4, ignores_case: bool = False) -> int:
    """Where the name ends that begins at `start`; `start` itself when none does. Looks at 80 characters at most."""
    at, end, count = start, start, 0
    stop = min(len(text), start + 80)
    while at < stop and count < most:
        word_end = at
        while word_end < stop and (text[word_end].isalpha() or (text[word_end] in "'’-" and word_end > at)):
            word_end += 1
        word = text[at:word_end].rstrip("'’-")
        lowered = word.lower().removesuffix("'s").removesuffix("’s")
        if not word or (word_end < stop and (text[word_end].isdigit() or text[word_end] in "_@/=(")):
            break
        if lowered in PARTICLES and not word[0].isupper() and text[word_end : word_end + 1] == " ":
            pass
        elif lowered in NO_NAMES and not (count and len(word) == 1):
            break
        elif word[0].isupper() or ignores_case:
            count += 1
            end = at + len(word) - (2 if word[-2:] in ("'s", "’s") else 0)
        else:
            break
        at = at + len(word)
        if text[at : at + 2] == ". " and (len(word) == 1 or lowered in TITLES):
            end, at = at + 1, at + 2
        elif text[at : at + 1] in (" ", "+", "\u00a0") and at == end:
            at += 1
        elif at == end and text[at : at + 2] == ", " and count == 1:
            nxt = at + 2
            if nxt < stop and text[nxt].isupper() and name_end(text, nxt, most=2) > nxt and word.isupper():
                at = nxt
            else:
                break
        elif word[0].islower() and text[at : at + 1] == " ":
            at += 1
        else:
            break
    return end


def _is_camel(word: str) -> bool:
    """Whether it is a name of a program, `NotFound`; `McKay`, `DeLuca` and `VanDyke` are names."""
    second = next((place for place in range(1, len(word)) if word[place].isupper()), 0)
    return second > 4 and not word.isupper()


def is_name(text: str, *, least: int = 2) -> bool:
    """Whether all of a text is shaped as a name: two to five words of letters with capitals, a comma at most."""
    plain = text.strip().replace("+", " ")
    if not plain.isascii() and plain.lower() == plain.upper():
        return scripts.is_name(plain)
    words = [word for word in plain.replace(",", " ").split() if word.lower().strip(".") not in TITLES | _SUFFIXES]
    if not least <= len(words) <= 5 or len(plain) > 60 or plain.count(",") > 1:
        return False
    capitals = 0
    for word in words:
        bare = word.strip(".").replace("-", "").replace("'", "").replace("’", "")
        if not bare.isalpha() or (len(bare) == 1 and not bare.isupper()):
            return False
        if word.lower() in PARTICLES:
            continue
        if not word[0].isupper() or word.lower() in NO_NAMES or any(map(_is_camel, word.split("-"))):
            return False
        capitals += 1
    return capitals >= least
