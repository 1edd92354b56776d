"""Words that are capitalised and name nobody: labels, beginnings of sentences, days, products, commands, countries.

Chosen by hand. All are in lower case; where one stands at the edge of what the model takes for a name, it is cut off.
"""

import unicodedata


def words_of(text: str) -> frozenset[str]:
    """The words of a text, without their accents."""
    return frozenset(map(plain, text.split()))


def plain(word: str) -> str:
    """A word in lower case and without accents, as it is looked up here: half of all senders leave them out."""
    lower = word.lower()
    if lower.isascii():
        return lower
    return "".join(char for char in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(char))


PROSE = words_of(
    """
    a about above according account accounts action actions active add added address after again agent agents agreement
    all also although always am amount an and annual another answer any anyone application applications apply approved
    are around article as ask assistant at attached attachment attention available away back based be because been
    before begin below best between billing body book both branch budget build business but buy by call called can
    cancel cannot card care case cases category cc cell center central centre certificate change changes channel chapter
    chart chat check checking city class client clients clinic close closed code column comment comments company
    complete completed confirm confirmed congratulations contact contacts content contract control copy cost could
    country county create created credit critical current customer customers daily data database date day days deal
    dear debit default delete delivery department deploy description design desk detail details did different direct
    director discount do doctor document documents does done double down download draft due during each early east
    edit either email employee empty enable end ended engineer engineering enter entry error errors estimate even event
    every everyone example exception expires extra fact failed failure false fee few field file files final finally
    finance find fine first fix follow following for form format found four free from front full further future general
    get give given global go goal goals goes going gold good got great group guide had has have having he head header
    health hello help hence her here hers hey hi high him his history home hope hospital hour hours house how however
    human i id idea if image immediately important in inbox incident include index info information inside instead
    instruction instructions insurance interest internal international into invalid invoice invoices is issue issues it
    item items its itself job join just keep key kind kindly know label large last late later latest launch lead learn
    left legal less let letter level library license life light like limit limited line link list live loan local
    location log login logs long look low made mail main make manager managers management manual many map market
    marketing master match maybe me medical meeting member members memo menu merge message messages meta method metric
    middle might minimum missing mobile mode model module month monthly more most mother move mr mrs ms much must my
    name names national near need network never new news next nice no nobody none nor normal north not note notes
    nothing notice notification now number numbers nurse object of off offer office officer often ok okay old on once
    one only open operation operations option optional options or order orders organization other others our out over
    overview owner page paid parent part partner parts password path patient patients pay payment payments pending per
    perhaps permission person phone place plan planning plans platform please point policy pool port post power premium
    present press previous price primary print prior priority private problem process product production products
    profile program project projects promise prompt property provide public purchase quality quarter quarterly query
    question questions queue quick quite quote rate rather re read ready really reason receipt received recent record
    records red reference refund regarding regards region register regular reject related release remember remind
    reminder remote remove renewal rent reply report reports request requests require required requirements research
    reset resident resolved resource resources response rest result results return returned returns review reviewed
    right role room root row rule rules run running safe said sale sales same sample save saved saving savings say
    schedule school scope score screen search second secondary section secure security see select self send sender
    senior sent sentence separate series serious server service services session set setting settings several shall
    share she ship shipment shipped shipping short should show side sign signature signed silver similar simple since
    sincerely single site size skip small so software some someone something soon sorry sort source south speak special
    specialist staff standard start started state statement states status step steps still stop stopped store story
    street string strong subject submit success such suggest suite summary super supplier support sure surgeon survey
    system systems tab table tag take task tasks team teams technical technician template term terms test tested
    testing tests text than thank thanks that the their them then there therefore these they thing things think third
    this those though three through ticket tickets time title to today together token tokens tomorrow tonight too tool
    tools top topic total track trace training transaction transfer travel treatment trial tried true trust try turn
    two type under understand unfortunately unit university unknown unless until up update updated updates upgrade
    upload upon urgent us usage use used user username users using usually valid value values various vendor verified
    verify version very via view visit volume wait want warning was watch water way we web website week weekly welcome
    well went were west what whatever when where whether which while who whole whom whose why wide will with within
    without word words work worker workers working workflow works world would write writing wrong yard year yearly years
    yellow yes yesterday yet you your yours zero zip zone
    tell bring meet email mail text phone remind inform notify forward reply respond refer hand pass give invite welcome
    introduce replace assign escalate transfer pick drop drive visit follow approve reject thank congratulate wish
    unlike despite although whether today's let's here's there's what's that's who's it's he's she's could've
    when's where's how's one's dear
    raises returns yields args kwargs sequence schema schemas keys protocol protocols counter counters generic unicode
    digits digit dispatcher ledger label labels templates studio failures floats integer float mapping iterator callable
    literal adopt lesson lessons strip hybrid extra extras app apps ping meter route routes serve corrupt unavailable
    deprecated default defaults debugging handler handlers listener loader logger parser parsers payload payloads
    pipeline pipelines plugin plugins cluster clusters container containers endpoint endpoints environment environments
    frontend backend gateway gateways deployment deployments rollback rollout sprint backlog roadmap standup retro
    milestone milestones feature features bug bugs fixes patch patches branch commit commits build builds job jobs
    dashboard dashboards metrics alert alerts monitor monitoring uptime downtime outage latency throughput capacity
    cart checkout coupon voucher refund refunds subscription subscriptions trial bundle wishlist basket headset keyboard
    monitor laptop charger cable adapter battery speaker camera printer tablet watch lamp desk chair table sofa mattress
    bottle jacket shirt shoes jeans sweater dress coat hat gloves socks bag backpack wallet phone case cover stand
    chapter section figure appendix table footnote abstract introduction conclusion discussion background summary
    medication dosage tablets capsule mg ml daily diagnosis symptoms allergy allergies vitals discharge admission ward
    clinic surgery radiology cardiology oncology neurology pediatrics paediatrics dermatology orthopedics pharmacy
    statement balance deposit withdrawal overdraft mortgage interest premium deductible copay claim claims policy
    cookie cookies privacy hiring settings det
    happy holidays cheers love congrats respectfully faithfully warmly kind kindest warm truly
    blue green black white orange purple pink brown gray grey
    accountant analyst architect assistant associate auditor captain ceo cfo chair chairman coach consultant coordinator
    cto dentist developer driver editor executive founder gp guest host inspector intern judge lawyer lecturer librarian
    mayor mechanic midwife minister operator pharmacist physician pilot plumber president principal professor programmer
    receptionist recruiter registrar representative reviewer scientist secretary sergeant solicitor student teacher tech
    therapist trainer tutor vet veterinarian vp waiter writer applicant attendee attendees attn author beneficiary
    buyer cardholder claimant contractor debtor defendant dependent employer guardian holder insured landlord lessee
    lessor participant payee payer payor plaintiff policyholder provider recipient seller spouse subscriber tenant
    traveler traveller witness husband wife son daughter father brother sister uncle aunt cousin colleague friend
    neighbour neighbor boss dad mom mum
    """
)

