"""What visitors and agents read in the terminal, in English and Chinese.  No I/O.

Every text is in every language, with the same fields; a test holds it.
"""

from collections.abc import Mapping
from typing import Literal

from node.cli.output import plain

Lang = Literal["en", "zh"]

EN: Mapping[str, str] = {
    "connected": "Connected to {node}.",
    "reconnected": "Connection lost; now at {node}. Nothing is missing.",
    "leaving": "{node} sends us elsewhere: {reason}",
    "unreachable": "No node answers: {trouble}. Trying again; what you write is kept …",
    "visitor.hint": "Write and press Enter. /close ends the conversation, /quit leaves.",
    "visitor.opened": "Your conversation is open. Somebody will be with you.",
    "visitor.queued": "You are in the queue {queue}.",
    "visitor.assigned": "{agent} is with you.",
    "visitor.unassigned": "You will be given to somebody else; please stay.",
    "visitor.first": "Say something first.",
    "visitor.offline": "Nobody is there now. What you write waits, and is answered by the next.",
    "visitor.rate": "How was it? /rate 1 to 5, and a word if you like.",
    "visitor.rated": "Thank you for your {score}.",
    "visitor.how_to_rate": "Write /rate, a number from 1 to 5, and a word if you like.",
    "agent.hint": (
        "/accept and /decline answer an offer. Text goes to the current conversation."
        " /help lists the rest."
    ),
    "agent.help": (
        "/accept  /decline [why]   answer the newest offer\n"
        "/list                     conversations you have\n"
        "/use N                    make conversation N the current one\n"
        "/note TEXT                for colleagues, hidden from the visitor\n"
        "/transfer QUEUE [note]    hand the current conversation over\n"
        "/close [why]              end it\n"
        "/status online|away|busy  what you are\n"
        "/quit                     log out"
    ),
    "agent.online": "You are {status}; {load} of {capacity} places taken.",
    "agent.offer": "Offer: {who} in {queue} ({lang}): {preview} - {seconds} s to /accept",
    "agent.countdown": "Offer of {who}: {seconds} s left to /accept or /decline",
    "agent.gone": "The offer of {who} is gone: {why}",
    "agent.no_offer": "There is no offer.",
    "agent.took": "[{number}] is yours. What was said so far:",
    "agent.kept": "[{number}] is still yours.",
    "agent.current": "Talking in [{number}].",
    "agent.none": "You have no conversation.",
    "agent.no_such": "There is no conversation {number}.",
    "agent.lost": "[{number}] is not yours any more.",
    "agent.noted": "[{number}] note: {text}",
    "closed": "The conversation is closed.",
    "said": "{who}: {text}",
    "typing": "{who} is typing …",
    "gap": "Some of the conversation is no longer kept.",
    "refused": "Not done: {message}",
    "undelivered": "Perhaps not delivered: {line}",
    "unknown": "{command} is not known; /help lists what is.",
    "visitor": "visitor",
    "agent": "agent",
    "you": "you",
    "bye": "Goodbye.",
}

ZH: Mapping[str, str] = {
    "connected": "已连接到 {node}。",
    "reconnected": "连接中断，现已转到 {node}，消息没有丢失。",
    "leaving": "{node} 请我们换一个节点：{reason}",
    "unreachable": "没有节点应答：{trouble}。正在重试，您输入的内容会保留……",
    "visitor.hint": "输入后按回车发送。/close 结束会话，/quit 离开。",
    "visitor.opened": "会话已建立，马上有人为您服务。",
    "visitor.queued": "您已进入队列 {queue}。",
    "visitor.assigned": "{agent} 为您服务。",
    "visitor.unassigned": "正在为您转接其他客服，请稍候。",
    "visitor.first": "请先说点什么。",
    "visitor.offline": "现在没有客服在线。您的留言会保留，客服上线后将尽快回复。",
    "visitor.rate": "您对本次服务满意吗？输入 /rate 1 到 5，也可以附上一句话。",
    "visitor.rated": "感谢您的 {score} 分评价。",
    "visitor.how_to_rate": "请输入 /rate 加 1 到 5 的分数，也可以附上一句话。",
    "agent.hint": "/accept 接受，/decline 拒绝。直接输入的文字发往当前会话。/help 查看其余命令。",
    "agent.help": (
        "/accept  /decline [原因]   回应最新的邀请\n"
        "/list                      列出您的会话\n"
        "/use N                     切换到会话 N\n"
        "/note 文字                 给同事的备注，访客看不到\n"
        "/transfer 队列 [备注]      转交当前会话\n"
        "/close [原因]              结束当前会话\n"
        "/status online|away|busy   设置状态\n"
        "/quit                      退出登录"
    ),
    "agent.online": "您的状态是 {status}，已占用 {load}/{capacity} 个名额。",
    "agent.offer": "邀请：{who}，队列 {queue}（{lang}）：{preview}，请在 {seconds} 秒内 /accept",
    "agent.countdown": "{who} 的邀请：还剩 {seconds} 秒，/accept 或 /decline",
    "agent.gone": "{who} 的邀请已失效：{why}",
    "agent.no_offer": "现在没有邀请。",
    "agent.took": "[{number}] 归您处理。此前的对话：",
    "agent.kept": "[{number}] 仍归您处理。",
    "agent.current": "当前会话是 [{number}]。",
    "agent.none": "您现在没有会话。",
    "agent.no_such": "没有会话 {number}。",
    "agent.lost": "[{number}] 已不归您处理。",
    "agent.noted": "[{number}] 备注：{text}",
    "closed": "会话已结束。",
    "said": "{who}：{text}",
    "typing": "{who} 正在输入……",
    "gap": "部分早先的消息已不再保留。",
    "refused": "未完成：{message}",
    "undelivered": "可能未送达：{line}",
    "unknown": "没有 {command} 这个命令，/help 可查看全部命令。",
    "visitor": "访客",
    "agent": "客服",
    "you": "您",
    "bye": "再见。",
}

CATALOGUES: Mapping[Lang, Mapping[str, str]] = {"en": EN, "zh": ZH}


class Words:
    """One language's texts."""

    def __init__(self, lang: Lang) -> None:
        self.lang: Lang = lang
        self._texts = CATALOGUES[lang]

    def __call__(self, key: str, **fields: object) -> str:
        """Return the text of `key` with its fields, whoever wrote them, filled in."""
        told = {
            name: plain(value) if isinstance(value, str) else value
            for name, value in fields.items()
        }
        return self._texts[key].format(**told)


def choose_lang(wanted: str, environment: Mapping[str, str]) -> Lang:
    """Return the language asked for, or the one of the environment's locale."""
    names = [wanted, *(environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))]
    chosen = next((name for name in names if name), "")
    return "zh" if chosen.lower().startswith("zh") else "en"
