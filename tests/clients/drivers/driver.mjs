/**
 * What the tests have the JavaScript client do.  Talks to nodes; a line of JSON for each thing it
 * saw.  The scenarios are those of driver.py.
 */

import { Refused, Unavailable, Unidesk, UnideskError } from "../../../clients/unidesk.mjs";

const { URLS, TOKEN, PLACE = "" } = process.env;
const urls = URLS.split(",");
const webSocket = process.execArgv.includes("--experimental-websocket");

const tell = (fields) => process.stdout.write(`${JSON.stringify(fields)}\n`);

function note(name, data) {
  if (name === "welcome") tell({ node: data.node });
  else if (name === "ev") tell({ cv: data.cv, seq: data.seq, type: data.type, body: data.data?.body });
  else if (name === "gap") tell({ gap: data });
}

const isSaidBy = (name, data, role) => name === "ev" && data.type === "msg" && data.by[0] === role;

async function visitor(count) {
  const desk = new Unidesk(urls, TOKEN);
  let cv = "";
  let said = 1;
  for await (const { name, data } of desk.events({ webSocket })) {
    note(name, data);
    if (!cv) {
      ({ cv } = await desk.open({ text: "1", key: "open" }));
    } else if (isSaidBy(name, data, "agent")) {
      if (said === Number(count)) {
        await desk.close(cv, { key: "close" });
        continue;
      }
      said += 1;
      await desk.send(cv, String(said), { key: `m${said}` });
      tell({ said });
    } else if (name === "ev" && data.type === "closed") {
      return;
    }
  }
}

async function agent() {
  const desk = new Unidesk(urls, TOKEN);
  const fences = new Map();
  for await (const { name, data } of desk.events({ webSocket })) {
    note(name, data);
    if (name === "welcome") {
      await desk.call("status.set", { status: "online" });
    } else if (name === "offer") {
      const { cv, fence } = await desk.call("offer.accept", { oid: data.oid, key: data.oid });
      fences.set(cv, fence);
    } else if (isSaidBy(name, data, "visitor")) {
      const { cv, seq } = data;
      await desk.send(cv, `re ${data.data.body}`, { key: `${cv}.${seq}`, fence: fences.get(cv) });
    } else if (name === "ev" && data.type === "closed") {
      return;
    }
  }
}

async function errors() {
  const desk = new Unidesk(urls, TOKEN);
  const { cv } = await desk.open({ text: "one" });
  const { cv: closed } = await desk.open({});
  await desk.close(closed);
  await desk.send(cv, "same", { key: "k" });
  const nowhere = new Unidesk(["http://127.0.0.1:1"], TOKEN, { deadlineMs: 500 });
  const cases = {
    "bad token": () => new Unidesk(urls, "nonsense").open(),
    "bad token of a stream": async () => {
      for await (const push of new Unidesk(urls, "nonsense").events({ webSocket })) tell({ push });
    },
    forbidden: () => desk.call("members.get"),
    "unknown op": () => desk.call("cv.fly"),
    "not found": () => desk.history("01J00000000000000000000000"),
    closed: () => desk.send(closed, "too late"),
    "same key, other body": () => desk.send(cv, "other", { key: "k" }),
    "bad request": () => desk.call("msg.send", { cv }),
    "too large": () => desk.send(cv, "x".repeat(20_000)),
    "nobody there": () => nowhere.open({ key: "k2" }),
  };
  for (const [name, ask] of Object.entries(cases)) {
    try {
      await ask();
    } catch (no) {
      if (!(no instanceof UnideskError)) throw no;
      const kind = no instanceof Refused ? "Refused" : no instanceof Unavailable ? "Unavailable" : "";
      tell({ case: name, kind, code: no.code, retry: no.retry, key: no.key });
    }
  }
  const again = await desk.send(cv, "same", { key: "k" });
  await desk.close(cv);
  tell({ case: "same key, same body", kind: "", code: "", retry: again.dup, key: "" });
}

async function say(key) {
  const desk = new Unidesk(urls, TOKEN, { deadlineMs: 10_000 });
  try {
    const { cv, dup = false } = await desk.open({ text: "once", key });
    tell({ cv, dup });
  } catch (no) {
    if (!(no instanceof Unavailable)) throw no;
    tell({ code: no.code, key: no.key });
  }
}

async function listen(forS) {
  const signal = AbortSignal.timeout(1000 * forS);
  const tokens = TOKEN.split(",");
  const desk = new Unidesk(urls, async () => (tokens.length > 1 ? tokens.shift() : tokens[0]));
  const events = desk.events({ place: PLACE, signal, webSocket });
  for await (const { name, data } of events) note(name, data);
  tell({ place: events.place });
}

const [scenario, ...words] = process.argv.slice(2);
await { visitor, agent, errors, say, listen }[scenario](...words);
if (webSocket) process.exit(); // Node's WebSocket waits for an answer to its close, also from the dead