CALENDAR = words_of(
    """
    monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun
    january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec spring summer autumn fall winter
    christmas easter ramadan diwali hanukkah thanksgiving halloween eid passover noon midnight morning afternoon evening
    utc gmt cet cest est edt pst pdt cst cdt mst bst ist jst q1 q2 q3 q4 am pm
    """
)

PRODUCTS = words_of(
    """
    acrobat active directory adobe airflow airtable ajax alexa alpine amazon android angular ansible ant apache api apis
    apple argo asana asp athena aurora aws axios azure babel bamboo bash basecamp beam bedrock bigquery bing bitbucket
    bitcoin bluetooth bootstrap bower box brotli caddy calico canva cargo cassandra celery ceph chef chrome chromium
    cilium circleci cisco clang claude clickhouse cloudflare cloudwatch cobol confluence consul copilot cortex couchbase
    couchdb cuda curl cypress dart dask databricks datadog debian delphi deno discord django docker doctrine dotnet
    drupal dropbox druid duckdb dynamodb eclipse edge ecto elastic elasticsearch electron elixir elk emacs ember envoy
    erlang etcd ethereum excel express facebook falcon fargate fastapi fastly fedora fedex figma firebase firefox flask
    flink flutter flux fortran gatsby gemini ghost git github gitlab glacier gmail gnome godot golang google
    gradle grafana granian graphql groovy grok grpc gunicorn hadoop haproxy harbor haskell hazelcast helm heroku hive
    html http https hubspot hudson ibm icinga idea influxdb ingress instagram intel intellij intercom ios ipad iphone
    istio jaeger java javascript jboss jdk jenkins jetty jira jquery json junit jupyter jvm jwt kafka kali keras
    keycloak kibana kinesis knative kotlin kubernetes lambda lamp langchain laravel latex less lighthouse linkedin
    linux litestar llama locust loki lua lucene lyft mac macbook macos magento mailchimp maven memcached mercury
    mercurial mesos meta microsoft minikube minio mistral mongo mongodb mono mustache mysql nagios nats neo4j netflix
    netlify nginx ngrok nim node nodejs nomad notion npm nuget numba numpy nuxt nvidia oauth ocaml octave okta ollama
    onedrive openai openshift opentelemetry openssl opera oracle outlook packer pandas paypal perl phoenix php pip
    pixel plaid playwright podman poetry polars postfix postgres postgresql postman powerbi powerpoint powershell
    prettier prisma prometheus puma pulsar pulumi puppet pycharm pydantic pytest python pytorch quarkus rabbitmq rack
    rails rancher raspberry react reactor redash reddit redhat redis redshift redux rest rollup ruby rust safari sage
    salesforce samba sap sass scala scrapy scrum scylla segment selenium sendgrid sentry servicenow sharepoint shopify
    signal sinatra siri skype slack snowflake snyk solr sonarqube spacy spark splunk spotify spring sql sqlite squid
    ssh stripe sumo supabase surface svelte swagger swift symfony tableau tailwind teams telegram temporal tensorflow
    teradata terraform tesla thanos thrift tiktok tomcat torch traefik travis trello trino twilio twitch twitter
    typescript uber ubuntu unity unix uvicorn vagrant vault vercel verizon vim vimeo visa mastercard amex vite vmware
    vscode vue wasm webex webpack wechat whatsapp wifi wikipedia windows word wordpress xcode xml yaml yarn youtube
    zabbix zendesk zapier zoom zookeeper zsh
    get post put delete patch options trace connect accept authorization cookie host origin referer user-agent cache
    bearer basic content-type content-length keep-alive x-forwarded-for etag gzip deflate chunked
    info debug warn warning error fatal critical notice trace severe verbose todo fixme null none nil undefined true
    false traceback exception stacktrace runtimeerror valueerror keyerror typeerror
    def class import return const let var func struct enum async await lambda select insert update delete join where
    from values create drop alter grant commit rollback begin index primary foreign constraint
    ok http tcp udp dns tls ssl vpn cpu gpu ram ssd lan wan url uri uuid sku pdf csv ascii utf faq eta asap fyi tbd
    rfc iso gdpr hipaa pci sox sla kpi roi crm erp hr qa ux ui pr mr mri ct ecg ekg icu er gp bp bmi copd hiv covid
    iban bic swift ssn mrn dob npi nhs nino pan cvv pin vat gst
    aspirin ibuprofen paracetamol metformin lisinopril atorvastatin amoxicillin insulin warfarin sertraline omeprazole
    prozac xanax tylenol lipitor advil hepatitis alzheimer alzheimer's parkinson parkinson's crohn crohn's hodgkin
    hodgkin's asperger's asperger tourette down's
    boeing airbus toyota honda ford bmw audi volkswagen volvo nissan hyundai samsung sony lenovo dell nokia siemens
    bosch philips nestle pepsi coca cola starbucks walmart costco ikea nike adidas lego disney barclays hsbc santander
    citibank chase revolut monzo lloyds natwest
    euler gauss fourier laplace bayes bayesian gaussian newton pascal kelvin celsius fahrenheit hertz ampere volt turing
    fibonacci dijkstra hamming levenshtein bernoulli markov monte carlo pareto kanban
    """
)

