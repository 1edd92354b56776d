"""Given names and surnames that are common somewhere, so that a name is known where no sentence stands around it.

Chosen by hand from what is given most often in some forty countries. A name that is an everyday word, a month, a place
or a product too is listed under AMBIGUOUS.
"""

from redaction.names.words import words_of

AMBIGUOUS = words_of(
    """
    cassandra pascal grace amber jack harry ray art bill will mark frank dean grant chase hope faith joy april may
    june august summer rose lily iris ivy violet daisy ruby pearl jade crystal robin jay drew chip rich rob bob sue
    pat don ed lou gene guy ford mason hunter carter parker taylor jordan austin dallas paris london brooklyn
    chelsea savannah madison victoria florence sofia alexandria georgia carolina virginia diego santiago leon jan
    mercedes alba sienna angel jesus christian dominic miles max rusty sandy penny ginger melody harmony destiny
    trinity jasmine basil josh dan hans juan cookie mac ana ali ion dung minh tao hao jun ming yang lei ling mei wei
    hui jie xin yan fang ying jing noor nour alexis tracy terry jesse tyler logan dylan kyle brandon dewi angular
    cameron craig toby bram felix leo milo otto victor oscar romeo juliet mike charlie bravo sierra sam pilar rosa
    elif cem kari sanna baraka juma amani gloria carmen abigail stuart dolores irene ruth opal dawn fern hazel
    laurel mercy ora della marina roman earl nelson mitchell marshall warren sherman lynn rick theo till bas els
    roos floor nell gail constance regina shelby jo kay jackie marc francis leslie roland simone angelo spencer
    preston lewis howard wallace stewart morris murray franklin herman harm tess isa luz cora alma ida eve harvey
    merit carla
    """
)
"""Given names that are something else as well: alone they say nothing, beside a surname they do."""

