/**
 * unidesk for browsers and Node.js 18 and newer: operations over HTTP, events over WebSocket in
 * browsers and over HTTP in Node.js.  Talks to nodes.
 *
 *     import { Unidesk } from "./unidesk.mjs";
 *     const desk = new Unidesk(["https://desk1.acme.example", "https://desk2.acme.example"], token);
 *     const { cv } = await desk.open({ text: "Where is my parcel?" });
 *     for await (const { name, data } of desk.events()) {  // ev, gap, caught, offer, welcome ...
 *       if (name === "ev" && data.type === "msg") console.log(data.seq, data.data.body);
 *     }
 *
 * An operation is asked again, with the same key, at the next node until it is answered or its
 * deadline is over.  Events come once and in order, whichever node tells them; what is kept no more
 * is a `gap`.  Names in `Ms` are milliseconds.  Source: docs/reference/protocol.md.  Apache-2.0.
 */

const CONNECT_MS = 3_000, ATTEMPT_MS = 10_000; // a WebSocket's opening; one answer, or a welcome
const RETRY_MS_MIN = 250, RETRY_MS_MAX = 10_000; // of the doubling wait; a random part is waited
const STABLE_MS = 1_000; // a stream that lived for less does not make the next wait short again
const PINGS_MISSED_MAX = 2.5, CHARACTERS_MAX = 4 * 1024 * 1024, PUSHES_WAITING_MAX = 4_096;
const NODES_MAX = 64, ASKED_MAX = 64, CURSORS_MAX = 10_000, RESUMED_MAX = 200;
const NODE = /^(?:ws|http)(s?)(:\/\/[^/?#\s]+(?:\/[^?#\s]+?)??)(?:\/v1\/ws)?\/?$/;
const FINAL = { 400: "bad_request", 401: "unauthorized", 403: "forbidden", 413: "too_large" };
const WEBSOCKET = !!globalThis.WebSocket && !globalThis.process?.versions?.node; // Node's waits for the dead
const PARTINGS = { 4102: "unauthorized", 4103: "unauthorized", 4104: "forbidden" };

/** Something was not done: a `code` of the protocol, a `message` in words, `data` beside it. */
export class UnideskError extends Error {
  retry = false; // whether the same request, with the same key, may succeed later

  constructor(code, message, data, waitMs = 0) {
    super(message);
    Object.assign(this, { name: new.target.name, code, data: data ?? {}, waitMs, key: "" });
  }
}

/** The cluster said no, until somebody acts; a stream's `code` may be a close code. */
export class Refused extends UnideskError {}

/** No node did it in time: ask again with `key`.  Code `timeout`: it may have been done. */
export class Unavailable extends UnideskError {
  retry = true;
}

/** One principal's way into the cluster. */
export class Unidesk {
  /**
   * @param {string[]} urls  of nodes; `deadlineMs` is an operation's, for all attempts together
   * @param {string | (() => string | Promise<string>)} token  or what fetches one, when it is needed
   */
  constructor(urls, token, { deadlineMs = 30_000 } = {}) {
    this._nodes = urls.map(base);
    if (!this._nodes[0] || new Set(this._nodes.map((node) => node.slice(0, 6))).size !== 1) {
      throw new TypeError("urls: all like https://desk1.acme.example, or all http");
    }
    Object.assign(this, { _fetchToken: token, _token: "", deadlineMs });
  }

  open = (fields) => this.call("cv.open", fields); // `text`, `subject`, `tags` ...: {cv, seq, state}
  /** Say something: {seq, mid, ts}, durable by then; agents add their `fence`. */
  send = (cv, body, fields) => this.call("msg.send", { cv, body, ...fields });
  history = (cv, after = 0, fields = {}) => this.call("cv.history", { cv, after, ...fields });
  close = (cv, fields) => this.call("cv.close", { cv, ...fields });
  transfer = (cv, to, fields) => this.call("cv.transfer", { cv, to, ...fields }); // {agent}, {queue}
  /** Listen to what is one's own and to `cvs`, on from `place`, until `signal`. */
  events = (options) => new Events(this, options);

  /** Do any operation; its reply's `r`.  Throws `Refused`, `Unavailable`. */
  async call(op, { key = newKey(), ...fields } = {}, { deadlineMs = this.deadlineMs } = {}) {
    const over = performance.now() + deadlineMs;
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    const request = { method: "POST", headers, body: JSON.stringify(fields) };
    const path = `/v1/op/${encodeURIComponent(op)}`;
    for (let failures = 0, doubt = false, renewed = false; ; ) {
      const node = this._nodes[0], abort = new AbortController();
      if (!this._token) await this._renew();
      try {
        const answer = this._ask(node, path, request, abort).then((response) => judge(node, response));
        return await within(Math.min(ATTEMPT_MS, over - performance.now()), answer);
      } catch (error) {
        const no = plainly(node, error);
        if (no.code === "unauthorized" && !renewed && (renewed = await this._renew())) continue;
        if (!no.retry) throw no;
        this._goOn(no.data.nodes, node);
        doubt ||= no.code === "timeout";
        const waitMs = Math.max(no.waitMs, jitter(failures++));
        const late = performance.now() + waitMs >= over;
        if (late) throw Object.assign(no, { key, code: doubt ? "timeout" : no.code });
        await new Promise((done) => setTimeout(done, waitMs));
      } finally {
        abort.abort();
      }
    }
  }

  _ask(node, path, { headers, ...request }, { signal }) {
    const rest = { signal, redirect: "error", cache: "no-store", credentials: "omit" };
    headers = { ...headers, Authorization: `Bearer ${this._token}` };
    return fetch(node + path, { ...request, ...rest, headers });
  }

  /** Fetch a token; whether it is another one. */
  async _renew() {
    const before = this._token;
    this._token = typeof this._fetchToken === "function" ? await this._fetchToken() : this._fetchToken;
    return this._token !== before;
  }

  /** Take note of nodes that one told of; when it was `lost`, they come first, it last. */
  _goOn(told, lost) {
    const urls = (Array.isArray(told) ? told : []).map((one) => base(String(one?.url)));
    const safe = urls.filter((url) => url.slice(0, 6) === this._nodes[0].slice(0, 6)); // TLS stays TLS
    const queue = new Set(lost ? [...safe, ...this._nodes] : [...this._nodes, ...safe]);
    queue.delete(lost);
    this._nodes = [...queue].slice(0, NODES_MAX - 1).concat(lost ?? []);
  }
}

/** Pushes as {name, data}, each once and in order, until `close` or the signal. */
class Events {
  #seen = new Map(); // the last `seq` of each conversation, and whether it goes on
  #over = false;
  #told = false; // the consumer has a push, and may leave
  #stop = () => {}; // ends what is waited for now

  constructor(desk, { cvs = [], place = "", signal, webSocket = WEBSOCKET } = {}) {
    if (cvs.length > ASKED_MAX) throw new RangeError(`cvs: at most ${ASKED_MAX}`);
    const [sid, ...had] = place.split(".");
    for (const [cv, seq] of had.map((one) => one.split(":"))) this.#note(cv, Number(seq), true);
    Object.assign(this, { desk, sid, webSocket, wanted: new Set(cvs), liveSince: Infinity, renewed: false });
    if (signal?.aborted) this.close();
    signal?.addEventListener("abort", () => this.close(), { once: true });
  }

  /** Where this listener is, the last event included: `events({ place })` goes on there. */
  get place() {
    return this.sid + this.#cursors().map(([cv, seq]) => `.${cv}:${seq}`).join("");
  }

  /** End at once, also while somebody waits. */
  close() {
    this.#over = true;
    this.#stop();
  }

  /** What comes.  Throws `Refused` when nothing goes on until somebody acts. */
  async *[Symbol.asyncIterator]() {
    for (let failures = 0, waitMs = 0; !this.#over; await this.#pause(Math.max(waitMs, jitter(failures)))) {
      const node = this.desk._nodes[0], asked = [...this.wanted].filter((cv) => !this.place.includes(cv));
      if (!this.desk._token) await this.desk._renew();
      [this.liveSince, this.quietMs, waitMs] = [Infinity, ATTEMPT_MS, 0];
      try {
        const pushes = this.webSocket ? this.#overWebSocket(node, asked) : this.#overHttp(node, asked);
        for await (const push of pushes) {
          this.#told = this.#take(push, asked);
          if (this.#told) yield push;
          this.#told = false;
        }
      } catch (error) {
        const no = plainly(node, error);
        const stale = no.code === "unauthorized" && !this.renewed;
        if (!no.retry && !(stale && (this.renewed = await this.desk._renew()))) throw no;
        if (no.retry) this.desk._goOn(no.data.nodes, node);
        waitMs = no.waitMs;
      }
      failures = performance.now() - this.liveSince >= STABLE_MS ? 0 : failures + 1;
    }
  }

  async *#overHttp(node, asked) {
    const query = asked.map((cv, n) => `${n ? "&" : "?"}cv=${encodeURIComponent(cv)}`).join("");
    const headers = this.place ? { "Last-Event-ID": this.place } : {};
    const abort = new AbortController();
    let reader; // told too: Node 20 may forget the signal of a fetch whose body goes on
    this.#stop = () => [abort.abort(), reader?.cancel().catch(() => {})];
    try {
      const asking = this.desk._ask(node, `/v1/events${query}`, { headers }, abort);
      const response = await within(ATTEMPT_MS, asking);
      if (response.status !== 200) await within(ATTEMPT_MS, judge(node, response));
      reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", cut = 0; ; text = text.slice(cut + 2)) {
        const by = performance.now() + this.quietMs;
        while ((cut = text.indexOf("\n\n")) < 0) {
          const { done, value } = await within(by - performance.now(), reader.read());
          if (done || text.length > CHARACTERS_MAX) throw new Error("the stream ended");
          text += value;
        }
        const lines = text.slice(0, cut).split("\n");
        const field = (name) => lines.find((line) => line.startsWith(name))?.slice(name.length);
        if (field("data:")) yield { name: field("event:")?.trim(), data: JSON.parse(field("data:")) };
      }
    } finally {
      this.#stop();
    }
  }

  async *#overWebSocket(node, asked) {
    const inbox = [], socket = new WebSocket(`${node.replace("http", "ws")}/v1/ws`, ["unidesk.v1+json"]);
    const say = (request) => socket.send(JSON.stringify(request));
    let wake = () => {};
    const put = (item) => wake(inbox.push(item));
    this.#stop = () => socket.close(1000); // for an agent: logged out
    socket.onopen = () => put({});
    socket.onclose = ({ code, reason }) => put({ code, reason });
    socket.onmessage = ({ data }) => (inbox.length < PUSHES_WAITING_MAX ? put({ data }) : socket.close(3000));
    try {
      for (let waitMs = CONNECT_MS; ; waitMs = this.quietMs) {
        if (!inbox.length) await within(waitMs, new Promise((done) => (wake = done)));
        const { code, reason, data } = inbox.shift();
        if (code) throw parting({ code, reason });
        const resume = this.sid && { resume: { sid: this.sid, cvs: this.#cursors() } };
        if (!data) say({ op: "hello", ver: "1", token: this.desk._token, ...resume });
        for (const push of data ? [JSON.parse(data)].flat() : []) {
          const { op } = push, stale = op === "token.expiring" && (await this.desk._renew());
          if (op === "ping") say({ op: "pong" });
          if (stale) say({ op: "auth", id: ASKED_MAX + 1, token: this.desk._token });
          if (op === "welcome") asked.forEach((cv, n) => say({ op: "cv.sub", id: n + 1, cv }));
          yield { name: op, data: push };
        }
      }
    } finally {
      socket.close(this.#over || this.#told ? 1000 : 3000); // the consumer left, or it is to be resumed
    }
  }

  /** Note what a push says of a conversation; whether the consumer is to have it. */
  #take({ name, data }, asked) {
    const { cv, seq, first, last } = data, seen = this.#seen.get(cv)?.seq ?? 0;
    if (name === "ev") {
      if (!(seq <= seen + 1)) throw new Error(`${cv}: ${seq} after ${seen}`); // asked for elsewhere
      if (seq <= seen) return false;
      this.#note(cv, seq, data.type !== "closed");
    } else if (name === "gap") { // 0 and 0: it is gone, or not ours to see any more
      this.#note(cv, last ? Math.max(Math.min(seen, last), first - 1) : seen, last > 0);
      return !last || seen < first - 1 || seen > last;
    } else if (name === "welcome") {
      [this.sid, this.liveSince, this.renewed] = [data.sid, performance.now(), false];
      this.quietMs = PINGS_MISSED_MAX * Math.max(1_000, data.ping_ms);
      this.desk._goOn(data.nodes);
    } else if (name === "err") {
      data.cv = asked[data.id - 1];
      if (data.retry || !data.cv) throw new Unavailable(data.code, data.msg);
      this.wanted.delete(data.cv);
    } else if (name === "bye") {
      throw parting(data);
    }
    return name !== "ok" && name !== "ping";
  }

  #note(cv, seq, goesOn) {
    this.#seen.delete(cv);
    this.#seen.set(cv, { seq, goesOn }); // the newest is last
    if (!goesOn) this.wanted.delete(cv);
    if (this.#seen.size > CURSORS_MAX) this.#seen.delete(this.#seen.keys().next().value);
  }

  #cursors() {
    const goingOn = [...this.#seen].filter(([, { goesOn }]) => goesOn).slice(-RESUMED_MAX);
    return goingOn.map(([cv, { seq }]) => [cv, seq]);
  }

  #pause = (ms) => within(this.#over ? 0 : ms, new Promise((done) => (this.#stop = done))).catch(() => {});
}

/** The reply.  Throws `Refused`, `Unavailable`. */
async function judge(node, response) {
  const after = response.headers.get("Retry-After") ?? "", { status } = response;
  const waitMs = /^\d{1,6}$/.test(after) ? 1_000 * after : 0; // a date would hang on two clocks
  const said = await response.json().catch(() => null);
  if (status === 200 && said) return said;
  const code = said?.code ?? FINAL[status] ?? "timeout"; // without one: a proxy, a portal, half an answer
  const retry = said?.code ? said.retry || status >= 500 : code === "timeout";
  const message = said?.msg ?? `${node} answered ${status}`;
  throw new (retry ? Unavailable : Refused)(code, message, said?.data, waitMs);
}

/** How a stream ended that said why. */
function parting({ code, reason, resume = code < 4100 || code >= 4200, retry, nodes }) {
  if (!resume) return new Refused(PARTINGS[code] ?? String(code), reason);
  const { min_ms: least = 0, max_ms: most = 0 } = retry ?? {};
  const waitMs = Math.min(RETRY_MS_MAX, least + Math.random() * (most - least));
  return new Unavailable("bye", reason || `closed with ${code}`, { nodes }, waitMs);
}

/** An error as one of ours: whatever a socket or a parser throws is a lost connection. */
function plainly(node, error) {
  if (error instanceof UnideskError) return error;
  return new Unavailable("timeout", `${node}: ${error.cause?.message ?? error.message}`);
}

/** What `promise` gives; an error after `ms`. */
async function within(ms, promise) {
  let timer;
  const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error("no word in time")), ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const jitter = (failures) => Math.random() * Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** failures);
const newKey = () => Array.from({ length: 3 }, () => Math.random().toString(36).slice(2)).join("");
const base = (url) => (NODE.test(url) ? url.replace(NODE, "http$1$2") : "");
