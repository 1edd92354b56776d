"""Things that are called like people, and words of other languages that begin with a capital and name nobody.

Chosen by hand: what German writes with a capital, headings and labels of a dozen languages, brands, works, and the
nouns behind which a name is that of an idea: `Parkinson's disease`, `Foley catheter`.
"""

import re2

from redaction.names.words import OF_ENGLISH, words_of

ABROAD = words_of(
    """
    uhr tage woche wochen monat monate jahr jahre damen herren straße urteil beschluss gericht amtsgericht
    landgericht oberlandesgericht verwaltungsgericht arbeitsgericht sozialgericht finanzamt jobcenter polizei
    polizeipräsidium staatsanwaltschaft behörde behandlung durchwahl notfall tochter sohn mutter schwester
    rechnung rechnungen lieferung lieferschein bestellung bestellungen auftrag angebot mahnung zahlung überweisung
    betrag
    verwendungszweck miete konto guthaben kunde kunden kundin mitarbeiter mitarbeiterin firma abteilung bereich leitung
    seite anlage anhang datei ordner bericht antrag formular vertrag kündigung versicherung krankenkasse praxis klinik
    krankenhaus station diagnose befund therapie medikation anamnese labor größe gewicht blutdruck temperatur
    termin sitzung besprechung protokoll thema frage antwort problem lösung fehler störung meldung hinweis achtung
    information zusammenfassung ergebnis zweck anschrift telefon handy nummer mein meine sein ihre unser
    sehr geehrte geehrter liebe guten viele grüße freundlichen gruß bitte danke vielen dank
    rückfragen
    straftat anzeige aussage vorgang vorgangsnummer strafantrag aktenzeichen geschäftszeichen wohnung gebäude
    bonjour madame monsieur messieurs mesdames merci cordialement objet référence commande facture livraison montant
    compte date naissance adresse téléphone courriel traitement ordonnance compte-rendu tribunal préfecture mairie
    procès-verbal article infraction domicile poste coefficient personne veuillez
    estimado estimada estimados señores saludos asunto pedido factura entrega importe cuenta fecha nacimiento dirección
    correo teléfono móvil paciente informe alta tratamiento médico contacto familiar responsable juzgado comisaría
    atestado artículo código penal nómina categoría notificaciones domicilio seguridad social número
    buongiorno gentile spettabile oggetto ordine fattura consegna importo conto nascita indirizzo telefono posta
    paziente lettera dimissione terapia tribunale verbale denuncia articolo livello residenza distinti cordiali saluti
    prezado prezada prezados exmos senhores assunto encomenda fatura entrega valor conta nascimento morada endereço
    telemóvel celular utente paciente nota medicação boletim ocorrência auto notícia artigo prescrito retorno olá
    geachte beste heer mevrouw meneer onderwerp bestelling factuur levering bedrag rekening geboortedatum adres
    telefoon
    patiënt medicatie huisarts proces-verbaal wetboek strafrecht artikel mijn uw
    szanowni państwo pani temat zamówienie faktura dostawa kwota konto data urodzenia adres telefon pacjent
    pacjentka
    karta informacyjna protokół przesłuchania świadek wersja zeznał zalecono lekarz prowadzący proszę dzień dobry
    dobrý den předmět objednávka faktura částka účet datum narození bydliště pacient pacientka zpráva úřední záznam
    medikace
    hej hei hyvää päivää ämne beställning faktura belopp konto födelsedatum adress patient epikris anmälan läkare
    anhörig
    insatt brottsbalken tilaus lasku summa tili syntymäaika osoite potilas epikriisi lääkitys lähiomainen rikoslaki
    numeroni
    tutkintailmoitus versio sayın merhaba konu sipariş fatura tutar hesap doğum tarihi adres telefon hasta epikriz
    ifade
    tutanağı şüpheli kimlik madde numaralı
    θέμα παραγγελία τιμολόγιο ποσό λογαριασμός ημερομηνία γέννησης διεύθυνση τηλέφωνο ασθενής εξιτήριο αγωγή έκθεση
    εξέτασης
    άρθρο χρεώθηκαν καλησπέρα καλημέρα λεωφ οδός
    """
)
"""Words that other languages than English begin sentences, labels and nouns with."""
HEADINGS = words_of(
    """
    kolleginnen kollegen kollege ranking grade band scale balancer cluster pipeline ingress
    lorem ipsum dolor hello world foo bar baz qux
    starter incident
    complainant callback discharge commenced sauce
    """
)
"""Words of headings and examples that name nobody."""
STOP = OF_ENGLISH | ABROAD | HEADINGS
"""Names nobody."""
NAMED_AFTER = frozenset(
    (
        "moby dick", "don quixote", "robinson crusoe", "mickey mouse", "donald duck", "mary poppins", "mona lisa",
        "bob the builder", "darth vader", "super mario", "bloody mary", "earl grey", "lady grey", "lorem ipsum",
        "harley davidson", "mercedes benz", "rolls royce", "aston martin", "alfa romeo", "martin luther king day",
        "santa claus", "mount everest", "louis vuitton", "yves saint laurent", "uncle ben", "aunt jemima",
        "tim hortons", "max planck institute", "marie curie actions", "jean monnet programme", "oetker",
    )
)  # fmt: skip
"""Brands, works, and projects that nobody is called by; whoever bears the name of a brand stays hidden with it."""
EPONYM = re2.compile(
    r"^(?:['’]s?)? (?:disease|syndrome|law|laws|theorem|lemma|paradox|palsy|sarcoma|lymphoma|conjecture"
    r"|inequality|phenomenon)\b"
    r"|^ (?:catheter|reflex|algorithm|distribution|transform|fracture|manoeuvre|maneuver|ligament|correlation"
    r"|estimator"
    r"|polynomial|cipher|equation|principle|constant)\b"
)
"""What a thing or an idea is that is called after somebody."""
VERSIONED = re2.compile(
    r"^ (?:v?[0-9]{1,2}\.[0-9]|[0-9]{1,4}(?:[.,][0-9]{1,2})? ?(?:[mµ]?g|mcg|ml|IE|I\.E\.|IU|mmol)\b)"
)
"""A version or a dose behind a word that is no known name: `Laravel 1.10`, `Burana 600 mg`."""
BILL = re2.compile(r"^ of (?:materials|lading|exchange|rights|sale|costs|quantities)\b")
"""What a bill is, and no Bill."""
