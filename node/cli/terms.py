"""Words of the protocol as people read them at the seats, in English and Chinese.  No I/O.

A word that is not here is shown as it is; a node of a later release may have more.
"""

from collections.abc import Mapping

from node.protocol.codes import Close

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

PARTINGS: Mapping[str, Mapping[int | str, str]] = {
    "en": {
        Close.INTERNAL: "something went wrong there",
        Close.DRAIN: "it is being taken out of service",
        Close.NO_PONG: "it has heard nothing of you for a while",
        Close.SLOW_CONSUMER: "your connection is too slow for all that is to be told",
        Close.RATE_LIMITED: "too much was asked at once",
        Close.OVERLOADED: "it has no room left",
        Close.MOVED: "an operator wants you at another one",
        Close.NODE_LEAVING: "it has failed, or is leaving",
        Close.STATE_INVALID: "it is not certain what you have seen",
        Close.MINORITY: "it is not serving: it has just started, or cannot reach the others",
        Close.BAD_FRAME: "this program said something that no node understands; update it",
        Close.HELLO_TIMEOUT: "logging in took too long; try again",
        Close.TOKEN_EXPIRED: "your login has expired; log in again",
        Close.UNAUTHORIZED: "your login does not count here; log in again",
        Close.FORBIDDEN: "you may not come in; ask an operator",
        Close.VERSION_UNSUPPORTED: "this program is of another version; update it",
        Close.TOO_MANY_CONNECTIONS: "you are connected too many times; leave elsewhere first",
        Close.REPLACED: "you are connected elsewhere now; go on there",
        Close.TENANT_DISABLED: "the desk is switched off; ask an operator",
        Close.LOGGED_OUT: "you were logged out; log in again",
        "session.ended": "an operator ended your session; log in again",
    },
    "zh": {
        Close.INTERNAL: "该节点发生内部错误",
        Close.DRAIN: "该节点即将停止服务",
        Close.NO_PONG: "该节点长时间没有收到您的消息",
        Close.SLOW_CONSUMER: "您的网络较慢，待接收的消息过多",
        Close.RATE_LIMITED: "操作过于频繁",
        Close.OVERLOADED: "该节点已满负荷",
        Close.MOVED: "管理员将您转到其他节点",
        Close.NODE_LEAVING: "该节点发生故障或即将下线",
        Close.STATE_INVALID: "该节点无法确定您已看到哪些内容",
        Close.MINORITY: "该节点暂不提供服务：刚刚启动，或无法连接其他节点",
        Close.BAD_FRAME: "本程序发送了无法识别的内容，请更新程序",
        Close.HELLO_TIMEOUT: "登录超时，请重试",
        Close.TOKEN_EXPIRED: "登录已过期，请重新登录",
        Close.UNAUTHORIZED: "登录无效，请重新登录",
        Close.FORBIDDEN: "您没有访问权限，请联系管理员",
        Close.VERSION_UNSUPPORTED: "本程序的版本不受支持，请更新",
        Close.TOO_MANY_CONNECTIONS: "您的连接过多，请先退出其他连接",
        Close.REPLACED: "您已在其他地方登录，请在那里继续",
        Close.TENANT_DISABLED: "客服台已停用，请联系管理员",
        Close.LOGGED_OUT: "您已退出登录，请重新登录",
        "session.ended": "管理员已结束您的登录，请重新登录",
    },
}
"""Why a node sends somebody away, by close code, or by the rule where that says more.

The node's own reason is for who mends it: which links are cut, and since when.
"""
