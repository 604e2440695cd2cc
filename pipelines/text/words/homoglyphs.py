"""Letters of other alphabets that pass for Latin ones: a table of them, small and capital apart.

Seen as in the confusables of Unicode Technical Standard 39, "Unicode Security Mechanisms". Capitals have rows of their
own, because a capital and its small letter may look like different ones: Greek Eta is an H, eta an n.
"""

from __future__ import annotations

_CYRILLIC = ("АВЕЅІЈКМНОРСТУХҮԌԚԜЬавеѕіјкмнорстухүԍԛԝһӏьѵԁп", "abesijkmhopctyxygqwbabesijkmhopctyxygqwhlbvdn")
_GREEK = ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβγειηκμνορστυχωϲϳ", "abezhikmnoptyxabyeinkuvopotuxwcj")
_ARMENIAN = ("ՕՏՍԼհոսցօզյԱ", "osulhnugoqju")
_CHEROKEE = ("ᎪᏴᏟᎠᎬᎻᎥᎫᏦᏞᎷᎢᏙᎳᏃ", "abcdehijklmtvwz")
_COPTIC = ("ⲟⲣⲥ", "opc")
_SMALL_CAPITALS = ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz")

LOOKALIKES: dict[str, str] = {
    foreign: latin
    for foreigns, latins in (_CYRILLIC, _GREEK, _ARMENIAN, _CHEROKEE, _COPTIC, _SMALL_CAPITALS)
    for foreign, latin in zip(foreigns, latins, strict=True)
}