COUNTRIES = words_of(
    """
    afghanistan albania algeria angola argentina armenia australia austria azerbaijan bahrain bangladesh belarus belgium
    bolivia bosnia botswana brazil bulgaria cambodia cameroon canada chile china colombia croatia cuba cyprus czechia
    denmark ecuador egypt estonia ethiopia finland france germany ghana greece guatemala honduras hungary iceland india
    indonesia iran iraq ireland israel italy jamaica japan kazakhstan kenya korea kuwait latvia lebanon libya
    liechtenstein lithuania luxembourg madagascar malaysia malta mexico moldova monaco mongolia montenegro morocco
    mozambique myanmar namibia nepal netherlands nicaragua nigeria norway oman pakistan panama paraguay peru philippines
    poland portugal qatar romania russia rwanda senegal serbia singapore slovakia slovenia somalia spain sudan sweden
    switzerland syria taiwan tanzania thailand tunisia turkey uganda ukraine uruguay uzbekistan venezuela vietnam yemen
    zambia zimbabwe england scotland wales britain america africa asia europe oceania antarctica arctic
    usa us u.s u.s. u.s.a u.s.a. uk u.k u.k. eu e.u. uae prc ussr emea apac latam dach benelux nordics nato un
    american british english german french italian spanish dutch european asian african chinese japanese indian russian
    """
)
"""Left as they stand: a country alone identifies nobody, and a question about its law or tax needs it."""

