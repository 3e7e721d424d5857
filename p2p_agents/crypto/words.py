"""The words of pairing codes: 1,950, of 4 to 6 letters, any two at least two slips of the finger apart.

Chosen from the EFF Large Wordlist for Passphrases by the Electronic Frontier Foundation,
https://www.eff.org/dice, licensed CC BY 3.0 US (https://creativecommons.org/licenses/by/3.0/us/). Changes: words of
other lengths, words one insertion, deletion, substitution or transposition from an earlier one, and rude words are left
out.
"""

_TEXT = """
abacus abide ablaze able abroad absurd accent aching acid acorn acre action active acts afar affair affirm affix
afford aflame afloat afoot afraid aged agency agenda agent aghast agile aging agony agreed ahead ahoy alarm album
alias alibi aliens alike almost aloe aloft aloha aloof alto alumni always amaze amber ambush amends amigo amiss among
amount ample amuck amulet amused anchor anemia anew anger angled animal anime ankle annex anthem antics antler antsy
anvil anyhow anyone anyway aorta appear apply april apron aqua area argue arise armed armful arming armory army aroma
around array arrest arrive arson ascend ashen ashy askew asleep aspect aspire astute atlas atom atrium attach attain
attest attic attire audio august author avatar avenge avert avoid await awaken award awhile awning awoke awry axis
babble babied baboon backed backup bacon badge badly baffle bagel bagful bagged baggie baggy bakery baking balmy
bamboo banana banish banjo banker barbed barley barman barn barrel bash basics basil basket batboy batch bats battle
blade blah blank blast blazer bleach bleak bleep blend bless blimp bling blinks blitz blob blouse bluff bluish blunt
blurb blurry boat bobbed bobcat body boggle bogus boil bonded boney bonnet bonsai book booted booth bootie boozy borax
boring boss botany bottom bounce bovine boxcar boxer breath breeze briar bribe brick bright brim broken bronco bronze
broom browse brunch brush brute bubbly bucket buckle buddy budget buffed bulb bulge bulgur bully bundle bungee bunion
bunny busboy busily bust buzz cabana cabbie cache cackle cacti cactus caddie caddy cadet cage calm cameo camera camper
campus canal canary cancel candle canine canned cannon canola canopy capped carat carbon carded caress cargo caring
carol carrot carry cartel carve casino catchy catnap catsup catty caucus causal cause caviar cavity cedar celery
celtic cement census chafe chain chance chant chaos charm chaste cheek cheese chef chemo cherub chess chevy chewer
chili chimp chirpy chive choice choosy chop chosen chrome chubby chuck chug chummy churn chute cider cinch cinema
circle circus citric citrus city civic clad claim clammy clamor clamp clang clash clean cleft clench clerk clever
client clinic clip clique cloak clone cloud clumsy clunky clutch coach cobalt cobweb cocoa coerce coffee coke cola
collar collie colony comfy comic coming comma common compel comply concur copied copper copy coral cork cornea corny
corset cortex cosmos cost cotton cough could county cover cozily cradle crafty crane crayon crazed crazy crease credit
creed creme creole crept crib crier cringe crispy crock croon cross crouch crowd crumb crust crux crying cube cuddle
cupid curfew curled curly curse cursor curtsy cushy cusp cussed cycle cyclic cymbal dagger daily dainty dance dander
dandy dangle dares dart data dating dawn daybed deacon dealer dealt dean debate debit debtor debug debunk decade decaf
decent deck decoy decree deduce deed deepen deeply deface defeat define defog deftly defuse defy deity delay delete
delta deluge demise demote denial denim dense depict deploy deport depose depth deputy derail derby detest device dial
diaper diary dice dicing dilute dimly dimmed dimple diner dinghy dingo dipped disarm dish dismay disown ditch ditto
ditzy doable docile dodge doing dole dollop dolly domain donor donut doodle dorsal dosage dotted dowry drab drank
dreamt dreary drench dress drew dried drift drippy driven drone drool drown drudge drum dubbed ducky duct dude duffel
dugout duller duly duplex during dusk duvet dwarf each eagle earful early earthy earwig easel easily easing easter
eaten eatery ebay ebony ecard echo eclair edge edging editor effort eggnog either eject elated elbow eldest eleven
elite elixir elope elude elves email embark emblem embody emboss emcee emit empty enable enamel encode ended ending
energy engine engulf enrage enrich enroll ensure entail entire entity entomb entrap entree envoy enzyme epic equal
equate equity erased errand error erupt essay estate ethics evade even evict evil evoke evolve exact excess excuse
exert exes exhale exhume exile exodus expand expel expire expose extent extras fabric facial facing factor fade falcon
fall false family fancy fang faucet feast fedora feeble feel feisty feline femur fence fender ferret ferris ferry
fervor fester fetch fever fiber fiddle fifth figure filing filled film filter finale finite five flail flaky flap
flashy flask flatly fled flick flier flight flinch flint floral floss flying foam folic folk follow fondly fondue font
food footer fossil foyer frame frayed frays freely frenzy fresh friday fridge friend frill frisk from frosty froth
frozen fruit gaffe gains gala galley gallon galore game gaming gamma gangly garage garden gargle garlic garnet garter
gauze gawk gear gecko geek geiger genre gently gents gerbil getup giant giblet giddy gift giggle gills girdle given
giving gizmo gladly glance glare glass glider glitch glitzy gloomy glory glove glue gluten gnarly gnat goal goes golf
gone gooey google goon gopher gorged gossip gothic gotten gout graded grain granny grape grasp gravel gravy greedy
green grid grief grime grinch groggy groove grower growl grub grunge grunt guide gulp gummy guru gush gusto guts
gutter hacker haiku half halved hamlet handed hangup hankie hanky happy harbor hardly harsh hassle hasty hatbox haunt
haven hazard hazily hazy headed heap heave hefty helium helmet helper henna herald herbal herbs hermit hertz hubcap
huff hula human humble humid hummus humped humvee hunger hungry hunk hurdle hurler hurray hurt husked hybrid hyphen
icky icon idiom idly igloo ignore iguana image impale impart impish imply impose impure iodine ipad iphone irate issue
item itunes ivory jackal jacket jailer jargon java jawed jaws jazz jeep jelly jersey jiffy jigsaw jimmy jingle jinx
jockey jogger john jolt jovial joyous judge judo juggle juice jumbo jump june junior jurist juror jury justly kabob
karate karma kebab keenly kelp kennel kept kettle kick kiln kimono kindle king kisser kite kitten kitty kiwi knee
knelt knoll koala kooky kosher kudos ladder ladies ladle lagoon lair lake lapdog lapel laptop lard large lasso lather
launch laurel lavish legacy legal legend legged lego legume lemon length lens lesser letter level levers liable life
lifter likely liking lilac lilly limb limes limit linked lion liquid lisp litmus little lived lizard lucid lumber
lunacy lunar lung lurch lure lushly luster lusty luxury lyrics macaw mace magma maimed maker malt mammal mango manila
manly manor mantis mantra manual march mardi margin marina maroon marrow marshy mascot mashed masses math matrix
matron matted mauve maybe mayday moaner mobile mocha mocker mockup modify module molar mold monday moody mooing mooned
morale morse mosaic mossy motion motive motor motto mouth move mower much mule mulled mumps muppet mural murky museum
music musket mutate mutiny mutual muzzle myself nacho nail nanny nape napkin native nature navy nearby neatly nebula
nectar negate neon nephew nerd nervy nest neuron neuter nibble niece nifty nimbly ninja ninth nuclei nugget nutmeg
nutty nylon oasis object oblong oboe obtain obtuse occupy ocean ocelot octane ogle oink okay olive omega omen onion
online only onset onto onward onyx oops ooze opal oppose other ought outage outbid outer outfit outing outlet output
oxford oxygen oyster ozone paced pacify padded paddle pager palace paltry panama panda panic pants papaya parade
parcel pardon parish parka parlor parole parted partly pasta pastel pastor patio patrol pauper paving payee pebble
pecan pectin pellet pelt pelvis pencil penny penpal perch perky perm peso petal petite petri petted petty phobia
phoney photo phrase plant plasma player plaza pleat pledge plenty plod pluck plug plural poem pogo pointy poise poison
poker poking police polio polish polka poncho pond pope poplar poppy porous portal posh possum posted pouch powwow
prance precut prefix prelaw prepay preset prewar primal primer primp print prior prism prize probe prong pronto proofs
props proton proud proved proxy prude public pucker pueblo pull pulse puma pumice pummel punch pupil purely purge
purify purple purr pusher pushup putt python quack quail quake qualm quarry quench query quiet quill quirk quiver
quote rack racoon radar radial radio radish raft raider raisin rally ramble ramp ramrod ranch random ranged rare
rarity rascal ravage ravine ream reason rebel reboot reborn rebuff recall recant recede recess recite recoil recopy
record recoup refill reflex refold refund refute regain reggae regime region rehab reheat rehire rejoin relax relic
relish relive reload relock rely remake remark remedy remix rename rental rented reopen repair repave repeal repent
replay repost reps rerun resale resend resize resort result resume retail retool retry return retype reuse reverb
revise revolt reward rewash rewind rework rewrap rhyme ribbon riches richly ridden ride riding rigid rigor rind rinse
riot ripple rival roamer roast robin robust rocket rocky rogue roman roping roster rosy royal rubber rubble ruby
ruckus rudder ruined rumor runner runway sacred sadden safari safely saga said saint salad salami salary saline salon
salsa salute sandal sank santa satin saucy sauna saved savior scabby scale scam scant scarce scarf scenic scheme scion
scoff scone scoop scorch scored scouts scrap screen scribe script scroll scuba scurvy second secret sector sedan
sedate seldom self send senior sepia septic septum sequel series sermon serve sesame shack shaded shadow shady shaft
shanty shape shawl sheath shed sheep shell shelve sherry shield shifty shimmy shine ship shirt shore shorts shout
shower shown shrank shriek shrill shrimp shrubs shrug shun shush sierra siesta silent silica silk silver simile singer
siren sister sitcom sixth size sizing sizzle skater sketch skewed skied skiing skinny skype slab slacks slain slate
sleek sleeve slept sliced slinky slit slogan sloped sloppy sludge slum slurp small smirk smite smock smog smoked smoky
smooth smudgy smugly snap snare snazzy sneak sneer sneeze snide sniff snitch snooze snort snowy snub specks speech
speed spent spew sphere sphinx spider spiffy spill spinal spiny spleen splice spoils spoken sponge spoof spooky sporty
spouse sprain sprang sprawl spray spree sprig sprite sprout spruce spud squad squall squash squeak squint squire
stable staff stage stamp stand starch stark starry stash static statue stays steam stench step stereo stick stifle
stilt stingy stir stoic stoke stony stood stooge storm straw streak street stress strewn strict stride strobe struck
strum strung stucco studio study stuffy stunt stupor stylus suave sublet subpar subtly suburb subway sudoku suds
suffix sugar suing suitor sulfur sullen sultry supper supply surfer survey sushi swan swarm swear swipe swirl swivel
swoosh sworn swung syrup system tabby tables tacky taco talcum tamale tamer taps target tarmac tarot tartar task
tassel taste tattoo tavern thank that thee theft thesis thigh thing thinly thirty thorn those thrash thread thrift
thrive throat throng thud thumb tiara tibia tidal tidbit tidy tiger tile timid timing tingly tinker tinsel tint tipoff
tipper tiptop trace tray treat treble tremor trend triage trial tricky trifle trio tripod trophy trough trout trowel
trump trunks truth tulip turban turf turkey turret turtle tutor tutu tweak tweed twelve twenty twerp twice twig twins
twisty twitch tycoon tyke ultra umpire unbend unclad uncle unclip unclog uncork uncut undead undone unease uneven
unfair unfold unglue unhook unify unison unit unless unmade unpack unpaid unplug unreal unrest unripe unruly unsafe
unseen unsent unsnap untidy untie untrue unused unwary unwed unwell unwind unworn unzip upbeat update upheld uphill
upload upon uproar uproot upside uptake uptown upward urchin urgent urging usable usage used usual utmost utopia
vacant vacate valid value vanity varied vastly veal vegan veggie velcro velvet vendor venue verify verse versus very
vessel veto vibes video viewer violet violin viper viral virus visa vision visor voice volley voter voting vowed
voyage wafer wages waggle wagon walk walnut walrus waltz wand wanted wasabi washer wasp whacky wham wharf wheat whiff
whinny whole whoops widely widen widget widow width wifi wilder wildly willow wilt wimp wince winner wired wiring wiry
wisdom wise wispy wobble woof word worry worst wound woven wrath wrist xbox xerox yahoo yeah yield yippee yodel yoga
yogurt yonder yoyo zebra zero zesty zippy zips zodiac zombie zoning zoom
"""
WORDS = tuple(_TEXT.split())
