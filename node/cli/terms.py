"""Words of the protocol as people read them at the seats, in English and Chinese.  No I/O.

A word that is not here is shown as it is; a node of a later release may have more.
"""

from collections.abc import Mapping

TERMS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "timeout": "time is up",
        "lost": "somebody else has it",
    },
    "zh": {
        "accepted": "已接受",
        "declined": "已拒绝",
        "timeout": "已超时",
        "withdrawn": "已撤回",
        "closed": "会话已结束",
        "lost": "已由他人接待",
        "online": "在线",
        "away": "离开",
        "busy": "忙碌",
        "transfer_only": "只接转接",
        "offline": "离线",
    },
}
"""How an offer ended, and what an agent is."""

REFUSALS_ZH: Mapping[str, str] = {
    "bad_request": "输入有误",
    "unknown_op": "该节点不支持此操作",
    "unauthorized": "登录已失效",
    "forbidden": "没有权限",
    "not_found": "不存在，或已不再保留",
    "closed": "会话已结束",
    "not_owner": "会话已由他人处理",
    "stale": "有您尚未看到的新内容，请先阅读",
    "offer_gone": "邀请已失效",
    "at_capacity": "已达到接待上限",
    "conflict": "与他人的操作冲突",
    "key_reused": "重复的请求",
    "not_leader": "请稍后重试",
    "too_large": "内容过长",
    "rate_limited": "操作过于频繁，请稍候",
    "no_leader": "集群正在恢复，请稍后重试",
    "minority": "该节点暂时无法确认操作，请稍后重试",
    "timeout": "没有及时得到应答",
    "overloaded": "系统繁忙，请稍后重试",
    "upstream": "外部系统没有应答",
    "internal": "内部错误",
}
"""By error code.  The node says more in English, which is shown as well: support asks for it."""
