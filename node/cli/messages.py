"""What visitors and agents read in the terminal, in English and Chinese.  No I/O.

Every text is in every language, with the same fields; a test holds it.
"""

from collections.abc import Mapping
from typing import Literal

from node.cli.output import plain
from node.cli.terms import PARTINGS, REFUSALS_ZH, TERMS

Lang = Literal["en", "zh"]

EN: Mapping[str, str] = {
    "connected": "Connected to {node}.",
    "reconnected": "Connection lost; now at {node}. Nothing is missing.",
    "leaving": "{node} sends us elsewhere: {reason}",
    "not_serving": "No node takes us in now: {reason}. Trying again; what you write is kept …",
    "unreachable": "No node answers: {trouble}. Trying again; what you write is kept …",
    "visitor.hint": (
        "Write and press Enter. /close ends the conversation, /reopen lets it go on,"
        " /edit TEXT and /undo correct what you said last, /quit leaves."
    ),
    "visitor.opened": "Your conversation is open. Somebody will be with you.",
    "visitor.queued": "You are in the queue {queue}.",
    "visitor.next": "You are next.",
    "visitor.place": "{ahead} before you.",
    "visitor.wait": "Usually that takes {wait}.",
    "visitor.wait_low": "It may take {wait} or so.",
    "seconds": "{count} seconds",
    "minute": "a minute",
    "minutes": "{count} minutes",
    "hours": "{count} hours",
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
        "/transfer TO [note]       let go of the current conversation; TO is a QUEUE, @AGENT,\n"
        "                          rules, or rule:NAME\n"
        "/warm TO [note]           the same, once a colleague of the QUEUE, or @AGENT, accepted\n"
        "/warm-stay TO [note]      the same, and you go on taking part\n"
        "/invite AGENT [note]      ask a colleague in; /leave: take part no more\n"
        "/tag NAME=VALUE -OLD      sort it\n"
        "/edit TEXT, /undo         correct, or take back, what you said last\n"
        "/canned [WORD]            what fits; the one of that shortcut is sent\n"
        "/close [why], /reopen N   end it; let one that ended go on\n"
        "/done [N]                 nothing is left to do for it: the next may come\n"
        "/take [N]                 who waits; help yourself to one, out of turn\n"
        "/status online|away|busy|transfer_only [why] [30m]  what you are, and for how long\n"
        "/who                      what your colleagues are\n"
        "/quit                     log out"
    ),
    "agent.online": "You are {status}; {load} of {capacity} places taken.",
    "agent.offer": "Offer: {who} in {queue}{reason} ({lang}): {preview} - {seconds} s to /accept",
    "agent.by_rule": " by {rule}",
    "agent.at_step": ", step {step} of {steps}",
    "agent.by_hand": ", handed over",
    "agent.canned": "{shortcut}: {text}",
    "agent.canned_none": "No canned response fits {word}.",
    "agent.canned_missing": "Not sent, {missing} is not known: {text}",
    "agent.waits": "[{number}] {who} waits in {queue} since {since}",
    "agent.nobody_waits": "Nobody waits where you serve.",
    "agent.done": "[{number}] is done.",
    "agent.nothing_left": "Nothing is left to be done.",
    "agent.offer_join": "{by} asks you to join them and {who}: {note} - {seconds} s to /accept",
    "agent.offer_take": "{by} asks you to take {who} over: {note} - {seconds} s to /accept",
    "agent.asked": "[{number}] {who} is asked.",
    "agent.uninvited": "[{number}] {who} does not come: {why}",
    "agent.takes_part": "[{number}] You take part. What was said so far:",
    "agent.stays": "[{number}] is a colleague's now; you still take part.",
    "agent.left": "[{number}] You take part no more.",
    "agent.joined": "[{number}] {who} joined.",
    "agent.parted": "[{number}] {who} left.",
    "agent.edited": "[{number}] now says: {text}",
    "agent.deleted": "[{number}] a message was taken back.",
    "agent.viewers": "[{number}] is open at: {who}",
    "agent.whispered": "[{number}] {who} whispers: {text}",
    "agent.presence": "{who}: {status} {why}",
    "agent.nobody": "Nothing was heard of colleagues yet.",
    "agent.unclear": "Not understood: {word}; /help says how.",
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
    "nothing_said": "You have said nothing here that could be corrected.",
    "edited": "{who} now says: {text}",
    "deleted": "A message was taken back.",
    "joined": "{who} joined.",
    "left": "{who} left.",
    "reopened": "The conversation goes on.",
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
    "not_serving": "暂时没有节点可以为您服务：{reason}。正在重试，您输入的内容会保留……",
    "unreachable": "没有节点应答：{trouble}。正在重试，您输入的内容会保留……",
    "visitor.hint": (
        "输入后按回车发送。/close 结束会话，/reopen 继续已结束的会话，"
        "/edit 文字 和 /undo 修改或撤回您最后一条消息，/quit 离开。"
    ),
    "visitor.opened": "会话已建立，马上有人为您服务。",
    "visitor.queued": "您已进入队列 {queue}。",
    "visitor.next": "下一位就是您。",
    "visitor.place": "您前面还有 {ahead} 位。",
    "visitor.wait": "通常需要等待{wait}。",
    "visitor.wait_low": "大约需要等待{wait}。",
    "seconds": " {count} 秒",
    "minute": " 1 分钟",
    "minutes": " {count} 分钟",
    "hours": " {count} 小时",
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
        "/transfer 目标 [备注]      转出当前会话；目标可以是队列、@客服、rules 或 rule:规则名\n"
        "/warm 目标 [备注]          同事接受后才转出；目标可以是队列或 @客服\n"
        "/warm-stay 目标 [备注]     同上，转出后您继续参与\n"
        "/invite 客服 [备注]        邀请同事加入；/leave 退出参与\n"
        "/tag 名称=值 -旧标签       设置或删除标签\n"
        "/edit 文字，/undo          修改或撤回您最后一条消息\n"
        "/canned [词]               查找快捷回复；输入完整的快捷词即发送\n"
        "/close [原因]，/reopen N   结束当前会话；继续已结束的会话 N\n"
        "/done [N]                  收尾完毕，可以接待下一位\n"
        "/take [N]                  查看等待的访客；直接接待其中一位\n"
        "/status online|away|busy|transfer_only [原因] [30m]  设置状态及时长\n"
        "/who                       同事的状态\n"
        "/quit                      退出登录"
    ),
    "agent.online": "您的状态：{status}，已占用 {load}/{capacity} 个名额。",
    "agent.offer": (
        "邀请：{who}，队列 {queue}{reason}（{lang}）：{preview}，请在 {seconds} 秒内 /accept"
    ),
    "agent.by_rule": "，规则 {rule}",
    "agent.at_step": "，第 {step} 步（共 {steps} 步）",
    "agent.by_hand": "，由同事转来",
    "agent.canned": "{shortcut}：{text}",
    "agent.canned_none": "没有与 {word} 匹配的快捷回复。",
    "agent.canned_missing": "未发送，{missing} 未知：{text}",
    "agent.waits": "[{number}] {who} 在队列 {queue} 中等待，始于 {since}",
    "agent.nobody_waits": "您负责的队列中没有人在等待。",
    "agent.done": "[{number}] 已处理完毕。",
    "agent.nothing_left": "没有需要收尾的会话。",
    "agent.offer_join": "{by} 邀请您加入与 {who} 的会话：{note}，请在 {seconds} 秒内 /accept",
    "agent.offer_take": "{by} 请您接手 {who}：{note}，请在 {seconds} 秒内 /accept",
    "agent.asked": "[{number}] 已向 {who} 发出邀请。",
    "agent.uninvited": "[{number}] {who} 没有加入：{why}",
    "agent.takes_part": "[{number}] 您已加入。此前的对话：",
    "agent.stays": "[{number}] 已由同事接手，您仍在参与。",
    "agent.left": "[{number}] 您已退出。",
    "agent.joined": "[{number}] {who} 已加入。",
    "agent.parted": "[{number}] {who} 已退出。",
    "agent.edited": "[{number}] 已改为：{text}",
    "agent.deleted": "[{number}] 一条消息已撤回。",
    "agent.viewers": "[{number}] 正在查看的同事：{who}",
    "agent.whispered": "[{number}] {who} 悄悄说：{text}",
    "agent.presence": "{who}：{status} {why}",
    "agent.nobody": "还没有同事的状态。",
    "agent.unclear": "无法理解：{word}，用法见 /help。",
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
    "nothing_said": "这里没有您可以修改的消息。",
    "edited": "{who} 改为：{text}",
    "deleted": "一条消息已撤回。",
    "joined": "{who} 已加入。",
    "left": "{who} 已离开。",
    "reopened": "会话继续。",
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

    def term(self, word: str) -> str:
        """Return a word of the protocol as people read it."""
        return TERMS[self.lang].get(word, word)

    def parting(self, code: int, rule: str, reason: str) -> str:
        """Return why a node sends somebody away; `reason` is its own, for a code of a later one."""
        known = PARTINGS[self.lang]
        return known.get(rule) or known.get(code) or reason

    def refusal(self, code: str, message: str) -> str:
        """Return what a node refused, with its own words."""
        known = REFUSALS_ZH.get(code) if self.lang == "zh" else None
        return f"{known}（{message}）" if known else message


def choose_lang(wanted: str, environment: Mapping[str, str]) -> Lang:
    """Return the language asked for, or the one of the environment's locale."""
    names = [wanted, *(environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))]
    chosen = next((name for name in names if name), "")
    return "zh" if chosen.lower().startswith("zh") else "en"