COUNTRY_PHRASES = frozenset(
    {
        "united states", "united states of america", "united kingdom", "great britain", "south africa", "new zealand",
        "saudi arabia", "south korea", "north korea", "czech republic", "european union", "united arab emirates",
        "sri lanka", "costa rica", "el salvador", "dominican republic", "puerto rico", "hong kong", "north america",
        "south america", "latin america", "central america", "middle east", "south east asia", "southeast asia",
        "eastern europe", "western europe", "ivory coast", "northern ireland", "middle earth",
        "new year", "black friday", "cyber monday", "wall street", "silicon valley", "earth", "mars", "venus",
    }
)  # fmt: skip

PLACES = words_of(
    """
    london manchester birmingham leeds glasgow edinburgh liverpool bristol sheffield cardiff belfast newcastle leicester
    nottingham southampton portsmouth plymouth brighton oxford cambridge york norwich exeter aberdeen dundee swansea
    dublin cork galway limerick paris lyon marseille toulouse nice nantes strasbourg bordeaux lille rennes grenoble
    berlin hamburg munich münchen cologne köln frankfurt stuttgart düsseldorf leipzig dresden hannover nuremberg bremen
    vienna wien graz salzburg zurich zürich geneva basel bern lausanne amsterdam rotterdam utrecht eindhoven brussels
    antwerp ghent madrid barcelona valencia seville sevilla bilbao malaga zaragoza lisbon lisboa porto rome roma milan
    milano naples napoli turin torino bologna florence firenze venice palermo genoa athens thessaloniki warsaw krakow
    gdansk wroclaw prague brno budapest bucharest sofia belgrade zagreb ljubljana copenhagen aarhus stockholm gothenburg
    malmö oslo bergen trondheim helsinki tampere espoo reykjavik tallinn riga vilnius moscow kyiv kiev odessa minsk
    istanbul ankara izmir boston chicago houston phoenix philadelphia dallas austin denver seattle portland detroit
    memphis nashville baltimore milwaukee albuquerque tucson fresno sacramento atlanta miami oakland minneapolis tulsa
    cleveland wichita honolulu anchorage pittsburgh cincinnati toledo buffalo orlando tampa raleigh omaha columbus
    indianapolis charlotte jacksonville louisville toronto montreal vancouver calgary ottawa edmonton winnipeg quebec
    halifax sydney melbourne brisbane perth adelaide canberra auckland wellington christchurch tokyo osaka kyoto
    yokohama nagoya sapporo fukuoka seoul busan beijing shanghai shenzhen guangzhou chengdu wuhan hangzhou taipei mumbai
    delhi bangalore bengaluru chennai kolkata hyderabad pune jaipur lucknow ahmedabad karachi lahore islamabad dhaka
    kathmandu colombo bangkok hanoi jakarta manila cebu kuala lumpur dubai abu dhabi doha riyadh jeddah tehran baghdad
    cairo alexandria casablanca marrakesh tunis algiers lagos abuja kano ibadan accra kumasi nairobi mombasa kampala
    johannesburg durban pretoria harare lusaka addis ababa kigali bogotá bogota medellín lima quito caracas santiago
    montevideo córdoba rosario brasília salvador fortaleza recife curitiba guadalajara monterrey tijuana havana
    california texas florida ohio michigan illinois pennsylvania massachusetts connecticut minnesota wisconsin oregon
    colorado arizona nevada utah montana wyoming idaho nebraska kansas oklahoma missouri arkansas louisiana mississippi
    alabama tennessee kentucky indiana iowa delaware maryland vermont maine hawaii alaska ontario alberta manitoba
    saskatchewan queensland tasmania bavaria saxony yorkshire lancashire cheshire essex sussex surrey kent devon
    cornwall norfolk suffolk somerset dorset hampshire berkshire hertfordshire brooklyn manhattan queens bronx
    """
)
"""Towns and states; needed only where case says nothing: in texts that are all upper or all lower."""

PARTICLES = words_of(
    """
    de del della di da dos das do du des la le las los van von der den ter ten te zu zum zur af av al el bin ibn
    ben bat abu st st. y e und o' d' mac san santa ap ab verch
    """
)
"""What may stand in lower case inside a name."""

HONORIFICS = words_of(
    """
    mr mrs ms miss mx dr prof professor sir madam lady lord dame rev reverend fr father sister capt captain sgt lt
    col
    gen maj hon judge justice sen rep herr frau dott sig signor signora señor señora sr sra srta don doña mme mlle
    monsieur madame mademoiselle meneer mevrouw pan pani shri smt sri ustad sheikh imam rabbi
    pastor doctor nurse det detective officer insp constable pvt cpl
    """
)

OF_ENGLISH = PROSE | CALENDAR | PRODUCTS
"""Name nobody in English."""
