"""What has to stand in a line before its meaning alone may settle it.

The heads that may settle alone were fitted on three public sets: messages that ask for a call or an answer and name a
price or a number; Chinese posts about groups of people; English posts with rough words at or about somebody. Their
precision was shown on such lines and on no others: on a subtitle or a manual they are as sure and often wrong. So
each label has signs of its register, and a line without one is no more than a doubt.
"""

from __future__ import annotations

import re

GROUPS = re.compile(
    r"黑人|白人|黑鬼|尼哥|尼格|黑皮|黑哥|黑妞|黄种|种族|民族|人种|非洲|美国|欧美|西方|日本|韩国|棒子|鬼子|印度|阿三|越南|东南亚"
    r"|朝鲜|俄罗斯|德国|英国|法国|犹太|穆斯林|回民|回族|汉族|维族|新疆|西藏|台湾|香港|港独|台独|蛙|支那|国人|老外|洋人|洋大人|亚裔|华人|移民|难民"
    r"|河南|东北|广东|广西|上海|北京|南方人|北方人|湖北|武汉|山东|河北|山西|陕西|江西|安徽|浙江|江苏|福建|四川|重庆|贵州|云南|海南|湖南|天津|地域|外地|乡下人|农村人|乡巴佬"
    r"|女人|女性|女的|女生|女孩|女权|女拳|女方|女司机|女同|小仙女|仙女|田园|拳师|打拳|小拳|集美|母狗|绿茶|白莲|婊|婚驴|大妈|剩女|妇女|媛"
    r"|男人|男性|男的|男生|男权|男方|男拳|直男|屌|渣男|舔狗|普信|凤凰男|妈宝|蝈|龟男|国男|男宝|父权"
    r"|同性恋|基佬|男同|同志|lgbt|gay|腐女|变性|跨性别|人妖|娘炮|伪娘|彩虹|艾滋"
    r"|残疾人|残废|瘸子|聋子|瞎子|智障|弱智|脑瘫|精神病|穷人|民工|打工仔|保姆|老头|老太婆|大爷们|小粉红|公知|圣母|五毛|水军|黑命贵|地图炮|井盖|歧视|鄙视",
    re.IGNORECASE,
)
SLURS = re.compile(
    r"\b(?:bitch\w*|biatch\w*|b1tch\w*|hoe?s?|hoes|thots?|pussy|pussies|cunts?|twats?|whores?|sluts?|skanks?|nigg\w*|niglets?|coons?|spics?|chinks?|"
    r"gooks?|wetbacks?|beaners?|crackers?|rednecks?|hillbill\w+|white trash|trailer trash|trash|towelheads?|ragheads?|sandnigg\w*|kikes?|jews?|muzz\w*|muslims?|"
    r"fags?|fagg?ots?|faggy|dykes?|queers?|homos?|trann\w+|retard\w*|cripples?|midgets?|idiots?|morons?|dumb\w*|stupid|ugly|loser\w*|pathetic|"
    r"ass ?holes?|arse\w*|dick\w*|cocks?|pricks?|bastards?|douche\w*|scum\w*|motherfuck\w*|muthafuck\w*|mofos?|fuckers?|shithead\w*|jackass\w*|dumbass\w*|punk ?ass|bitchass|wankers?|tits?|titties|"
    r"kill|rape\w*|die|beat|slap|punch|hate|ghetto|monkeys?|apes?|savages?|immigrants?|illegals?|foreigners?|terrorists?|gays?|lesbians?|whit(?:e|ey)|blacks?|mexicans?|asians?|arabs?|indians?|yellow|charlie|mongo\w*|honkey|honky|colou?red)\b"
    r"|\b(?:fuck|fuk|screw|f+u+c*k+)\W+(?:you|u|ya|yo|him|her|them|off|that|this|these|those|y'?all|all|@)"
    r"|\bstfu\b|\bfoh\b|\bgtfo\b|\bkys\b|\bshut (?:the |up)|\bsuck (?:my|a|it|dick)",
    re.IGNORECASE,
)
SCORN = re.compile(
    r"恶心|垃圾|[狗猪贱滚傻死穷懒偷骗蠢丑脏臭鬼婊屌逼废跪奴畜洗舔怂渣恨杀操艹毒癌]|素质|低端|无耻|不要脸|活该|脑残"
)
ASKED = re.compile(
    r"[£$€¥]|\d{4,}|\d+\s?(?:p|ppm|p/|pounds?|euros?|dollars?|usd|gbp|%|k)\b|://|www\.|\.com\b|\.co\.uk"
    r"|\b(?:txt|text|call|reply|claim\w*|sms|ring|dial|unsubscribe|subscri\w+|opt ?out|(?:text|txt|reply|send|with|2) stop|stop to|stop 2|won|winn\w+|prize\w*|award\w*|voucher\w*|cash|bonus|free ?msg|freephone|guaranteed|urgent\w*|entitled|ringtone\w*|sexy|dating|horny|18\+?|16\+?|t&c\w*|tsandcs|polyphonic|discount|deposit|invest\w*|profit\w*|bitcoin|crypto|loan\w*|earn\w*|dm me|inbox me|in bio|in my bio|password|verify|the code)\b"
    r"|[元币]|微|信|群|扫|码|加|领|赚|钱|投资|理财|收益|刷单|兼职|红包|客服|转账|贷|彩|赌|代购|货|发票|退款|账户|验证码|链接|免费",
    re.IGNORECASE,
)
HAN = re.compile(r"[\u3400-\u9fff]")


def scorns_a_group(text: str) -> bool:
    """Whether a Chinese line names a group of people and has a word of scorn: together with its meaning that is enough."""
    return bool(HAN.search(text) and GROUPS.search(text) and SCORN.search(text))


def may_be_settled(label: str, text: str) -> bool:
    """Whether a line has the marks of the register in which a label's head has shown that it may settle."""
    first = label.partition("/")[0]
    if first == "Fraud":
        return bool(ASKED.search(text))
    if first == "Abuse":
        return bool((GROUPS if HAN.search(text) else SLURS).search(text))
    return True
