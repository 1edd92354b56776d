"""Everyday English words that are nobody's name: where one begins a sentence, its capital says nothing.

The words of SCOWL's level 10, the most common ones, less every given name, surname, place and country that is known
here, less those of `words.py`, and less those that are surnames, too.

SCOWL (Spell Checker Oriented Word Lists) is copyright 2000-2011 by Kevin Atkinson: permission to use, copy, modify,
distribute and sell these word lists, the associated scripts, the output created from the scripts, and its documentation
for any purpose is granted without fee, provided that this notice appears in all copies and in supporting documentation.
It is provided "as is" without express or implied warranty.
"""

from redaction.names.words import words_of

EVERYDAY = words_of(
    """
    abilities ability able absence absolute absolutely abuse academic acceptable accepted accepting accepts
    access accessible accident accidental accidentally accord accorded accordingly accords accuracy accurate
    achieve achieved achieves achieving acquire acquired acquires acquiring across act acted acting activities
    activity acts actual actually adding addition additional addressed addresses addressing adds adequate adjust
    administration admit admits admitted admittedly admitting adopted adopting adopts advance advanced advances
    advancing advantage advantages advertise advertised advertises advertising advice advise advised advises
    advising affair affairs affect affected affecting affects afford afraid afterward afterwards against age
    agency ages ago agree agreed agreeing agrees ahead aid aim aimed aiming aims air alarm album algorithm
    algorithms alias alive allow allowed allowing allows almost alone along already altered altering alternate
    alternative alternatively alternatives alters altogether ambiguous among amongst amounts amuse amused amuses
    amusing analog analogue analysis ancient angle angry animal announce announcement annoy annoyed annoying
    annoys anonymous answered answering answers anybody anyplace anything anyway anywhere apart apologies
    apologise apologize apology apparent apparently appeal appear appearance appeared appearing appears applied
    applies applying appreciate appreciated appreciates appreciating approach appropriate approval approves
    approving arbitrary area areas argue argued argues arguing argument arguments arise arises arithmetic arm
    army arrange arranged arrangement arrangements arranges arranging arrive arrived arrives arriving articles
    artificial artist aside asked asking asks asleep aspect aspects assembler assembly associated associates
    associating association assume assumed assumes assuming assumption assure assured assures assuring ate
    atmosphere attach attaching attack attempt attempted attempting attempts attend attended attending attends
    attitude attract attractive audience authorities authority authors automatic automatically automobile
    average avoid avoided avoiding avoids awake award aware awful awkward backed backing backs backwards bad
    badly ban band bank bars base bases basically basing basis bear bearing bears beautiful became become
    becomes becoming bed beforehand began beginning begins begun behalf behave behavior behaviour behind being
    believe believed believes believing belong belongs benefit benefits besides bet bets better betting beyond
    bid bidding bids big bigger biggest binary bind binding binds biology bit bite bites biting bits bitten
    bizarre blame blank blow board boards boat bodies boot bore borne borrow borrowed borrowing borrows bother
    bothered bothering bothers bottom bought bound boxes boy bracket brackets branches brand breach break
    breaking breaks brief briefly bringing brings broadcast broadcasting broadcasts broke broken brought bucket
    buffer building buildings built bulk bulletin buried buries bury burying bus busy button buying buys byte
    bytes calculate calculation calculations calling calls came campaign candidate capable capital car cardboard
    cards careful carefully cares carried carries carry carrying cassette cat catalog catalogue catch catches
    catching categories caught cause caused causes causing cease cent century certain certainly chain chances
    changed changing channels chaos char character characters charge charged charges charging chars cheap
    cheaper cheapest checked checks chemical cheque chequed cheques chequing child children chips choice choose
    chooses choosing chose chosen circle circuit circulation circumstance circumstances citizen claimed claiming
    clarify classes clean clear cleared clearer clearest clearing clearly clears clever clock closely closer
    closes closest closing club clue coded codes coding coffee cold collapse collect collected collecting
    collection collects college colleges color colors colour colours combination combinations combine combined
    combines combining come comes coming command commands commented commenting commercial commission commitment
    committee common commonly communicate communication communications community comparable comparatively
    compare compared compares comparing comparison compatibility compatible competition compiler complain
    complained complaining complains complaint complaints completely completes completing complex complexity
    complicate complicated complicates complicating component components compose composed composes composing
    composition comprehensive compromise compulsory compute computed computer computers computes computing
    concept concern concerned concerning concerns concrete condition conditions conference confident confirming
    confirms confuse confused confuses confusing confusion connected connecting connection connections connects
    consequence consequences consequently consider considerable considerably consideration considered
    considering considers consist consistency consistent consists constant constraints construct consumption
    contain contained containing contains contents context continually continuation continue continued continues
    continuing continuous continuously contrary contrast contribute contribution contributions controlled
    controlling controls convenient convention conventional conventions conversation convert convince convinced
    convinces convincing cope copied copies copying core corner corners correct corrected correcting correction
    correctly corrects corrupted corrupting corrupts costing costs council count counted counting counts couple
    course courses court covered covering covers crash crashed crashes crashing crazy creates creating creation
    creature crisis crisp crisps criticism cry cs culture cumming cums cup cure curious currently cursor cut
    cuts cutting cycle cycles damage damaged damages damaging danger dangerous dare dark dated dates dating
    datum dead dealing deals dealt death debate decade decent decide decided decides deciding decision decisions
    declare declared declares declaring decrease dedicate dedicated dedicates dedicating deduce deem deemed
    deeming deems deep deeply defence defense define defined defines defining definite definitely definition
    definitions definitive degree degrees delay deleted deletes deleting deliberate deliberately deliver
    delivered delivering delivers demand demands democratic demonstrate demonstration depend depended depending
    depends depth derive derived derives deriving describe described describes describing descriptions designed
    designing designs desirable desire desired desires desiring desperate destroy destroyed destroying destroys
    detailed detailing detect detected detecting detects determine determined determines determining develop
    developed developing development develops device devices devote devoted devotes devoting dictionary die died
    dies differ difference differences differently difficult difficulties difficulty digital dinner directed
    directing direction directions directly directs dirty disadvantage disagree disappear disappeared
    disappearing disappears disaster disc discipline discourage discouraged discourages discouraging discover
    discovered discovering discovers discs discuss discussed discusses discussing discussions disk dislike
    display displayed displaying displays distance distant distinct distinction distinctly distinguish
    distribute distributed distributes distributing distribution district disturb disturbed disturbing disturbs
    ditto divide divided divides dividing division documentation documented documenting doe dog doing dollar
    domain door doors doubt doubtful dozen dozens drastic draw drawing drawn draws dream drink driven drivers
    drives driving dropped dropping drops drove dry dubious dumb dump duty dying earlier earliest earth ease
    easier easiest easily easy eat eaten eating eats economic economy edited editing edition editors edits
    education educational effect effective effectively effects efficient effort efforts eight elect elected
    electing election electric electronic electronics elects element elements elevator else elsewhere embarrass
    embarrassed embarrasses embarrassing emergency emphasis enables encounter encountered encountering
    encounters encourage encouraged encourages encouraging ending ends enemy engineered engineers enjoy enormous
    enough ensure ensured ensures ensuring entered entering enters entire entirely entitle entitled entitles
    entitling entity entrance entries equal equally equipment equivalent eraser err escape especially essential
    essentially establish established establishes establishing establishment evened evenings evens events
    eventually ever everybody everything everywhere evidence exact exactly examine examined examines examining
    examples excellent except exceptions excess excessive exchange exclude excluded excludes excluding exclusive
    excuse execute executed executes executing exercise exist existed existence existing exists expand expanded
    expanding expands expansion expect expected expecting expects expense expensive experience experienced
    experiences experiencing experiment experimental experiments expert experts explain explained explaining
    explains explanation explicit expressed expresses expressing expression extend extended extending extends
    extension extensive extent external extract extreme extremely eye eyes face facilities facility factor
    factors facts fail failing fails fair fairly fallen falling falls familiar family famous fan fancy far farm
    farther farthest fashion faster fastest fate fault faults favor favorite favour favourite fear feasible fed
    federal feed feedback feeding feeds feel feeling feels feet fell felt fewer fewest fight figures filed
    filing fill filled filling fills film financial finding finds finger fingers finish finished finishes
    finishing finite fire firm firmly firstly fiscal fishes fit fits fitted fitting five fixed fixing flag flash
    flashed flashes flashing flat flavor flavour flew flexible flied flies flight floated floating flow flown
    fly flying folk folks followed follows food foot force forced forces forcing forever forget forgets
    forgetting forgot forgotten formal formed former forming forms forth forthcoming fortunately fortune fourth
    fraction frame freedom freely frequent frequently fresh friendly friends fries fry fully fun function
    functions fund fundamental fundamentally funds funny furthest gain gained gaining gains game games gap
    garbage gas gasoline gather gave generally generate generated generates generating generation genuine gets
    getting girl gives giving glad gone goods gotten government governor gradually graduate grand grands granted
    granting grants graph graphic graphics grateful greater greatest greatly grew grind grinding grinds gross
    grosses ground grounds groups grow growing grown grows growth guarantee guaranteed guaranteeing guarantees
    guard guess guessed guesses guessing gun habit habits hack hair half handed handing handle handled handles
    handling handy hang hanged hanging hangs happen happened happening happens happily hard harder hardest
    hardly hardware harmful harmless hate headed heading heads healthy hear hearing hears heat heavily heavy
    hell helped helpful helping helps hereby herself hes hid hidden hides hiding higher highest highly himself
    hint hints historical hit hits hitting hold holding holds hole holes honest hoped hopefully hopes hoping
    horrible horse horses hot hotel huge hundred hundreds hung hurry ice ideal ideas identical identify identity
    ignore ignored ignores ignoring ill illegal images imagination imagine immediate impact implement
    implemented implementing implements implication implications implied implies imply implying importance
    importantly impose imposed imposes imposing impossible impression improve improved improvement improvements
    improves improving inability inadequate inch inches incidentally incline inclined inclines inclining
    included includes including income incompatible incomplete inconsistent inconvenience incorrect increase
    increased increases increasing indeed independent independently indicate indicates indication individual
    individually individuals industrial industry inevitably inferior infinite influence informed informing
    informs initial initially initials inner innocent input inputs inputted inputting inserted inserting inserts
    insist insisted insisting insists install installed installing installs instance instant instantly
    institution institutions integers integral intelligence intelligent intend intended intending intends
    intention interact interested interesting interests interface interpret interpretation interpreted
    interpreting interprets interval intervals intervention introduced introduces introducing invariably invent
    invented inventing invents investigate invisible invitation invited invites inviting involve involved
    involves involving irrelevant irritate irritated irritates irritating isolate isolated isolates isolating
    issued issuing joined joining joins joint joke judgement judgment jump jumps junk justification justified
    justifies justify justifying keen keeping keeps kept kid kill killed killing kills kinds knew knock knocked
    knocking knocks knowing knowledge known knows labeled labeling labelled labelling labor laboratory labour
    lack lacked lacking lacks ladies lady lain landed landing lands language languages largely larger largest
    lasts latter lay layout lazy leach leaded leader leading leads leaf learned learning learns learnt least
    leave leaved leaves leaving lecture lectures led leg legally legs lend length lesser lets letters letting
    levels liable libraries lie lied lies lifetime lift lights liked likely likes likewise liking limiting
    limits linear lines linked linking links listed listen listing lists literally literature lived lives living
    load loaded loading loads locations locked locking locks logged logging logic logical longer longest looked
    looking looks loop loose lorries lorry lose loses losing loss lost lot lots loudly lower lowest lunch lying
    machine machines mad magic magnetic magnitude mainly maintain maintained maintaining maintains majority
    makes making man manage managed manages managing manipulation manner manuals marked marking marriage marry
    mass massive matches material materials mathematical mathematics matter matters maximum mean meaning
    meaningful meaningless meanings meant measure measured measures measuring mechanics mechanism media medium
    mediums meetings meets membership memory men mention mentioned mentioning mentions merely merits mess messy
    met metal methods mile military million millions mind minded minding minds mine minimal minor minority
    minute minutes mislead misleading misleads misled miss missed misses mistake mistaken mistakes mistaking
    mistook misunderstand misunderstanding misunderstands misunderstood misuse mix mixed mixes mixing mod models
    modern modified modifies modify modifying moment money months moral mornings mostly motion mouth moved
    movement movements moves movie moving multiple music myself mysterious naive named namely naming nasty
    nation natural naturally nature naughty nearby nearer nearest nearly necessarily necessary necessity neck
    needed needing needs negative neither nervous net networks nevertheless nicer nicest night nine noise noisy
    nonsense normally noted noticed notices noticing noting novel nowadays nowhere numb numbest numerical
    numerous obey objected objecting objection objections objects obscure observation observe observed observes
    observing obtain obtained obtaining obtains obvious obviously occasion occasional occasionally occasions
    occupied occupies occupy occupying occur occurred occurring occurs odd odds offered offering offers offices
    official oh oil older oldest omit omits omitted omitting ones onto opened opening opens operate operated
    operates operating operators opinion opinions opportunities opportunity oppose opposed opposes opposing
    opposite opposition ordered ordering ordinary organisation organise organised organises organising organize
    organized organizes organizing original originally otherwise ought ours ourselves outer output outside
    overall owe owed owes owing own owners pack package packages packet pages painful pair pairs papers
    paragraph parallel partial partially particular particularly parties partly party passed passes passing past
    pattern patterns pause payed paying pays peak peculiar people perfect perfectly perform performance
    performed performing performs period permanent permanently permit permits permitted permitting personal
    personally persons persuade persuaded persuades persuading petrol phase phenomenon philosophy phrase phrases
    physical pi picked picking picks picture pictures piece pieces pile pint pipe placed places placing plain
    plane planet planned plastic play played playing plays plea pleasant pleased pleases pleasing plenty plot
    plots plug plus pocket poem poet pointed pointing pointless points police policies political poll pop
    popular population position positions positive possibilities possibility possible possibly posted posting
    postmaster posts potential potentially pounds powerful practical practically practice practise precise
    precisely prefer preferable preferably preference preferred preferring prefers preparation prepare prepared
    prepares preparing presence presented presenting presents preserve pressed presses pressing pressure
    presumably presume pretty prevent prevented preventing prevents previously prices prime primitive principle
    principles printed printers printing printout prints probably problems procedure processed processes
    processing processor processors produce produced produces producing professional programme programmed
    programmers programmes programming programs progress promised promises promising promptly prone proof proper
    properly properties proportion proposal propose proposed proposes proposing prospect protect protected
    protecting protection protects protest prove proved proves provided provides providing proving publication
    publicity publicly publish published publishes publishing pull pulled pulling pulls punctuation puncture
    pure purely purpose purposes push pushed pushes pushing puts putt putted putting putts qualified qualifies
    qualify qualifying quantities quantity quicker quickest quickly quiet quietly quit quits quitting quoted
    quotes quoting radio raise raised raising ran random randomly range rapid rapidly rare rarely rates raw
    reach reached reaches reaching reaction readable reader readers readily reading reads real realise realised
    realises realising reality realize realized realizes realizing reasonable reasonably reasons recall receive
    receives receiving recently reception recognise recognised recognises recognising recognition recognize
    recognized recognizes recognizing recommend recommendation recommended recommending recommends recorded
    recording recover recovered recovering recovers reduce reduced reduces reducing reduction redundant
    references referred referring refers reflect reflected reflecting reflection reflects refuse refused refuses
    refusing regard regarded regardless registered registering registers regret regularly regulation regulations
    rejected rejecting rejects relate relates relating relation relationship relative relatively released
    releases releasing relevance relevant reliable religion religious reluctant rely remain remained remaining
    remains remark remarks remembered remembering remembers reminded reminding reminds remotely removal removed
    removes removing repair repeat repeated repeatedly repeating repeats replaced replacement replaces replacing
    replied replies replying reported reporting represent representation represented representing represents
    reproduce requested requesting requirement requires requiring reserve reserved reserves reserving resolution
    resort respect respectively respects responses responsibility responsible restart restore restored restores
    restoring restrict restricted restricting restricts resulted resulting retain returning reveal revealed
    revealing reveals reverse rewrite rid ridding ride ridiculous rids rights rise risk roll rooms rough roughly
    round routine rubber rubbish rumor rumour runs sad sadly safely safer safest safety saint sake saki
    satisfied satisfies satisfy satisfying saves saw saying says scale scan scene scheme schools science
    sciences scientific scores scrap scratch screens script searched searches searching season secondly seconds
    secret sections seeing seek seeking seeks seem seemed seeming seems seen sees selected selecting selection
    selects sell selling sells seminar sending sends sense sensible sensibly sensitive sentences separately
    sequences serial seriously served serves serving sessions sets settle settled settles settling seven
    severely sex shame shape shared shares sharing sheet shelf shell shift shoot shop shopped shopping shops
    shortage shorter shortest shortly showed showing shown shows shut shuts shutting sides sight signals
    significance significant significantly signing signs silly similarly simpler simplest simply simultaneous
    simultaneously sit sites sits sitting situation situations six sizes skill skills sleep slight slightly slip
    slow slower slowest slowly smaller smallest smile smooth social society soft sold solely solid solution
    solutions solve solved solves solving somebody somehow someplace sometime sometimes somewhat somewhere
    sooner soonest sophisticate sophisticated sophisticates sophisticating sorted sorting sorts sought sound
    sounded sounding sounds sources southern space spaces spare speakers speaking speaks specially specific
    specifically specified specifies specify specifying speech spell spelled spelling spells spelt spend
    spending spends spent spirit spite split splits splitting spoke spoken spot spots spotted spotting spread
    spreading spreads square stable stage stages standards standing stands starting starts stated statements
    stating station stations statistic statistical statistics stay stayed staying stays steal stick sticking
    sticks stones stood stopping stops storage stored stores storey storing straight straightforward strange
    strategy stream strength strict strictly strike strikes striking strings strongly struck structure
    structures stuck students studied studies study studying stuff stupid style subjects submits submitted
    submitting subsequent subset substantial substitute subtle succeed successful successfully sudden suddenly
    suffer suffered suffering suffers suffice sufficient sufficiently sugar suggested suggesting suggestion
    suggestions suggests suit suitable suitably suited suiting suits sum superior supervisor supplied supplies
    supply supplying supported supporting supports suppose supposed supposedly supposes supposing surely
    surprise surprised surprises surprising survive survived survives surviving suspect suspected suspecting
    suspects suspend suspended suspending suspends suspicion switch switched switches switching symbol symbols
    syntax tables taken takes taking talk talked talking talks tank tanks tape tapes target taste taught tax tea
    teach teaches teaching technique techniques technology tedious teeth telephone television telling tells
    temperature temporarily temporary ten tend tendency tends terminal terminals terminology terribly themselves
    theoretical theory thereby thin thinking thinks thoroughly thought thoughts thousand thousands threat threw
    throughout throw throwing thrown throws thus tie tied ties tight timed times timing tin titles told took
    tooth topics totally touch touched touches touching toward towards town tracks traditional traffic train
    trained trains transferred transferring transfers translate translated translates translating translation
    transport trap trapped trapping traps trash treat treated treating treats trees trick tries trip trivial
    trouble truck trucks trunk trusted trusting trusts truth trying tune turned turning turns twelve twenty
    twice tying typed types typical typing ugly ultimate ultimately unable unacceptable unaware uncertain
    unclear undergraduate undergraduates underneath understanding understands understood unfortunate unhappy
    uniform unique unite units universal universities unlikely unlimited unnecessarily unnecessary unpleasant
    unreasonable unsuitable unusual unwanted updating upper upset upsets upsetting upwards useful useless uses
    usual utility utterly vacation vacations vague vaguely validity valuable vans variable variables variation
    varied varies variety vary varying vast vastly vector versions vice video views virtually virtue visible
    vision vital voice vote votes waited waiting waits walk walked walking walks wanted wanting wants war warned
    warns wash waste wasted wastes wasting watched watches watching ways weapon wear wearing wears weekend
    weight weird welcomed welcomes welcoming western whatsoever wheels whenever whereas whereby wherever whilst
    whoever widely wider widespread widest willed willing win window wine winning wins wire wished wishes
    wishing withdraw woman women won wonder wondered wonderful wondering wonders wooden worded wording wore
    worked worn worried worries worry worrying worse worst worthwhile worthy writes written wrote yourself
    """
)
