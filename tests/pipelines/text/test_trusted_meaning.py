"""Every example of what was misread, both ways, as a night reads a description: words, heads, neighbours, context."""

import pytest

from benchmarks.texts.reading import Night, flagged


@pytest.fixture(scope="module")
def night(lite):
    with Night.opened(lite) as opened:
        yield opened


def is_flagged(night, text):
    return flagged(night.scores([text])[0])


@pytest.mark.parametrize(
    "text",
    [
        "我睡得很好，身体很舒服",
        "人要独立才能生存于世",
        "今天和同学去看了电影，很开心",  # heads that fired on anything
        "我反对任何对黑人的歧视",
        "地域歧视是不对的",
        "女孩子也可以学理工，不要有偏见",
        "racism has no place in football",
        "calling someone a retard is hurtful",
        "同性恋也应该被尊重",  # against prejudice
        "love you bitch, see you at the party",
        "笨蛋，记得吃饭呀",
        "my homework is such a bitch",  # among friends
        "100+ videos about knitting",
        "BM25 + vector search",
        "the line is moving slowly today",
        "单体+微服务混合架构",
        "one, two, three, four, five, six, seven",
        "人家微信都不回我",
        "凡是让你加微信转账的都是骗子",
        "watch your back when you lift a heavy box",
        "for dotnet",
        "https://example.org/about",
        "法院判决他贩卖毒品罪成立",
        "Study finds no miracle cure for baldness",
        "别信稳赚不赔的鬼话",  # news, warnings
        "支持钉钉、企业微信、Telegram 推送的消息通知插件",
        "a toolkit for Telegram bots",
        "QQ群消息管理插件",  # programs
        "Sync local service directories to private git mirrors",
        "基于 runoob.com 的在线代码运行插件",
        "善于破坏气氛的人，不仅能破坏好的气氛",
        "欺骗世界，欺骗最初的你",
        "the customer service list had no toll free number",
        "add me to the list of contributors",
        "use eleme.cn （新域名）",
        "更新错误状态 (#19194 by @lhx6538665)",
    ],
)
def test_a_harmless_line_is_left_alone(night, text):
    assert not is_flagged(night, text)


@pytest.mark.parametrize(
    "text",
    [
        "黑人都是垃圾，滚出中国",
        "河南人就是爱偷井盖的骗子",
        "you stupid bitch nobody likes you",
        "shut up you dumb hoe",
        "你是个傻逼，去死吧",
        "I will kill you, watch your back",
        "+v信领资料",
        "加我微信领课",
        "喜欢的+v",
        "家微信领资料",
        "围欣 abc12345",
        "资料都在我围芯里",
        "想赚的家威新",
        "铁子们扫马近群",
        "联系电话幺三九四五六七八八二一",
        "电话壹柒陆零零三三九九二一",
        "text triple five, oh one, double nine",
        "✚V领",
        "╋薇",
        "💚同号",
        "🐧群 123456",
        "进✈️群看",
        "tap the 🔗 in my bio",
        "绿泡泡联系",
        "绿色软件聊",
        "企鹅号 3344556677",
        "下载纸飞机",
        "微信abc12345",
        "tg xiaomi_88",
        "加LINE: money_888",
        "click the l!nk in my bio",
        "搜 lucky88。cc",
        "comment INFO and I'll send you the link",
        "drop a 💰 below and I will send you the link",
        "评论区扣1发你",
        "私信我领取",
        "想学的加我\n微信领课",
        "click the link\nin my bio",
        "我的微信\n号是 lili8899",
        "推線號是多少",
        "大家騷馬劍群",
        "高仿一比一找我拿货",
        "刷单日结三百，宝妈可做",
        "WINNER!! You have won a £1000 cash prize. Call 09061701461 to claim now",
    ],
)
def test_its_neighbour_is_flagged(night, text):
    assert is_flagged(night, text)


def test_a_harmless_video_stays_one_and_a_line_of_thirty_is_enough(night):
    calm = [f"今天我们去了第{n}个公园，天气很好" for n in range(1, 31)]
    assert night.reviewed(calm) == [False]
    assert night.reviewed([*calm[:29], "想学的加我微信领课"]) == [True]