GIVEN = AMBIGUOUS | words_of(
    """
    maciej blake dillon kaylee gilberto gunther birthe mads frederik liliana ronaldo bruno marcelina martino leandro
    james robert john michael david william richard joseph thomas christopher charles daniel matthew anthony steven
    andrew paul joshua kenneth kevin brian timothy ronald edward jason jeffrey ryan jacob gary nicholas eric
    jonathan stephen larry justin scott brandon benjamin samuel gregory alexander patrick raymond jack dennis jerry
    tyler aaron jose adam nathan henry zachary douglas peter kyle noah ethan jeremy walter keith roger terry harry
    sean gerald carl dylan arthur lawrence jesse bryan billy bruce gabriel joe logan alan juan albert willie elijah
    wayne randy vincent mason roy ralph bobby russell philip eugene liam oliver lucas theodore sebastian owen julian
    ezra isaac caleb connor cameron evan colin derek trevor craig shane glenn marcus curtis troy neil simon stuart
    graham nigel clive gareth rhys callum ewan hamish alistair angus duncan malcolm gordon ian geoffrey dominic
    jared toby rory finn declan ciaran niall eoin padraig seamus cormac brendan kieran mary patricia jennifer linda
    elizabeth barbara susan jessica karen sarah lisa nancy sandra betty ashley emily kimberly margaret donna
    michelle carol amanda melissa deborah stephanie rebecca sharon laura cynthia dorothy amy kathleen angela shirley
    emma brenda pamela nicole anna samantha katherine christine debra rachel carolyn janet maria olivia heather
    helen catherine diane julie victoria joyce lauren kelly christina joan evelyn judith andrea hannah megan cheryl
    jacqueline martha madison teresa gloria sara janice ann kathryn abigail sophia frances jean alice judy isabella
    julia grace amber denise danielle marilyn beverly theresa diana natalie brittany doris kayla alexis lori tiffany
    tammy tracy wendy gillian fiona siobhan niamh aoife sinead eleanor charlotte lucy molly chloe zoe imogen phoebe
    harriet matilda eliza penelope beatrice florence rosalind bethany kirsty ailsa morag rhiannon carys heidi gemma
    joanne lorraine maureen sheila yvonne vanessa valerie claire leah audrey naomi miriam esther brooke paige
    mackenzie savannah aubrey hailey kaitlyn caitlin katie kate maggie annie jenny sally becky debbie mike dave
    steve chris matt nick tony jim jeff greg ben sam alex tim ron ken ted fred gus hank lou phil rick rob bob tom
    dan doug don ed liz beth cathy cindy sue peggy patty kathy barb nikki jess jodi hans klaus juergen jürgen
    wolfgang dieter helmut guenter günter manfred horst uwe bernd stefan steffen markus andreas matthias thorsten
    torsten sven jens lars nils jan tobias florian felix maximilian moritz leon jonas lukas fabian heinz karl
    heinrich friedrich ulrich rainer joachim gerhard ralf axel detlef holger ingo ursula monika petra sabine renate
    gisela ingrid brigitte birgit claudia katrin kathrin anja silke heike ute anke antje britta susanne martina
    nadine svenja jana lena leonie annika franziska johanna greta frieda mathilda pierre jean-pierre michel philippe
    françois francois jacques laurent olivier thierry guillaume mathieu antoine julien nicolas sébastien sebastien
    étienne etienne yves rené rene marcel gaston luc benoît benoit rémi remi thibault marie nathalie isabelle sylvie
    véronique veronique sandrine céline celine aurélie aurelie élodie elodie amélie amelie camille margaux manon
    chloé léa inès ines geneviève genevieve odile hélène helene giovanni giuseppe antonio marco luca matteo
    alessandro francesco lorenzo paolo roberto stefano davide riccardo salvatore vincenzo luigi giorgio mario enrico
    fabio giulia francesca chiara sofia alessia elisa valentina federica silvia paola giovanna lucia caterina josé
    carlos luis jorge javier miguel ángel angel fernando sergio alejandro manuel pablo diego raúl raul ramón ramon
    álvaro alvaro andrés andres ricardo eduardo enrique ignacio joaquín joaquin hugo mateo santiago rafael esteban
    carmen ana isabel pilar dolores cristina rosa mercedes marta beatriz lucía elena raquel montserrat nuria irene
    alba rocío rocio inmaculada guadalupe ximena camila valeria mariana gabriela daniela fernanda catalina joão joao
    pedro tiago duarte gonçalo goncalo rui nuno afonso thiago guilherme henrique vinicius leonardo larissa letícia
    leticia juliana luciana adriana renata patrícia tatiana johannes pieter hendrik willem cornelis gerrit maarten
    bram daan sander jeroen joost ruben thijs wouter anneke marieke sanne femke lotte fleur saskia willemijn erik
    björn bjorn gustav gustaf anders magnus mikael mats håkan johan oskar mattias fredrik henrik olof astrid
    ingeborg sigrid solveig kirsten mette hanne birgitta linnea freja maja elsa ebba agnes mikko jukka timo antti
    juha kari matti pekka aino eeva kaisa sanna päivi tiina piotr krzysztof andrzej tomasz paweł pawel marcin
    grzegorz łukasz lukasz michał michal jakub wojciech stanisław stanislaw zbigniew agnieszka katarzyna małgorzata
    malgorzata ewa joanna magdalena aleksandra zofia jadwiga beata jiří jiri petr pavel tomáš tomas josef václav
    vaclav zdeněk jaroslav miroslav zuzana lenka veronika kateřina andrei ion mihai alexandru cristian gheorghe
    ioana mihaela bogdan radu istván istvan lászló laszlo zoltán zoltan gábor gabor balázs attila zsófia katalin
    ildikó dimitris nikos giorgos yannis kostas vasilis konstantinos eleni katerina despina vladimir sergei sergey
    alexei aleksei dmitry dmitri nikolai mikhail ivan igor oleg yuri boris konstantin natalia olga svetlana irina
    tatyana ekaterina anastasia yulia ludmila galina oksana kateryna mehmet mustafa ahmet ali hüseyin huseyin hasan
    ibrahim ismail osman murat emre burak cem ayşe ayse fatma emine hatice zeynep elif merve büşra mohammed muhammad
    mohamed mohammad ahmed ahmad abdullah abdul omar umar khalid hassan hussein yusuf youssef tariq bilal hamza
    karim samir nabil rashid salim faisal saad walid ziad imran asif aisha ayesha fatima khadija zainab maryam
    mariam layla leila amina noor nour yasmin yasmine salma hana rania samira farah rajesh rahul amit sanjay vijay
    suresh ramesh anil sunil ajay ravi arjun vikram rohit nikhil karthik ganesh arvind deepak manoj prakash ashok
    mahesh naveen vivek aditya pranav siddharth harish sachin dinesh pradeep krishnan venkatesh srinivas gurpreet
    harpreet jaspreet manpreet priya anjali pooja neha kavita sunita anita deepika shreya divya lakshmi sangeeta
    rekha meena nisha swati ananya ishita aarti shweta radhika aishwarya padma sushma wei ming jun hao xin yan fang
    xiu xiulan jing ying hui ling mei yang lei qiang jie tao guang zhen yiwei xiaoming xiaoyu yuxuan zihan haoran
    jiahao wenjie weiwei hiroshi takashi kenji yuki yuto haruto takeshi satoshi daisuke kazuki naoki shota ryo kaito
    akira makoto yuko keiko yumi sakura haruka misaki aiko naoko tomoko kumiko emiko akiko minjun seojun jihoon
    minho sungmin hyunwoo jiwoo seoyeon minji jiyeon eunji soojin yuna hyejin nguyen minh thanh huong linh phuong
    thuy hoang dung tuan quang somchai siriporn agus budi dewi siti putri rizky wayan ketut kwame kofi kojo yaw
    akosua abena ama efua chinedu emeka chukwu ifeoma ngozi adaeze chioma oluwaseun babatunde folake temitope
    ayodele kehinde taiwo tunde bola amara nnamdi obinna uche thabo sipho thandiwe nomsa lerato themba bongani
    zanele mandla wanjiku kamau njoroge otieno achieng mwangi wambui kipchoge chebet juma baraka zawadi amani tendai
    chipo farai rutendo haile tesfaye abebe selam dawit moshe avi yosef shlomo eitan noam yael shira tamar rivka
    reza hossein mehdi amir farid hamid babak dariush shirin nasrin parisa soraya george edgar clara marion chad
    patrice catharina katharina katarina mathew gerard nathaniel serafina leanne georgina cody corey cory dustin
    joel ross clayton clinton darren darryl dwight earl edwin elliot elliott ernest everett floyd francis franklin
    frederick garrett gilbert glen harold harvey herbert herman howard irving leonard leroy leslie lester lewis
    lloyd louis luther lyle marc marshall marvin maurice melvin milton mitchell morris murray nelson norman oscar
    perry preston quentin randall reginald rodney roland roman rudolph rufus sheldon sherman sidney spencer stanley
    stewart sylvester terrence theodor trent vernon virgil wallace warren wesley wilbur wilfred winston woodrow
    agatha alexandra alicia alison allison alma annabel annette antonia antoinette april arlene bernadette bernice
    bertha bridget candace carla carly carrie cassandra cecilia charlene christa clarissa colleen constance cora
    courtney crystal daisy daphne dawn deanna debora deirdre delia della desiree dina edith edna eileen elaine
    eleanore ella ellen eloise elsie erica erika erin ernestine estelle ethel eunice eva eve evelina faye felicia
    fern frankie freda gail georgette geraldine gertrude gina ginny glenda gladys gretchen gwen gwendolyn harriett
    hazel henrietta hilary hilda hillary holly ida ilse irma ivy jackie jacquelyn jamie janelle janine jeanette
    jeanne jennie jeri jillian jill jo joann jodie johnnie jolene josephine josie juanita june kara karin karina
    karla kasey kathie katrina kay kelli kelsey kendra kerry kim krista kristen kristin kristina lana latoya laurel
    laurie laverne leona lila lillian lily lindsay lindsey lola lorena loretta louise lucille lucinda luz lydia
    lynda lynn lynne mabel mable mandy marcella marcia margarita margie marguerite marianne marina marjorie marla
    marlene marsha maryann mattie maude maxine melanie melinda mercy meredith mildred mindy minnie miranda mona
    monica monique muriel myra myrtle nadia nanette nell nellie nettie nina nora norma opal ora patti paula paulette
    pauline pearl phyllis priscilla rachael ramona regina rhonda rita roberta robyn rosalie rosemary roxanne sabrina
    sadie sandy selma shannon shari shawna shelby shelly sherri sherry sonia sonja sonya stacey stacy stella susie
    suzanne sylvia tamara tanya tara tasha terri thelma tina toni traci trisha velma vera verna vicki vickie vicky
    viola violet vivian wanda wilma winifred yolanda nicoletta gianluca gianni giacomo pietro edoardo filippo
    tommaso massimo maurizio claudio daniele emanuele simone michele angelo carmelo rosario domenico pasquale
    gennaro ornella simona elisabetta raffaella ilaria serena rodrigo gonzalo adrian adrián iker unai hector héctor
    rubén emilio julio lourdes consuelo marisol esperanza romain maxime bastien cyril damien gilles herve hervé
    pascal régis xavier yannick fabrice loic loïc agathe anaïs anais clémence clemence delphine emmanuelle juliette
    laetitia mathilde mireille noémie severine séverine solange virginie arne bastian benedikt christoph clemens
    dominik elias emil erwin georg gregor hannes henning hubert jakob jochen jörg joerg julius korbinian konrad
    lothar marius norbert otto philipp reinhard rolf rudolf siegfried theo till ulf viktor volker werner wilhelm
    winfried anette angelika annemarie bettina carolin christel christiane cornelia dagmar edeltraud elfriede elke
    elvira erna gabriele gerda gertrud gudrun hannelore hedwig helga herta hilde hildegard ilona inge irmgard jutta
    karola kerstin lieselotte lina louisa luisa margarete margot marlies mia michaela mirjam nele patrizia rosemarie
    roswitha ruth sophie stefanie susann tanja ulrike verena waltraud arjen bas dirk frank geert guus harm henk jaap
    jelle jos kees klaas koen luuk mark martijn matthijs menno michiel niels nico piet pim rens rik robbert roel
    sjoerd stijn tijn wim anouk annelies els fenna floor iris isa jolanda loes maaike margriet mariska marjolein
    maud merel mieke roos tess yara zoë
    """
)

