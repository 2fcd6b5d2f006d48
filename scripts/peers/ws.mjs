// The npm package ws, as another server for `barrage-loadtest bare`: the usual loop over clients
// with `client.send`. What it is told on its standard input: loadtest/src/bare/side.rs.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { WebSocketServer } = require('ws');

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

/** How long the payload of a frame of so many bytes is. */
const payloadBytes = (frame) => frame - (frame <= 127 ? 2 : frame <= 65_539 ? 4 : 10);

const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
let awaited = 0;
sockets.on('connection', () => {
  if (sockets.clients.size === awaited) say('done');
});
server.listen(0, '127.0.0.1', 4096, () => say({ address: `127.0.0.1:${server.address().port}` }));

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  if (order.accept) {
    awaited = sockets.clients.size + order.accept;
  } else {
    const message = Buffer.alloc(payloadBytes(order.send), 'x');
    for (const client of sockets.clients) client.send(message, { binary: false });
    say('done');
  }
}
process.exit(0);
