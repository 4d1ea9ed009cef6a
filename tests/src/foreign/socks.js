// Node's usual library: the body of the answer, how much came, or the name of the reply code.
"use strict";
const { SocksClient } = require("socks");
const [port, targets] = [Number(process.argv[1]), JSON.parse(process.argv[2])];
const LIMIT = 100000;

async function attempt([name, host, at, path]) {
  const proxy = { host: "127.0.0.1", port, type: 5, userId: "node", password: "x" };
  const options = { proxy, command: "connect", timeout: LIMIT, destination: { host, port: at } };
  const { socket } = await SocksClient.createConnection(options);
  socket.setTimeout(LIMIT, () => socket.destroy(new Error("silence")));
  const request = `GET ${path ?? "/hello"} HTTP/1.0\r\n\r\n`;
  if (name === "half-close") socket.end(request);
  else socket.write(request);
  let [head, count, body] = [Buffer.alloc(0), 0, []];
  let inBody = false;
  for await (let part of socket) {
    if (!inBody) {
      head = Buffer.concat([head, part]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) continue;
      inBody = true;
      part = head.subarray(end + 4);
    }
    count += part.length;
    if (name !== "stream") body.push(part);
  }
  return name === "stream" ? String(count) : Buffer.concat(body).toString();
}

(async () => {
  const said = await Promise.all(targets.map((target) => attempt(target).catch((why) => why.message)));
  console.log(JSON.stringify(Object.fromEntries(targets.map(([name], at) => [name, said[at]]))));
})();