SURNAMES = words_of(
    """
    smith johnson williams brown jones garcia miller davis rodriguez martinez hernandez lopez gonzalez wilson
    anderson thomas taylor moore jackson martin lee perez thompson white harris sanchez clark ramirez lewis robinson
    walker young allen king wright scott torres nguyen hill flores green adams nelson baker hall rivera campbell
    mitchell carter roberts gomez phillips evans turner diaz parker cruz edwards collins reyes stewart morris
    morales murphy cook rogers gutierrez ortiz morgan cooper peterson bailey reed kelly howard ramos kim cox ward
    richardson watson brooks chavez wood james bennett gray mendoza ruiz hughes price alvarez castillo sanders patel
    myers long ross foster jimenez powell jenkins perry russell sullivan bell coleman butler henderson barnes
    gonzales fisher vasquez simmons romero jordan patterson alexander hamilton graham reynolds griffin wallace
    moreno west cole hayes bryant herrera gibson ellis tran medina aguilar stevens murray ford castro marshall owens
    harrison fernandez mcdonald woods washington kennedy wells vargas henry chen freeman webb tucker guzman burns
    crawford olson simpson porter hunter gordon mendez silva shaw snyder mason dixon munoz hunt hicks holmes palmer
    wagner black robertson boyd stone salazar fox warren mills meyer rice schmidt garza daniels ferguson nichols
    stephens soto weaver ryan gardner payne grant dunn kelley spencer hawkins arnold pierce hansen peters santos
    hart bradley knight elliott cunningham duncan armstrong hudson carroll lane riley andrews alvarado ray delgado
    berry perkins hoffman johnston matthews pena richards contreras willis carpenter lawrence sandoval guerrero
    george chapman rios estrada ortega watkins greene nunez wheeler valdez harper burke larson santiago maldonado
    morrison franklin carlson austin dominguez carr lawson jacobs obrien lynch singh vega bishop montgomery oliver
    jensen harvey williamson gilbert dean sims espinoza howell wong reid hanson mccoy garrett burton fuller wang
    weber welch rojas lucas marquez fields park yang little banks padilla day walsh bowman schultz luna fowler mejia
    khan ali ahmed hussain begum davies clarke byrne doyle gallagher doherty kavanagh mccarthy macdonald müller
    mueller schneider fischer becker schulz hoffmann schäfer koch bauer richter klein wolf schröder neumann schwarz
    zimmermann braun krüger hofmann hartmann lange werner krause lehmann dubois durand dupont leroy moreau laurent
    lefebvre michel bertrand roux fournier girard bonnet lambert rousseau rossi russo ferrari esposito bianchi
    romano colombo ricci marino greco bruno gallo conti costa mancini oliveira souza pereira ferreira almeida
    carvalho ribeiro jansen visser smit meijer mulder bakker bos vos peeters andersson johansson karlsson nilsson
    eriksson larsson olsson persson svensson nielsen pedersen korhonen virtanen nieminen kowalski nowak wiśniewski
    wisniewski wójcik kamiński kaminski zieliński novák novak svoboda popescu ionescu nagy kovács kovacs szabó tóth
    papadopoulos ivanov petrov smirnov kuznetsov yılmaz yilmaz kaya demir çelik öztürk sharma gupta kumar verma
    reddy iyer nair mehta shah joshi agarwal chopra banerjee mukherjee chatterjee das rao desai kapoor malhotra
    bhatt li zhang liu huang zhao wu zhou xu sun zhu lin gao luo zheng tang cheung chan lau cheng sato suzuki
    takahashi tanaka watanabe ito yamamoto nakamura kobayashi kato yoshida yamada choi jung kang cho yoon jang lim
    pham hoang phan vu dang bui okafor okonkwo adeyemi eze nwosu balogun mensah owusu boateng osei asante dlamini
    nkosi ndlovu moyo mwangi otieno kamau cohen levy mizrahi goldberg friedman rosenberg katz
    """
)
WORDY_SURNAMES = words_of(
    """
    baker hall hill green brown young king cook bell wood price long foster butler park fields banks page stone fox
    mills rice weaver grant spencer hart knight lane ray berry carpenter little day luna cruz ross rivera flores white
    black gray reed cooper bailey parker turner carter walker taylor miller ward brooks perry porter hunter mason dixon
    fisher cole west wells webb marshall bishop fuller burton harper franklin warren palmer arnold pierce hudson sims
    lee may jordan austin santiago montgomery lincoln sun song wolf klein lange bush rose fields case frost marsh banks
    potter sharp short small love lane poole pope power read rich rush sage self shepherd singer smart spring steel
    summers temple towers trust ville waters wise woods workman grande costa silva marino bruno romano conti ricci
    lima leon gallo sato das rao vu wu xu li lin ma do bui dang phan chan cheng
    """
)
"""Surnames that are words, places or parts of product names too: they make no name of an unknown word before them."""
