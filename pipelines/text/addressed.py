"""Who a rough word is said to (a friend, oneself, somebody who is attacked), and who speaks against prejudice.

"Bitch" is an insult at somebody, and a fond word among friends in many groups (Sap et al., "The Risk of Racial Bias in
Hate Speech Detection", ACL 2019). A score cannot tell them apart by the word; whom it addresses can.
"""

from __future__ import annotations

import re

ROUGH = r"(?:bitch(?:es)?|biatch|hoe?s?|slut|whore|bastard|dick(?:head)?|ass(?:hole)?|fucker|motherfucker)"
FOND = re.compile(
    rf"\b(?:love|miss|proud of|happy for|thank|thanks|congrats|congratulations|happy birthday|happy bday|see|hug)\b"
    rf"(?:\W+\w+){{0,4}}?\W+{ROUGH}\b"
    rf"|\b(?:crazy|silly|dumb) {ROUGH}\W+(?:i\W+)?(?:love|miss)\W+(?:you|u|ya)\b"
    rf"|\b{ROUGH}\W+(?:i\W+)?(?:love|miss)\W+(?:you|u|ya)\b"
    rf"|\b(?:bad|boss|basic|lucky|rich|main|resting)\W+{ROUGH}\W+(?:energy|era|face|mode|vibes?|club|behaviou?r)\b"
    rf"|\b(?:you|u|we|my)\W+(?:(?:\w+\W+){{0,2}}?)(?:beautiful|gorgeous|amazing|talented|lucky|precious)\W+{ROUGH}\b"
    rf"|^\W*\w+, bitch(?:es)?\W*$|\b(?:feel|feels|felt|feeling|look|looking) like (?:a |such a )?(?:\w+ )?{ROUGH}\b"
    rf"|\b(?:me and|with) (?:my|the) (?:best |favou?rite )?{ROUGH}\b"
    rf"|\b(?:yeah|yes|yas+|hey|hi|hello|lets go|let's go|come on|happy friday|good morning)\W+{ROUGH}\b"
    rf"|\bi(?:'m| am) (?:such )?(?:a |the )?(?:\w+ )?{ROUGH}\b"
    rf"|\b(?:life|karma|revenge|payback|monday|traffic|math|homework|cancer|winter)(?:'s| is| can be)"
    rf" (?:such |being )?(?:a )?(?:real |total )?{ROUGH}\b",
    re.IGNORECASE,
)
FOND_ZH = re.compile(
    r"(?:小)?(?:笨蛋|傻瓜|傻子|坏蛋|傻狗|笨猪|臭小子|死鬼|傻丫头|神经病|变态)(?:们)?[，,~～!！ ]{0,2}"
    r"(?:记得|快点?(?:回|来|吃|睡)|好好|早点|我(?:好)?(?:想|爱|喜欢)|要(?:乖|开心|加油|幸福)|生日快乐|晚安|加油|辛苦)"
    r"|(?:想死|爱死|喜欢死|笑死)你|(?:爱|想|抱抱|亲亲)你[^，。！？]{0,6}(?:笨蛋|傻瓜|傻子|坏蛋)"
    r"|我(?:真|真是|就是|好|才)(?:个|是个|是)?(?:笨蛋|傻子|白痴|废物|傻逼)"
)
HOSTILE = re.compile(
    rf"\b(?:stupid|dumb|ugly|fat|fucking|fuckin|lying|nasty|dirty|worthless|trashy|crazy|old|little|cheap|filthy|basic"
    rf"|disgusting|pathetic)\W+(?:\w+\W+)?{ROUGH}\b"
    rf"|\b(?:shut (?:the fuck )?up|fuck (?:you|u|off)|kill (?:you|u)|hate (?:you|u|that|this|her|him|these|those))\b"
    r"|\b(?<!love )(?<!miss )(?<!hug )(?<!thank )(?:you|u|you're|ur|she|he|her|his)"
    rf"\W+(?:(?:is|are|was|a|an|such|just)\W+){{0,3}}{ROUGH}\b"
    rf"|\b(?:slap|punch|beat|choke|smack|kill)\b",
    re.IGNORECASE,
)


AGAINST = re.compile(
    r"(?:反对|抵制|拒绝|消除|停止|杜绝|不要|不能|不应该?|禁止)[^，。！？,!?]{0,10}(?:歧视|偏见|仇恨|霸凌|地域黑|辱骂|看不起)"
    r"|(?:歧视|偏见|仇恨|霸凌|辱骂|地图炮)[^，。！？,!?]{0,6}(?:不对|不应该|不该|可耻|违法|不可取|要不得|伤害|停止|是错)"
    r"|(?:应该|应当|值得|需要)(?:被|得到|受到|获得)?(?:尊重|平等|善待|保护|关爱|一视同仁)"
    r"|(?:不要|不能|别|请勿)(?:再)?(?:叫|骂|嘲笑|侮辱|伤害)"
    r"|\b(?:calling|call|to call)\W+(?:\w+\W+){1,4}?(?:is|was|hurts?)\W+(?:\w+\W+){0,2}?"
    r"(?:hurtful|wrong|rude|mean|cruel|not ok|not okay|racist|offensive|unacceptable|never)\b"
    r"|\b(?:do not|don['’]?t|never|stop|please stop)\W+(?:call|calling|use|using|say|saying)\b"
    r"|\bis (?:a |an )?(?:slur|offensive|hurtful|racist term)\b|\bstand (?:with|up for)\b"
    r"|\bdeserves? (?:\w+ ){0,2}?(?:respect|rights|dignity|equality)\b"
    r"|\b(?:against|stop|end|reject|condemn|fight(?:ing)?|oppose|no (?:place|room) for|no to|say no to)\W+"
    r"(?:\w+\W+){0,4}?"
    r"(?:racism|sexism|hate|hatred|homophobia|prejudice|bigotry|discrimination|bullying|slurs?)\b"
    r"|\b(?:racism|sexism|hate|hatred|homophobia|prejudice|bigotry|discrimination)"
    r"\W+(?:has no|is (?:never|not)|must)\b",
    re.IGNORECASE,
)


def against_prejudice(text: str) -> bool:
    """Whether a line speaks against what it names, and attacks nobody itself."""
    return bool(AGAINST.search(text)) and not HOSTILE.search(text)


def among_friends(text: str) -> bool:
    """Whether a rough word is fond, of oneself or of a thing, and nobody is attacked in the same line."""
    return bool(FOND.search(text) or FOND_ZH.search(text)) and not HOSTILE.search(text)
