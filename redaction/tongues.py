"""What keys, columns and labels are called in other languages than English, and letters without their marks. Pure.

Words are written as `redaction/keys.py` compares them: in lower case, without blanks and marks, `ø` as `o`.
"""

import unicodedata

from redaction.wording import words

_ALONE = {
    "ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ŧ": "t", "ħ": "h",
    "ĸ": "k", "ŋ": "n", "ſ": "s",
}  # fmt: skip
"""Letters that Unicode does not take apart into a plain one and a mark."""

NAMED_BY: dict[str, str] = {
    "PASSWORD": """wachtwoord senha parola haslo heslo losenord adgangskode kodeord passord salasana matkhau sifre
        jelszo
        lozinka geslo parool slaptazodis parole motdepasse mdp clave clavedeacceso contrasinal
        katasandi sandi sifra пароль 密码 密碼 パスワード 비밀번호 secretword palabraclave losen""",
    "PERSON": """phnm realname fullname nachname familienname rufname geburtsname karteninhaber kontoinhaber vollname
        vorundnachname nomdefamille nomfamille nomcomplet nometprenom prenometnom prenoms
        titulaire nomusage nomclient cognome nomeecognome cognomeenome nominativo intestatario
        primernombre segundonombre primerapellido segundoapellido nombrecompleto
        nombreyapellidos titular nomecompleto sobrenome apelido apelidos nomedopaciente
        nomedocliente achternaam voornaam volledigenaam tussenvoegsel rekeninghouder efternamn
        fornamn efternavn fornavn etternavn fulltnavn mellomnavn sukunimi etunimi kokonimi
        nazwisko imieinazwisko nazwiskoiimie prijmeni jmenoaprijmeni priezvisko krstnemeno soyad
        soyadi soyisim adsoyad adisoyadi isimsoyisim vezeteknev keresztnev csaladnev teljesnev
        prezime imeiprezime priimek imeinpriimek numedefamilie prenume numesiprenume
        perekonnanimi eesnimi pavarde uzvards namalengkap namadepan namabelakang фамилия имя
        отчество фио прізвище imya familiya otchestvo 姓名 氏名 성명 givennames forenames surnames
        lastnames firstnames familynames kundenname patientenname clientnom ansprechpartner
        versicherter antragsteller empfaenger titularcuenta ordenante""",
    "DATE_OF_BIRTH": """nasc datanasc nac fechadenac neele nele geb gebam szulido szuletesiido rod urodz geborenam
        geborenop nascutla geboren geburtsdat geburt gebdatum gebdat naissance datedenaissance
        datenaiss nele nacimiento fechadenacimiento fnacimiento fechanac nascimento
        datadenascimento datanascimento nascita datadinascita datanascita geboortedatum geboorte
        fodselsdato fodselsdag fodt fodelsedatum fodd fodelsedag syntymaaika syntymapaiva
        syntynyt dataurodzenia urodzenia urodzony datumnarozeni narozeni datumnarodenia
        narodenia dogumtarihi dogum szuletesidatum szuletes szuldatum datanasterii nasterii
        datumrodenja rodenja datumrojstva rojstva tanggallahir tgllahir sunniaeg gimimodata
        dzimsanasdatums датарождения датанародження ημερομηνιαγεννησης 生年月日 出生日期 생년월일
        ngaysinh yearofbirth dayofbirth birthyear""",
    "EMAIL": """emailadr adresseelectronique adrelectronique courriel adressecourriel correo correoelectronico
        correoe epost epostadress epostadresse eposta mejl mailadresse emailadresse emailadres
        adresemail adresemailowy postaelettronica indirizzoemail correioeletronico
        correioelectronico sahkoposti sahkopostiosoite emailcim surel почта электроннаяпочта 邮箱
        电子邮件 メール メールアドレス 이메일""",
    "PHONE": """landline phnenb mobnb faxnb telc telcislo telnr telnumber nrdetelefon nrtelefon nohandphone gsmnummer
        telefonnummer telefonnr telefoonnummer telefoon numerotelefono numeroditelefono
        cellulare numerodetelephone numerotelephone telephonefixe telephoneportable telmobile
        numerodetelefono movil telefonomovil telefone telemovel celular numerotelefonu
        numertelefonu telefonu telefonnicislo telefonicislo cislotelefonu mobiltelefon
        mobilnummer mobilnr mobil handynummer handynr rufnummer festnetz mobiel mobielnummer gsm
        puhelin puhelinnumero matkapuhelin tlf tlfnr telefonszam mobilszam ceptelefonu cepno
        telno brojtelefona telefonskastevilka nomortelepon nohp telefonas talrunis телефон
        номертелефона мобильный τηλεφωνο 电话 手机 手机号 電話 電話番号 携帯 전화번호 휴대폰""",
    "ADDRESS": """naslov alamatrumah adresastanovanja adresadomiciliu trvalebydlisko bydlisko bydliste bydliska
        bydlistě bostedsadresse adres adresa adresi adressezeile indirizzo indirizzodiresidenza
        direcciondeenvio direccionpostal domicilio endereco enderecocompleto morada logradouro
        osoite katuosoite postiosoite lakcim postacim cimzett bostadsadress gatuadress
        postadress hausnummer strassehausnummer wohnadresse rechnungsadresse lieferadresse
        adressepostale adressefacturation adresselivraison straatnaam huisnummer woonadres
        alamat adresse1 adresse2 codepostal codigopostal postnr postnummer postinumero
        postnummerort kodpocztowy kodpocztowyimiejscowosc iranyitoszam irsz codpostal
        postanskibroj postnastevilka postakodu kodepos адрес индекс διευθυνση 地址 住所 주소 strtnm
        pstcd adrline bldgnb""",
    "NATIONAL_ID": """personnummer personnr cprnummer cprnr cpr henkilotunnus hetu rodnecislo tckimlikno tckimlik
        kimlikno tcno tckn ahvnummer ahvnr ahv avs numeroavs navs svnr svnummer
        sozialversicherungsnummer rentenversicherungsnummer fodselsnummer fnr
        rijksregisternummer rrn insz niss registrenational numeronational nas cnp oib jmbg emso
        tajszam taj szemelyiszam egn amka pps ppsn ppsnumber nik ktp noktp cuil rut cedula
        cedulaidentidad cedulaciudadania burgerservicenummer sofinummer nir
        numerosecuritesociale securitesociale numerosecu numeross numerodesecuritesociale insee
        nss numeroseguridadsocial personalausweis ausweisnummer personalausweisnummer ausweisnr
        cartadidentita documentodeidad documentodeidentidad numerodocumento numerodni dnie
        dowodosobisty numerdowodu nrdowodu isikukood asmenskodas personaskods idkort
        steueridentifikationsnummer identifikationsnummer idnr mynumber permisodeconducir
        permisdeconduire patente fuhrerschein fuehrerscheinnummer prawojazdy 身份证 身份证号 身份证号码
        マイナンバー 주민등록번호 snils снилс паспорт rg cartaodecidadao numeropesel peselnumber curpnumber
        nationalidentificationnumber citizenid citizenshipnumber nationalnumber cccd cmnd socancuoc socancuoccongdan
        residentid natid natno
        socialinsurance personalid personalidentitynumber personalcode""",
    "PASSPORT": """passnummer paszport numerpaszportu nrpaszportu passaporte pasaporte numeropasaporte passaporto
        numeropassaporto passeport numeropasseport numerodepasseport pasaport pasaportno
        cestovnipas passinumero paspoort paspoortnummer reisepassnummer reisepassnr utlevelszam
        pasport паспортныеданные 护照 护照号""",
    "TAX_ID": """ustid ustidnr umsatzsteuerid partitaiva piva codiceiva cnpj cuit nip dic vergino verginumarasi
        vkn btwnummer btwnr tvanumber numerotva ytunnus adoszam adoazonosito steuernr taxnr инн
        inn numerofiscal numerocontribuinte contribuinte taxid1""",
    "PAYMENT_CARD": """kartennummer kreditkarte kreditkartennummer numerodecarte cartebancaire cartebleue numerocarte
        numerotarjeta numerodetarjeta tarjeta numerodicarta numerocarta cartao numerocartao
        numerodocartao kaartnummer creditcardnummer kortnummer kortnr korttinumero numerkarty
        cislokarty kartno kartnumarasi 卡号 номеркарты""",
    "BANK_ACCOUNT": """kontonr bankverbindung bankkonto numerokonta numerkonta nrkonta numerrachunku rachunek
        numerocompte numerodecompte comptebancaire numerocuenta numerodecuenta cuentabancaria
        contabancaria numerodaconta numeroconta numeroconto contocorrente rekeningnummer
        bankrekening bankrekeningnummer tilinumero bankszamlaszam szamlaszam cislouctu
        bankovniucet hesapno hesapnumarasi brojracuna rekening norekening clabe blz bankleitzahl
        номерсчета""",
    "MEDICAL_RECORD": """fallnummer aktenzeichenpatient patientennummer patientennr patientenid numerodossier
        numeropatient dossierpatient historiaclinica numerohistoriaclinica prontuario
        cartellaclinica patientnummer journalnummer numerpacjenta""",
    "HEALTH_ID": """versichertennummer versichertennr kvnr krankenversicherungsnummer krankenkassennummer ehic
        tarjetasanitaria tessera tesserasanitaria carteinami cartevitale numeroassure
        numeromutuelle cartaosus cns polisnummer zorgnummer verzekeringsnummer
        numerubezpieczenia""",
}  # fmt: skip
"""Entity → the last words of keys that name it."""

