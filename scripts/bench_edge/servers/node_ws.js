// The small application on Node.js and the package `ws`.  See servers/__init__.py.
const http = require("node:http");
const { WebSocketServer } = require("ws");

const BODY = '{"status":"ok","service":"edge bench","padding":"xxxxx"}';
const server = http.createServer((request, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": BODY.length });
  response.end(BODY);
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, binary) => {
    if (!binary || data[0] !== 0x42) return socket.send(data, { binary });
    for (const one of sockets.clients) one.send(data);
  });
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 2048 });
