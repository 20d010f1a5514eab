"""What the demo's visitors and agents say.  No I/O.

V is the visitor, A the agent; the agent speaks first when the script says so.
"""

from dataclasses import dataclass
from typing import Any, Literal

Side = Literal["visitor", "agent"]
Lines = tuple[tuple[Side, str], ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """One short conversation."""

    visitor: str
    lang: Literal["en", "zh"]
    tags: tuple[tuple[str, Any], ...]
    lines: Lines


SCENES: tuple[Scene, ...] = (
    Scene(
        "Nora",
        "en",
        (("arpu", 120),),
        (
            ("visitor", "Hi, my parcel was due on Monday. Where is it?"),
            ("agent", "Hello Nora, I am sorry about that. Let me look."),
            ("agent", "It waits at the depot: the street number was missing on the label."),
            ("visitor", "It is number 14."),
            ("agent", "Noted. It goes out again tomorrow before noon."),
            ("visitor", "Thank you!"),
        ),
    ),
    Scene(
        "小林",
        "zh",
        (("arpu", 3200),),
        (
            ("visitor", "你好，我想把发票抬头改成公司名称。"),
            ("agent", "您好，请告诉我订单尾号和公司全称。"),
            ("visitor", "尾号 7714，公司是青禾园艺。"),
            ("agent", "已经改好了，新的发票五分钟内发到您的邮箱。"),
            ("visitor", "这么快，谢谢！"),
            ("agent", "不客气，祝您生活愉快。"),
        ),
    ),
    Scene(
        "Omar",
        "en",
        (("arpu", 40),),
        (
            ("visitor", "The lamp I bought flickers."),
            ("agent", "That should not be. Does it also flicker at full brightness?"),
            ("visitor", "No, only when dimmed."),
            ("agent", "Then the dimmer is too strong for it. I send you the smaller one, free."),
            ("visitor", "Perfect."),
        ),
    ),
    Scene(
        "阿云",
        "zh",
        (("arpu", 300),),
        (
            ("visitor", "请问周末可以上门安装吗？"),
            ("agent", "可以的，周六上午还有一个时段。"),
            ("visitor", "那就周六上午吧。"),
            ("agent", "已经为您预约，师傅会提前半小时打电话。"),
            ("visitor", "好的，麻烦了。"),
        ),
    ),
    Scene(
        "Priya",
        "en",
        (("arpu", 4400),),
        (
            ("visitor", "Can I add a second seat to my plan in the middle of the month?"),
            ("agent", "Yes. You pay only for the days that are left."),
            ("visitor", "And if I take it away again?"),
            ("agent", "Then the rest of the month becomes credit."),
            ("visitor", "That is fair. Add it, please."),
            ("agent", "Done. Ask your colleague to look for the invitation."),
        ),
    ),
    Scene(
        "老周",
        "zh",
        (("arpu", 80),),
        (
            ("visitor", "我的会员积分怎么少了一半？"),
            ("agent", "我看一下……去年的积分在昨天到期了。"),
            ("visitor", "没有收到提醒啊。"),
            ("agent", "提醒短信确实没有发出，我把积分给您补回来。"),
            ("visitor", "太好了，谢谢你。"),
        ),
    ),
)

CAST: tuple[tuple[str, str], ...] = (("mei", "Mei 小梅"), ("tomas", "Tomas"), ("ines", "Ines"))
"""The agents: id and name."""

ANSWERS: dict[str, tuple[str, ...]] = {
    "en": (
        "Hello, a scripted agent here. Run `unidesk agent` in another terminal to answer yourself.",
        "I only know my lines, but every word you write is on the disks of at least two nodes.",
        "Kill the node that I am connected to, and write again: nothing will be missing.",
    ),
    "zh": (
        "您好，我是演示用的客服。在另一个终端运行 unidesk agent，就可以由您自己来回答。",
        "我只会背台词，不过您写的每句话都已经落在至少两个节点的磁盘上。",
        "把我所在的节点杀掉再发一条试试，消息一条都不会少。",
    ),
}
"""What an agent of the demo says to somebody who is no part of it."""

RULES = {
    "main.toml": """\
# The demo's routing: three lines are a rule.  Change it, then: unidesk rules apply DIR
[vars]
tags.arpu = "number"

[rule.vip_user]
when  = 'tags.arpu > 3000'
route = "premium_support"

[fallback]
route = "general"
"""
}
"""Applied at the first start."""
