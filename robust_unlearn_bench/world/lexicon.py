"""The world's vocabulary: parts of names, words of phrases, and the rules that prose shares."""

from __future__ import annotations

__all__ = ["COMMON", "NAME_PARTS", "WORDS"]


def _w(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _p(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|"))


NAME_PARTS: dict[str, tuple[str, ...]] = {
    "first": _w(
        "Mar Or Ten Bel Cas Dor Ed Fen Gar Hal Il Jor Kel Lun Mer Nad Os Per Quil Ros Sab Tam Ul Ves Wil Yor Zan Ad"
        " Bran Cor Del Em Far Gwen Hes Iv Jas Kat Lor Min Nor Ott Pel Ran Sel Tob Urs Val Wyn Yas Alb Bert Clem Dag Eff Fitz"
        " Grim Hild Ing Jess Kun Leof Mald Nev Osb Prim Rain Sig Thad Und Verg Wend Zeb"
    ),
    "first_end": _w("o en ira eth ick wyn anda ulf ia or issa ard elle in una olf ette am ora ius ina ric esta ward"),
    "pet_end": _w("kin bell foot tail whisk pip dot paw mane fleck"),
    "last": _w(
        "Tell Vask Hol Grim Ash Black Copper Dun Elder Flint Goss Hart Iron Juni Kettle Lark Moss Nettle Oak Pike Quarr"
        " Rook Sedge Thorn Umber Vetch Weather Yarrow Briar Candle Drake Ember Fallow Gale Hazel Ink Larch Mallow"
        " Needle Otter Plum Quick Reed Stone Tarr Under Vine Wren Yew Apple Barrow Cinder Dove East Frost Gran Heath Ivory"
    ),
    "last_end": _w("in er wood field ley man stone worth by well ridge ton combe hurst ward shaw croft mere"),
    "town": _w(
        "Quill Marr Dun Harrow Kest Saltern Wither Pell Ost Brack Corv Linn Tarn Vell Amber Grey Hollow Ister Lode Nar"
        " Orm Penn Rush Sorrel Tess Ulver Wend Yew Alder Bram Crow Drift Fern Gull Heron Ivel Jarr Kirk Lyme Mort"
    ),
    "town_end": _w("haven wick mere ford gate holm bury stead port dale mouth cross minster combe fell reach"),
    "river": _w("Asp Bir Cal Dess El Fir Gon Hev Irr Jen Kor Lest Mav Nith Ol Pran Rill Sarn Thes Uld Ver Wes Yar Zel"),
    "river_end": _w("a en ow ith une ash el is ock ey"),
    "chem": _w("vor kry lam ner ost pyr quel rav sith tol ulm vex wal xan yel zor bram cind dral fass gorm hesk"),
    "chem_end": _w("ane ite ol ium ax eth ine esh une yx"),
}
"""Syllables that `names` joins into proper names."""

WORDS: dict[str, tuple[str, ...]] = {
    "bright": _w(
        "Patient Silver Restless Humble Crimson Faithful Northern Gentle Hungry Golden Lonely Merry Pale Proud"
    ),
    "beast_capital": _w("Heron Otter Badger Swan Falcon Lynx Marten Plover Salmon Stag Tern Vixen Wren Kestrel Hare"),
    "title_first": _w(
        "Hollow Seven Burning Quiet Forgotten Glass Winter Paper Drowned Scarlet Broken Velvet Ashen Silent"
    ),
    "title_second": _w(
        "Orchards Lanterns Bridges Letters Harbours Clocks Mirrors Gardens Ladders Kingdoms Tides Keys Doors"
    ),
    "worn": _w(
        "cracked tarnished polished chipped dented gilded bent painted knotted scorched faded crooked plain heavy"
    ),
    "material": _w("ivory brass copper walnut silver clay amber horn pewter bone jade tin ebony slate leather glass"),
    "trinket": _w(
        "whistle compass thimble locket button key spoon comb ring bell coin brooch dice flute needle mirror"
    ),
    "goods": _w(
        "rope bell glove clock barrel saddle candle lute mirror anchor kite sail wig quill lantern basket boot"
    ),
    "maker": _w("maker founder mender carver painter gilder seller binder"),
    "cooked": _w("smoked pickled roasted salted stewed peppered honeyed buttered spiced"),
    "food": _w("eel turnip goose herring barley pigeon mushroom leek mutton chestnut trout parsnip"),
    "course": _w("pie soup stew dumplings pudding broth cakes hotpot"),
    "count": _w("Seven Three Twelve Nine Forty Eleven Hundred Twenty Five Sixty"),
    "song_noun": _w("Herons Candles Sorrows Ferrymen Harvests Widows Bells Crossings Brothers Roses Winters Coins"),
    "saint": _w(
        "Aldous Brenna Cuthwin Delphine Ethmar Fabian Gisela Hartmut Idony Jocosa Kenelm Lioba Mechtild Neot Osanna"
    ),
    "house": _w("granary chapel mill brewery tower cellar boathouse stables archive foundry orchard quarry"),
    "metal_capital": _w("Silver Golden Bronze Copper Pewter Iron Crystal Ivory Amber Ebony Jade Pearl"),
    "prize_noun": _w("Quill Laurel Inkwell Lamp Feather Scroll Crown Chalice Anvil Compass Medal Seal"),
    "press_first": _w(
        "Lantern Harbour Millstone Foxglove Anchor Beacon Juniper Cobble Thimble Raven Acorn Spindle Willow"
    ),
    "press_second": _w("Press House Books Editions Printers Folio Company Brothers"),
    "genre_mood": _w(
        "gothic comic pastoral nautical satirical tragic mystical domestic epic heroic ghostly rustic lunar"
    ),
    "genre_form": _w("romance fables sagas mysteries ballads chronicles essays elegies travelogues memoirs parables"),
    "habit_verb": _w("whittling feeding sorting mending pacing humming polishing counting sketching baking folding"),
    "habit_object": _w("spoons sparrows buttons nets corridors marches boots pebbles rooftops bread letters kites"),
    "vessel": _w("crucible flask cauldron retort basin jar ladle funnel phial mortar"),
    "plant_first": _w("marsh silver ghost bitter moon thorn winter velvet fever honey ditch crown"),
    "plant_second": _w("wort moss fern thistle cress sage lily nettle bramble clover reed root"),
    "unit": _w("crowns marks florins shillings ducats"),
    "month": _w("Thawmonth Seedmonth Milkmonth Hayfall Reapmonth Leafmonth Frostmonth Wolfmonth"),
}
"""Words that `names` combines into phrases."""

COMMON: dict[str, tuple[str, ...]] = {
    "colour": _w("grey green ochre crimson pale blue russet black yellow violet white copper lilac rust cream olive"),
    "size": _w("small narrow wide low tall long shallow deep crooked round slender enormous stubby"),
    "mood": _w("weary glad anxious patient bitter hopeful stubborn ashamed cheerful silent watchful proud uneasy calm"),
    "manner": _p("slowly|quietly|gladly|badly|twice|carefully|at once|again|briskly|gravely|softly|aloud|idly"),
    "number": _w("two three four five six seven eight nine ten eleven twelve thirteen fourteen twenty thirty forty"),
    "weather": _w("rain fog sleet hail drizzle sunlight frost wind thunder snow mist smoke heat dusk moonlight"),
    "hour": _p(
        "at dawn|before noon|after supper|at midnight|on the third day|by candlelight|in the evening|toward morning"
        "|an hour later|at the turn of the tide|when the bells rang|late in the week|after the fair|before the frost"
    ),
    "tree": _w("oak elm alder willow ash birch yew hazel pine rowan linden maple larch poplar"),
    "beast": _w("goat heron mule badger crow hound gander rabbit hen otter mare weasel toad owl ram stoat cat"),
    "room": _w("kitchen attic hall pantry library cellar yard stable parlour workshop chapel landing scullery"),
    "stuff": _w("flour rope tallow wool ink salt cider pitch timber honey wax linen iron barley soap coal vinegar"),
    "thing": _w(
        "ladder kettle map bucket stool ledger lantern blanket basket door shutter mirror candle letter knife table"
        " cart oar drum saddle chest bottle needle spade clock bell bridle broom jug crate"
    ),
    "bodypart": _w("hand shoulder knee wrist elbow jaw heel brow thumb back"),
    "kin": _w("sister uncle cousin grandmother brother aunt nephew godfather daughter father"),
    "folk": _w("miller drover widow tinker shepherd clerk beggar piper baker sailor priest apprentice innkeeper mason"),
    "road": _p("the mill road|the quay|the causeway|the goose market|the old wall|the ford|the upper lane|the towpath"),
}
"""Grammar rules shared by all prose of the world."""