ONLY_WHOLE = words(
    """
    parola parole clave mdp sifra sifre titular titulaire imya inn dic nip cap cep psc npa via rua rue gata
    gade cpr nas taj egn nik ktp rut fnr rrn hetu ahv avs rg nss insee mobil gsm tlf epost mejl geburt geboren
    fodt fodd dogum szuletes tessera tarjeta cartao cns oib cnp pps nir patente rekening rachunek telefonu
    alamat cedula insz niss idnr blz nele dni fio haslo heslo geslo senha adres adresa adresi osoite morada
    domicilio indirizzo correo surel
    """
)
"""Of those, the ones that are too short or too common for the end of any name."""
OWNERS = words(
    """
    kunden kunde kundens patienten klient klienta pacjent pacjenta klant cliente clienta paciente paziente
    client meine mein mijn mon ma mes votre ihre ihr deine su mi tu il mio suo meu minha seu mitt mit min oma
    minun moj moje vas numero numer nummer nr no num cislo broj numara numarasi nomor o de del della dello di
    da do d des du la le el e i og och ja und y et n t c kundennummer empfanger empfaenger destinatario
    destinataire remitente mittente absender titular titulaire connect okta
    """
)
"""Words that may stand before those."""
BARE_NAMES = words(
    """
    nom nome nombre naam namn navn nimi nazwa jmeno meno imie ime nume nev isim ad adi nama nm имя
    """
)
"""What `name` is called, which may be that of anything."""
PARTS = words(
    """
    nom nome naam namn navn nimi jmeno meno imie ime nume nev isim ad adi nama firstname given
    """
)
"""What a given or a family name is called beside its other half."""
PLACES = words(
    """
    city town village municipality locality suburb ort stadt wohnort geburtsort gemeinde ville commune lieu
    citta comune localita provincia ciudad localidad municipio poblacion cidade localidade municipio concelho
    plaats woonplaats stad gemeente miasto miejscowosc mesto obec postort stad by bynavn poststed kaupunki
    paikkakunta kunta sehir il ilce varos telepules oras localitate grad kraj kota twnnm birthplace
    placeofbirth lieudenaissance lugardenacimiento luogodinascita naturalidade geboorteplaats fodelseort
    fodested syntymapaikka mjesto город місто 城市 市 hometown
    """
)
"""What a town is called."""
SHORT_PLACES = words(
    """
    by il grad kraj kota stad ort lieu oras obec mesto place
    """
)
"""Of those, the ones that end other names too."""
STREETS = words(
    """
    via rue rua gata gade vej katu ulica ulice utca sokak calle straat cadde strada strasse street cap cep psc
    npa cp zip plz postcode bairro colonia barrio quartier ilce mahalle
    """
)
"""What a street, a postal code or a quarter is called among what is known about a person; elsewhere, other things."""
MONTHS = (
    r"(?:jan|ene|gen|sty|oca|led|feb|fev|f\xe9v|lut|sub|\xfano|uno|mar|m\xe4r|maa|mrz|maj|mag|mai|may|mei|apr|avr|abr"
    r"|kwi|nis|dub|jun|jui|giu|cze|haz|cer|\xe8er|jul|lug|lip|tem|aug|ago|ao\xfb|aou|sie|agu|srp|sep|set|wrz|eyl|zar"
    r"|z\xe1r|oct|okt|out|ott|paz|eki|rij|\xf8kt|nov|lis|kas|dec|dez|d\xe9c|dic|des|gru|ara|pro|tam|hel|huh|tou|kes"
    r"|hei|elo|syy|lok|mars|aout|kv\xec|kve|m\xe1j|ma\xef)"
)
"""How months begin in twenty languages, as RE2 over Latin-1."""


def plain_letters(text: str) -> str:
    """A text in lower case without the marks on its letters: `Fødselsdato` gives `fodselsdato`."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    apart = unicodedata.normalize("NFKD", lowered)
    return "".join(_ALONE.get(char, char) for char in apart if unicodedata.category(char) != "Mn")
